"""Few records gather before the next fetch, and go through Faust together; many do neither."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition

from sendledger.agents import gathering
from sendledger.agents.fetched import Batch, Packed
from sendledger.agents.gathering import FEW, Gathering, spaced, together
from sendledger.edges.clocks import steady

MOMENT = 0.25  # seconds


def packed_of(records: int) -> Packed:
    """A record batch of so many records."""
    return Packed(0, 0, records - 1, 0, records, b"")


def batch(partition: int, records: int) -> Batch:
    """A batch of so many records of a partition."""
    return Batch(TopicPartition("t", partition), 1, 0, [packed_of(records)])


def test_few_records_go_together_and_many_alone() -> None:
    """In their order; Faust's queues hold so many messages, however large each is."""
    few, many = [batch(0, 1), batch(1, FEW - 1)], [batch(0, 1), batch(1, FEW)]
    assert together([]) == []
    assert together(few) == [few]
    assert together(many) == [[many[0]], [many[1]]]


def test_a_fetch_rests_after_few_records_only() -> None:
    """Who is behind goes on at once, whatever the fetch before has asked for."""
    rests = Gathering(MOMENT)
    assert rests.left(now=10.0) <= 0
    rests.took([[packed_of(FEW)]], now=10.0)
    assert rests.left(now=10.1) == pytest.approx(MOMENT - 0.1)
    assert rests.left(now=10.0 + MOMENT) <= 0
    rests.took([[packed_of(FEW)], [packed_of(1)]], now=10.1)
    assert rests.left(now=10.1) <= 0


class Clock:
    """Time that passes by sleeping only. `slept`: how long each time, in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 50.0, list[float]()
        monkeypatch.setattr(gathering, "steady", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.slept.append(seconds)
        self.now += seconds


async def test_a_request_is_sent_when_its_rest_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed on as it was, and so is its answer."""
    clock, rests, asked = Clock(monkeypatch), Gathering(MOMENT), list[tuple[float, tuple[str, int]]]()

    async def fetch(*given: object) -> bool:
        asked.append((clock.now, given))  # type: ignore[arg-type]
        return True

    later = spaced(fetch, rests)
    rests.took([[packed_of(1)]], clock.now)
    assert await later("node", 1)
    assert await later("node", 2)  # nothing was taken meanwhile
    assert asked == [(50.0 + MOMENT, ("node", 1)), (50.0 + MOMENT, ("node", 2))]
    assert clock.slept == [MOMENT]


async def test_a_request_that_is_given_up_while_it_rests_is_never_sent() -> None:
    """As aiokafka's own: no error, and nothing has come. Its `close` awaits each without catching anything."""
    rests = Gathering(3600.0)
    rests.took([], steady())

    async def fetch(*_given: object) -> bool:
        raise AssertionError("sent")

    resting = asyncio.ensure_future(spaced(fetch, rests)())
    await asyncio.sleep(0)
    resting.cancel()
    assert await resting is False
