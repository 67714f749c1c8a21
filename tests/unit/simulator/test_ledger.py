from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sendledger.simulator.entries import Entry, Started, Switched, Try, from_line, to_line
from sendledger.simulator.ledger import Ledger, LedgerFailed


def entry(number: int) -> Entry:
    """A small entry with a number."""
    return Try(mono=1.5, wall=2.5, postback=number, attempt=1, http_status=200, error=None)


def lines(path: Path) -> list[Entry | None]:
    """All lines of a ledger as entries."""
    return [from_line(line) for line in path.read_bytes().splitlines(keepends=True)]


def test_a_line_is_json_with_its_kind() -> None:
    """The line format is what other programs read: names and order are fixed."""
    assert to_line(entry(7)) == (
        b'{"kind":"try","mono":1.5,"wall":2.5,"postback":7,"try":1,"http_status":200,"error":null}\n'
    )


def test_entries_survive_their_line() -> None:
    """What was written is what is read."""
    for one in (
        entry(1),
        Started(mono=1, wall=2, seed=3, profile={"early": 0.5}),
        Switched(mono=1, wall=2, profile={}),
    ):
        assert from_line(to_line(one)) == one


@pytest.mark.parametrize("torn", [b"", b"\n", b'{"kind":"try","mo', b'{"kind":"unheard-of"}\n', b"[]\n"])
def test_a_line_that_is_none_reads_as_nothing(torn: bytes) -> None:
    """A torn or strange line is no error."""
    assert from_line(torn) is None


@pytest.mark.parametrize("sync", [True, False])
async def test_durable_means_in_the_file(tmp_path: Path, *, sync: bool) -> None:
    """Once `durable` returns, the lines are in the file, in the order in which they were given."""
    path = tmp_path / "ledger"
    async with Ledger(path, sync=sync) as ledger:
        for number in range(5):
            ledger.append([entry(number), entry(number + 100)])
            await ledger.durable()
            assert lines(path)[-2:] == [entry(number), entry(number + 100)]


async def test_many_answers_wait_for_few_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred calls at once cost far fewer than a hundred syncs, and each waits for its own."""
    synced: list[int] = []
    path = tmp_path / "ledger"
    sync = os.fdatasync

    def counted(file: int) -> None:
        sync(file)
        synced.append(len(path.read_bytes().splitlines()))

    monkeypatch.setattr(os, "fdatasync", counted)

    async def call(number: int) -> None:
        await asyncio.sleep(0)
        ledger.append([entry(number)])
        await ledger.durable()
        assert synced
        assert entry(number) in lines(path)[: synced[-1]]

    async with Ledger(path) as ledger:
        await asyncio.gather(*(call(number) for number in range(100)))
    assert len(synced) < 20
    assert len(lines(path)) == 100


async def test_what_nobody_waits_for_is_written_too(tmp_path: Path) -> None:
    """Entries without a waiter are in the file at the latest when the ledger is closed."""
    async with Ledger(tmp_path / "ledger") as ledger:
        ledger.append([entry(1)])
    assert lines(tmp_path / "ledger") == [entry(1)]


async def test_a_waiter_that_leaves_disturbs_no_other(tmp_path: Path) -> None:
    """A call that is cancelled while it waits for the disk takes no other call with it."""
    async with Ledger(tmp_path / "ledger") as ledger:
        ledger.append([entry(1)])
        leaving, staying = asyncio.create_task(ledger.durable()), asyncio.create_task(ledger.durable())
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
        assert leaving.cancelled()


async def test_the_ledger_is_appended_to_after_a_torn_line(tmp_path: Path) -> None:
    """An older run stays, and its torn last line swallows nothing."""
    path = tmp_path / "ledger"
    path.write_bytes(to_line(entry(1)) + b'{"kind":"tr')
    async with Ledger(path) as ledger:
        ledger.append([entry(2)])
    assert lines(path) == [entry(1), None, entry(2)]


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """The ledger holds phone numbers: mode 0600."""
    async with Ledger(tmp_path / "ledger"):
        assert (tmp_path / "ledger").stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_is_told_to_all(tmp_path: Path) -> None:
    """When the disk refuses, who waits hears of it, who comes later too, and the whole simulator."""
    ledger = await Ledger(Path("/dev/full")).__aenter__()
    ledger.append([entry(1)])
    for hears in (ledger.durable, ledger.durable, ledger.failed, ledger.__aexit__):
        with pytest.raises(LedgerFailed):
            await hears()
