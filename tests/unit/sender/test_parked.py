"""A paused campaign holds up nobody, however many of its messages are parked (DESIGN §6, rule 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from sendledger.agents.sender_lanes import WINDOW
from sendledger.domain.message import Message
from sendledger.edges.sender_store import SenderStore, Waiting
from sendledger_schemas.topics import SEND_REQUESTS
from tests.support import story
from tests.support.partition import Log, Worker, worker

PARKED = 100_000
GOING = 300


class Reads:
    """How many rows and messages a store was asked for."""

    def __init__(self, store: SenderStore, patch: pytest.MonkeyPatch) -> None:
        self.rows = self.messages = 0
        scan, messages = SenderStore._scan, SenderStore.messages

        def counted(it: SenderStore, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
            for row in scan(it, start, end):
                self.rows += it is store
                yield row

        def asked(it: SenderStore, names: Sequence[str]) -> list[Message | None]:
            self.messages += len(names) if it is store else 0
            return messages(it, names)

        patch.setattr(SenderStore, "_scan", counted)
        patch.setattr(SenderStore, "messages", asked)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One partition: 100,000 requests of a campaign that is paused, and behind them some of another one."""
    log = Log()
    for number in range(PARKED):
        log.add(story.requested(f"p{number}", f"rp{number}", "parked"))
    for number in range(GOING):
        log.add(story.requested(f"g{number}", f"rg{number}", "going"))
    it = worker(tmp_path_factory.mktemp("crowded"), log)
    it.orders.standings["parked"] = "paused"
    for _ in range(0, PARKED + GOING, 2_000):
        it.read(SEND_REQUESTS, 2_000)
    it.read()
    yield it
    it.close()


def test_the_store_finds_the_other_campaign_past_all_that_is_parked(
    crowded: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its campaigns and their first messages cost a few rows, wherever they stand."""
    store = crowded.partition.store
    reads = Reads(store, monkeypatch)
    assert store.campaigns() == ["going", "parked"]
    assert store.lane("going", -1, 10) == [Waiting(PARKED + number, f"g{number}") for number in range(10)]
    assert reads.rows <= 2 + 10 + 1


def test_the_other_campaign_goes_past_all_that_is_parked(crowded: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, in order, in looks that read what they pick and no more than a window of rows beside it."""
    crowded.reopen()
    crowded.read()
    reads = Reads(crowded.partition.store, monkeypatch)
    names: list[str] = []
    for look in range(10):
        names += crowded.picked(GOING // 10, seconds=look)
    assert names == [f"g{number}" for number in range(GOING)]
    assert reads.messages <= GOING + 10
    assert reads.rows <= GOING + 4 * WINDOW
    assert crowded.picked(50, seconds=20) == []
    assert reads.messages <= GOING + 10


def test_a_resume_lets_the_parked_go_in_order_and_a_look_stays_small(
    crowded: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look after the resume reads a window, not the hundred thousand."""
    crowded.reopen()
    crowded.read()
    crowded.orders.standings["parked"] = "open"
    crowded.orders.standings["going"] = "paused"
    reads = Reads(crowded.partition.store, monkeypatch)
    try:
        assert crowded.picked(100) == [f"p{number}" for number in range(100)]
        assert reads.rows <= 2 * WINDOW
        assert reads.messages <= 2 * WINDOW
    finally:
        crowded.orders.standings = {"parked": "paused"}
