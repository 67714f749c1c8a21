"""A tail that is caught up lets records come together; until then it reads as fast as it can."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from sendledger.edges import tail
from sendledger.edges.tail import Tail

PLACE = TopicPartition("t", 0)
PAUSE = 0.5


class Done(Exception):
    """The script is at its end."""


class Scripted:
    """A consumer of one partition whose log ended at `end`; each fetch gives so many records."""

    def __init__(self, end: int, *fetches: int) -> None:
        self._end, self._fetches, self._at = end, list(fetches), 0

    def assign(self, _partitions: list[TopicPartition]) -> None:
        """As aiokafka's."""

    async def end_offsets(self, _partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """As aiokafka's."""
        return {PLACE: self._end}

    async def seek_to_beginning(self, *_partitions: TopicPartition) -> None:
        """As aiokafka's."""

    async def position(self, _partition: TopicPartition) -> int:
        """As aiokafka's."""
        return self._at

    async def getmany(self, **_given: Any) -> dict[TopicPartition, list[int]]:
        """The next of the script. Errors: Done."""
        if not self._fetches:
            raise Done
        count = self._fetches.pop(0)
        first, self._at = self._at, self._at + count
        return {PLACE: list(range(first, self._at))} if count else {}


@pytest.mark.parametrize(
    ("end", "fetches", "pauses"),
    [
        (0, (1, 2), 2),
        (0, (0, 0), 0),  # nothing came: the next record is wanted at once
        (5, (2, 2, 1, 1), 2),  # two fetches are of what stood there before
        (0, (tail._MAX_RECORDS, 1), 1),  # the log is ahead again
    ],
)
async def test_who_is_caught_up_pauses(
    monkeypatch: pytest.MonkeyPatch, end: int, fetches: tuple[int, ...], pauses: int
) -> None:
    """After each fetch that gave few records; all of them are applied."""
    slept, applied = list[float](), list[Any]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def apply(records: Any) -> None:
        applied.extend(records)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Done):
        await Tail(Scripted(end, *fetches), [PLACE], apply, pause=PAUSE).run()
    assert slept == [PAUSE] * pauses
    assert applied == list(range(sum(fetches)))
