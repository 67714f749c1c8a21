"""A partition's state on disk: all of a batch or nothing, of this log or not at all."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path

import pytest

from sendledger.edges.rocksdb import DamagedStoreError, StoreError
from sendledger.edges.state_store import (
    Identity,
    Memory,
    SlotTakenError,
    StateStore,
    misfit,
    open_store,
    sole_user,
)
from tests.support import damage

ENDS = {"a": 10, "b": 4}
IDENTITY = Identity(1, {"a": "id-a", "b": "id-b"}, {"a": 0, "b": 2}, 3)


@pytest.fixture
def memory() -> Memory:
    """Little memory, shared as in a process."""
    return Memory(1 << 20, 1 << 20)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a crash left, to be copied and damaged."""
    return crashed(tmp_path_factory.mktemp("crashed"), 2_000)


def opened(path: Path, memory: Memory, identity: Identity, ends: dict[str, int]) -> StateStore:
    """The store as the fold opens it."""
    store = open_store(path, memory, identity, ends)
    if store.identity is None:
        store.begin(identity)
    return store


def test_a_new_store_begins_where_the_log_begins(tmp_path: Path, memory: Memory) -> None:
    """Its cursor is the first offset of each topic, and it knows its log."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert (store.cursor, store.identity) == ({"a": 0, "b": 2}, IDENTITY)
    store.close()


def test_documents_and_cursor_come_back_together(tmp_path: Path, memory: Memory) -> None:
    """What one write put down is there after a close; topics that were not named keep their cursor."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({b"m1": b"one", b"m2": b"two"}, {"a": 7})
    store.write({b"m2": b"two again"}, {"b": 3})
    store.close()
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert store.cursor == {"a": 7, "b": 3}
    assert store.load([b"m2", b"m3", b"m1"]) == [b"two again", None, b"one"]
    assert store.load([]) == []
    store.close()


def test_a_later_start_of_the_log_is_no_misfit(tmp_path: Path, memory: Memory) -> None:
    """Retention moves the log's first offset: the store keeps the `from` that it began with."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({}, {"a": 7, "b": 4})
    store.close()
    store = opened(tmp_path / "p0", memory, Identity(1, IDENTITY.topic_ids, {"a": 5, "b": 2}, 3), ENDS)
    assert store.identity is not None
    assert store.identity.from_ == {"a": 0, "b": 2}
    store.close()


@pytest.mark.parametrize(
    ("identity", "ends", "reason"),
    [
        (Identity(2, IDENTITY.topic_ids, IDENTITY.from_, 3), ENDS, "another fold_version"),
        (Identity(1, {"a": "id-x", "b": "id-b"}, IDENTITY.from_, 3), ENDS, "another log: topic ids differ"),
        (IDENTITY, {"a": 6, "b": 4}, "ahead of the end of a"),
        (IDENTITY, {"a": 10}, "other topics"),
        (Identity(0, IDENTITY.topic_ids, IDENTITY.from_, 3), ENDS, "another fold_version"),
        (Identity(1, IDENTITY.topic_ids, IDENTITY.from_, 4), ENDS, "another partition"),
        (Identity(1, IDENTITY.topic_ids, {"a": 8, "b": 4}, 3), ENDS, "retention cut what was not folded of a, b"),
    ],
)
def test_what_does_not_fit_is_thrown_away(
    tmp_path: Path, memory: Memory, identity: Identity, ends: dict[str, int], reason: str
) -> None:
    """State of another log, another code, or beyond the end of the log is not state of this one."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({b"m1": b"one"}, {"a": 7})
    assert misfit(store, identity, ends) == reason
    store.close()
    store = opened(tmp_path / "p0", memory, identity, ends)
    assert store.load([b"m1"]) == [None]
    assert store.cursor == identity.from_
    store.close()


def documents(number: int) -> dict[bytes, bytes]:
    """What the batch of this number writes."""
    chance = random.Random(number)
    return {b"m%d" % chance.randrange(500): b"%d" % number + chance.randbytes(300) for _ in range(10)}


def state_after(batches: int) -> dict[bytes, bytes]:
    """All documents after so many batches."""
    state: dict[bytes, bytes] = {}
    for number in range(batches):
        state.update(documents(number))
    return state


def copied(live: Path, to: Path) -> Path:
    """The files of an open store as they are at one moment: again, if RocksDB replaced some meanwhile."""
    while True:
        shutil.rmtree(to, ignore_errors=True)
        with contextlib.suppress(shutil.Error):
            return Path(shutil.copytree(live, to))


def crashed(directory: Path, batches: int) -> Path:
    """The files of a store as kill -9 leaves them in the middle of its work."""
    memory = damage.small()
    store = opened(directory / "live" / "p0", memory, IDENTITY, {"a": batches, "b": 4})
    for number in range(batches):
        store.write(documents(number), {"a": number + 1})
    copied(directory / "live", directory / "left")
    store.close()
    return directory / "left" / "p0"


def test_a_crash_leaves_an_older_state_and_its_cursor(tmp_path: Path, memory: Memory) -> None:
    """Whatever was not in files yet is gone, documents and cursor alike; what was kept is there."""
    store = opened(crashed(tmp_path, 2_000), memory, IDENTITY, {"a": 2_000, "b": 4})
    wanted = state_after(store.cursor["a"])
    assert 0 < store.cursor["a"] < 2_000
    assert store.load(list(wanted)) == list(wanted.values())
    store.write({b"m-new": b"new"}, {"a": 2_000})
    store.keep(wait=True)
    copy = copied(tmp_path / "left", tmp_path / "kept")
    store.close()
    store = opened(copy / "p0", memory, IDENTITY, {"a": 2_000, "b": 4})
    assert (store.cursor["a"], store.load([b"m-new"])) == (2_000, [b"new"])
    store.close()


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_store_is_whole_or_thrown_away(seed: int, tmp_path: Path, left: Path, memory: Memory) -> None:
    """Any one file deleted, cut or changed: an older state with its cursor, or an error once and then an empty one."""
    path, keys = shutil.copytree(left, tmp_path / "p0"), list(state_after(2_000))
    what = damage.spoil(path, random.Random(seed))
    store = opened(path, memory, IDENTITY, {"a": 2_000, "b": 4})
    try:
        found = store.load(keys)
    except DamagedStoreError:
        with contextlib.suppress(DamagedStoreError):
            store.close()
        store = opened(path, memory, IDENTITY, {"a": 2_000, "b": 4})
        assert (store.cursor, store.load(keys)) == (IDENTITY.from_, [None] * len(keys)), what
    else:
        there = {key: value for key, value in zip(keys, found, strict=True) if value is not None}
        assert there == state_after(store.cursor["a"]), what
    with contextlib.suppress(DamagedStoreError):  # found by RocksDB's own work on its files, or later, or never
        store.close()


def test_a_directory_that_goes_away_in_use_is_an_error(tmp_path: Path) -> None:
    """Somebody deletes the files of an open store: it ends as soon as RocksDB misses them, and begins anew."""
    store = opened(tmp_path / "p0", damage.small(), IDENTITY, {"a": 2_000, "b": 4})
    while (tmp_path / "p0").exists():  # RocksDB still writes its first file
        shutil.rmtree(tmp_path / "p0", ignore_errors=True)

    def work() -> None:
        for number in range(2_000):
            store.write(documents(number), {"a": number + 1})
        store.keep(wait=True)

    with pytest.raises(DamagedStoreError, match="No such file"):
        work()
    with contextlib.suppress(DamagedStoreError):
        store.close()
    store = opened(tmp_path / "p0", damage.small(), IDENTITY, {"a": 2_000, "b": 4})
    assert store.cursor == IDENTITY.from_
    store.close()


def test_what_the_machine_lacks_is_no_damage(tmp_path: Path, memory: Memory) -> None:
    """A store that cannot be opened for want of something else is an error, and its files stay."""
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.write({b"m1": b"one"}, {"a": 7})
    store.keep(wait=True)
    with pytest.raises(StoreError, match="lock"):
        open_store(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.close()
    store = opened(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert store.load([b"m1"]) == [b"one"]
    store.close()


def test_archived_campaigns_are_remembered(tmp_path: Path, memory: Memory) -> None:
    """What a fold must never write it must know after a restart too."""
    store = open_store(tmp_path / "p0", memory, IDENTITY, ENDS)
    store.begin(IDENTITY, frozenset({"c1"}))
    store.close()
    store = open_store(tmp_path / "p0", memory, IDENTITY, ENDS)
    assert store.archived == {"c1"}
    store.close()


def test_a_closed_store_is_free(tmp_path: Path, memory: Memory) -> None:
    """A store has one user at a time; a second open fails until the first has closed."""
    first = StateStore(tmp_path / "p0", memory)
    with pytest.raises(Exception, match="lock"):
        StateStore(tmp_path / "p0", memory)
    first.close()
    StateStore(tmp_path / "p0", memory).close()


def test_a_slot_has_one_process(tmp_path: Path) -> None:
    """Two folds of one slot would overwrite each other's partials: the second is told what to set."""
    slot = tmp_path / "fold-0"
    with sole_user(slot), pytest.raises(SlotTakenError, match="SENDLEDGER_FOLD_SLOT"), sole_user(slot):
        pass
    with sole_user(slot):
        pass
