"""The spool: what it keeps is kept in order, bounded, private, and there after a crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolFailed

LIMIT = 1_000_000


def record(number: int, size: int = 10) -> Record:
    """A record, different for each number."""
    return Record("sms.postbacks.v1", number % 8, b"key", b"%d:" % number + b"x" * size, (("content-type", b"json"),))


def values(spool: Spool, records: int = 10_000) -> list[bytes]:
    """What the spool holds, oldest first."""
    return [kept.value for _, kept in spool.head(records=records, size=LIMIT)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The spool's file, in a directory that does not exist yet."""
    return tmp_path / "spool" / "spool.sqlite3"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    """An empty spool."""
    spool = Spool(path, max_bytes=LIMIT)
    yield spool
    spool.close()


def test_gives_back_what_it_was_given_in_the_same_order(spool: Spool) -> None:
    """Records come back whole and in the order in which they were put."""
    given = [record(number) for number in range(30)]
    spool.put(given[:10], now=1.0)
    spool.put(given[10:], now=2.0)
    assert [kept for _, kept in spool.head(records=100, size=LIMIT)] == given


def test_head_is_bounded_by_records_and_by_bytes(spool: Spool) -> None:
    """A read takes a bounded piece, but never nothing while there is something."""
    spool.put([record(number, size=1000) for number in range(20)], now=1.0)
    assert len(spool.head(records=7, size=LIMIT)) == 7
    assert len(spool.head(records=7, size=2500)) == 2
    assert len(spool.head(records=7, size=1)) == 1


def test_only_removed_records_are_gone(spool: Spool) -> None:
    """What was not acknowledged stays, in its place."""
    spool.put([record(number) for number in range(4)], now=1.0)
    entries = spool.head(records=4, size=LIMIT)
    spool.remove([entries[0], entries[2]])
    assert values(spool) == [record(1).value, record(3).value]
    assert spool.state().records == 2


def test_survives_reopening_with_its_numbers(path: Path) -> None:
    """A new start finds the records and knows how many, how much and how old they are."""
    first = Spool(path, max_bytes=LIMIT)
    first.put([record(1), record(2)], now=1234.5)
    before = first.state()
    first.close()
    second = Spool(path, max_bytes=LIMIT)
    assert second.state() == before
    assert (before.records, before.oldest) == (2, 1234.5)
    second.close()


def test_full_spool_keeps_what_fits_and_says_so(spool: Spool) -> None:
    """At the limit the first records that fit are kept, and there is room again once something was removed."""
    assert spool.put([record(1, size=LIMIT // 2)], now=1.0) == 1
    assert spool.put([record(2), record(3, size=LIMIT // 2), record(4)], now=1.0) == 1
    assert spool.put([record(5, size=LIMIT // 2)], now=1.0) == 0
    assert [kept.split(b":")[0] for kept in values(spool)] == [b"1", b"2"]
    spool.remove(spool.head(records=1, size=LIMIT))
    assert spool.put([record(3, size=LIMIT // 2)], now=1.0) == 1


def test_second_receiver_on_the_same_file_is_refused(spool: Spool, path: Path) -> None:
    """Two receivers must not drain one spool: the second one is told so."""
    spool.put([record(1)], now=1.0)
    with pytest.raises(SpoolFailed, match="locked"):
        Spool(path, max_bytes=LIMIT)


def test_file_is_for_its_owner_only(spool: Spool, path: Path) -> None:
    """The spool holds personal data: neither group nor others can read any of its files (P7)."""
    spool.put([record(1)], now=1.0)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file.name


def test_removed_numbers_do_not_stay_on_the_disk(spool: Spool, path: Path) -> None:
    """After the drain no file of the spool holds a byte of what went through it (P7)."""
    spool.put([Record("t", 0, b"k", b"canary-15551234888" * 50) for _ in range(200)], now=1.0)
    assert b"canary" in b"".join(file.read_bytes() for file in path.parent.iterdir())
    spool.remove(spool.head(records=1000, size=LIMIT))
    assert b"canary" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_unusable_place_is_one_clear_error(tmp_path: Path) -> None:
    """A directory that cannot be made is a SpoolFailed with its reason, nothing else."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolFailed, match="cannot be opened"):
        Spool(tmp_path / "file" / "spool.sqlite3", max_bytes=LIMIT)


def test_closed_file_is_spool_failed_not_a_sqlite_error(spool: Spool) -> None:
    """Whatever goes wrong below, callers see SpoolFailed."""
    spool.close()
    with pytest.raises(SpoolFailed):
        spool.put([record(1)], now=1.0)
    with pytest.raises(SpoolFailed):
        spool.head(records=1, size=1)
    with pytest.raises(SpoolFailed):
        spool.state()


def test_records_are_not_in_their_repr() -> None:
    """A record's text form, which a log or a traceback may show, quotes nothing that it carries (P7)."""
    assert "canary" not in repr(Record("t", 0, b"canary", b"canary", (("h", b"canary"),)))


def _put_and_die(path: Path) -> None:
    spool = Spool(path, max_bytes=LIMIT)
    for number in range(20):
        spool.put([record(number)], now=1.0)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_put_returned_for_survives_kill(path: Path) -> None:
    """A process killed with -9 right after `put` has lost nothing of it."""
    child = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=(path,))
    child.start()
    child.join(timeout=30)
    assert child.exitcode == -signal.SIGKILL
    spool = Spool(path, max_bytes=LIMIT)
    assert values(spool) == [record(number).value for number in range(20)]
    spool.close()


def test_every_put_is_synced_before_it_returns(path: Path, tmp_path: Path) -> None:
    """The pragmas that make a commit wait for the disk are in force on the open connection."""
    spool = Spool(path, max_bytes=LIMIT)
    asked = {name: spool._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
    assert asked == {"synchronous": 2, "journal_mode": "wal"}
    spool.close()
