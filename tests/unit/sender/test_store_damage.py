"""The sender's store after a kill, a lying disk or a hand that deletes: an older state that is whole, or nothing."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sendledger.edges import sender_store_opening
from sendledger.edges.rocksdb import DAMAGED, DamagedStoreError, StoreError, forget
from sendledger.edges.sender_store_opening import LOCK_WAIT, open_store, shared_cache
from sendledger_schemas.topics import SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import damage, story
from tests.support.partition import Log, Worker, log_of, ready, worker

MESSAGES = 300


@pytest.fixture(scope="module")
def log() -> Log:
    """Accepted, throttled, in doubt, open, and never tried, through one another."""
    made = log_of(MESSAGES)
    for number in range(0, MESSAGES, 2):
        name, recipient = f"m{number}", f"r{number}"
        made.add(story.started(name, recipient))
        match number % 8:
            case 0:
                made.add(story.accepted(f"T{number}", name, recipient))
            case 2:
                made.add(story.throttled(name, recipient))
            case 4:
                made.add(story.unanswered(name, recipient))
            case _:
                pass
    return made


@pytest.fixture(scope="module")
def killed(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a sender leaves that was killed: some files of RocksDB's, and nothing of what was still in its memory."""
    directory = tmp_path_factory.mktemp("killed")
    it = worker(directory, log)
    while it.partition.cursors != log.ends():
        for topic in log.topics:
            it.read(topic, 25 if topic == SEND_REQUESTS else 12)
        if it.partition.cursors[SEND_REQUESTS] < MESSAGES:
            it.partition.store._db.flush(True)  # else a test would have to write megabytes
    shutil.copytree(it.path, directory / "left", ignore=shutil.ignore_patterns("LOCK"))
    it.close()
    return directory / "left"


def standing(it: Worker) -> tuple[Any, ...]:
    """Read to the end; what is open, what waits, and what would be claimed."""
    it.read()
    due = it.partition.queue.next_due()
    return sorted(it.partition.opened), it.partition.cursors, due, sorted(it.picked(MESSAGES, seconds=61))


def again(path: Path, log: Log) -> Worker:
    """A sender that finds this store. One that finds it damaged has ended and is started again."""
    with contextlib.suppress(DamagedStoreError):
        return Worker(log, path)
    return Worker(log, path)


def test_a_kill_costs_nothing_but_reading_again(tmp_path: Path, log: Log, killed: Path) -> None:
    """What is left is older than the log, has its own cursor, and comes to the same."""
    path = shutil.copytree(killed, tmp_path / "store")
    it = Worker(log, path)
    cursor = it.partition.cursors[SEND_REQUESTS]
    assert 0 < cursor < MESSAGES
    assert standing(it) == standing(ready(tmp_path, log))


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_store_sends_nothing_else(seed: int, tmp_path: Path, log: Log, killed: Path) -> None:
    """Any one file deleted, cut or changed: the same messages wait and are open, perhaps after one more start."""
    path = shutil.copytree(killed, tmp_path / "store")
    what = damage.spoil(path, random.Random(seed))
    expected, found = standing(ready(tmp_path, log)), None
    it = again(path, log)
    with contextlib.suppress(DamagedStoreError):
        found = standing(it)
    if found is None:
        with contextlib.suppress(StoreError):
            it.close()
        found = standing(Worker(log, path))
    assert found == expected, what


def test_facts_and_cursor_move_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes no write leaves both where they were."""
    log = log_of(3)
    it = ready(tmp_path, log)
    log.add(story.started("m0", "r0"))
    writes: list[int] = []

    class Full:
        """A store that takes one write less than it is asked for."""

        def __init__(self, plain: Any) -> None:
            self.plain = plain

        def write(self, batch: Any) -> None:
            """Fail."""
            writes.append(batch.len())
            raise OSError("IO error: No space left on device")

        def __getattr__(self, name: str) -> Any:
            assert name in ("get", "iter", "flush", "close"), "writes go through `write`, all of a batch at once"
            return getattr(self.plain, name)

    monkeypatch.setattr(it.partition.store, "_db", Full(it.partition.store._db))
    with pytest.raises(StoreError, match="No space"):
        it.read()
    assert len(writes) == 1
    it.reopen()
    assert it.partition.cursors[SEND_ATTEMPTS] == 0
    assert it.partition.opened == {}
    it.read()
    assert list(it.partition.opened) == ["m0"]


def test_a_store_in_use_is_waited_for_and_never_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's lock is no damage."""
    monkeypatch.setattr(sender_store_opening, "LOCK_WAIT", 0.1)
    assert LOCK_WAIT > 1
    it = ready(tmp_path, log_of(3))
    with pytest.raises(sender_store_opening.StoreHeldError):
        open_store(it.path, shared_cache(), "one log", it.log.ends())
    assert not (it.path / DAMAGED).exists()
    assert len(it.picked()) == 3


def test_a_store_that_cannot_be_thrown_away_stays_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is left of it would be taken for a state at the next start: its files went in part, its mark at all."""
    log = log_of(3)
    it = ready(tmp_path, log)
    it.partition.store._db.flush(True)
    it.close()
    (it.path / DAMAGED).touch()
    unlink, gone, stuck = os.unlink, [""], "MANIFEST"

    def watched(path: Any, **where: Any) -> None:
        name = Path(path).name
        if stuck and name.startswith(stuck):
            raise PermissionError(1, "Operation not permitted", name)
        unlink(path, **where)
        gone.append(name)

    monkeypatch.setattr(os, "unlink", watched)
    with pytest.raises(PermissionError):
        open_store(it.path, shared_cache(), "one log", log.ends())
    assert DAMAGED not in gone
    stuck = ""
    forget(it.path)
    assert gone[-1] == DAMAGED
    assert standing(Worker(log, it.path)) == standing(ready(tmp_path / "plain", log))
