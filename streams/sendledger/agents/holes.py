"""Holes in what was fetched: batches that got lost on their way from the consumer's thread to us.

Faust drops what is on its way whenever it stops the flow, and clears its queues when it lets the flow go on. A hole
shows in one of two ways, and is mended by reading again from where it begins:
- A batch comes that does not follow the one before.
- Nothing comes any more although more was fetched: what got lost was the last of its partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sendledger.agents.fetched import Batch
from sendledger.agents.transport import LogChangedError, Position

LOOK_EVERY = 1.0  # seconds; what was fetched before one look and has not come at the next is late
_TURNS = 100  # of the loop, which a late batch is still given: a loop that was busy has many on their way

_NOBODY = -1  # the number of no seek

Place = tuple[int, int]
"""Number of a seek, and the next offset since."""

_log = structlog.get_logger()


class Reader(Protocol):
    """The consumer, from the application's loop."""

    async def ranges(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset that the log still has and the one after its last, for each partition."""

    async def seek_all(self, positions: Position) -> int:
        """Read on from here; returns the number of this seek."""

    def fetched(self, tp: TopicPartition) -> Place | None:
        """Up to where a partition was fetched; None while its partitions change hands."""


class Holes:
    """What has to come next, by topic partition. `mended`: how often something was read again."""

    def __init__(self) -> None:
        self.mended = 0
        self.expected: dict[TopicPartition, Place] = {}
        self._suspects: dict[TopicPartition, Place] = {}
        self._mending = asyncio.Lock()

    def forget(self) -> None:
        """No partition is ours any more."""
        self.expected = {}

    def begin(self, seek: int, cursors: Mapping[TopicPartition, int]) -> None:
        """These are ours, and read from here."""
        self.expected = {tp: (seek, offset) for tp, offset in cursors.items()}

    async def follows(self, batch: Batch, reader: Reader) -> bool:
        """Whether a batch is what comes next; what it leaves a hole before will come once more.

        Errors: LogChangedError; what the broker refuses.
        """
        found = self.expected.get(batch.tp)
        if found is None or batch.seek != found[0]:
            return False  # fetched before the last seek
        if batch.start > found[1]:
            await self._mend(batch.tp, found, reader)
            return False
        self.expected[batch.tp] = batch.seek, batch.next
        return True

    async def watch(self, reader: Reader) -> None:
        """Look every second for what does not come, until cancelled. Errors: as `look`."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look(reader)

    async def look(self, reader: Reader) -> None:
        """Read again what was fetched before the last look and has not come. Errors: LogChangedError."""
        before, self._suspects = self._suspects, self._awaited(reader)
        late = {tp: place for tp, place in self._suspects.items() if before.get(tp) == place}
        if not late:
            return
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for tp, place in late.items():
            try:
                await self._mend(tp, place, reader)
            except KafkaError as error:  # the next look tries again; the watchdog ends what never succeeds
                _log.warning("a hole was not mended", topic=tp.topic, error=type(error).__name__)

    def _awaited(self, reader: Reader) -> dict[TopicPartition, Place]:
        """What has to come next of partitions of which more was fetched."""
        return {tp: place for tp, place in self.expected.items() if reader.fetched(tp) not in (None, place)}

    async def _mend(self, tp: TopicPartition, found: Place, reader: Reader) -> None:
        """Look at the log and read again from `found`, unless it comes meanwhile or the partition is gone."""
        async with self._mending:
            ours, (_, place) = self.expected, found
            first, _end = (await reader.ranges([tp]))[tp]
            if self.expected is not ours or ours.get(tp) != found:
                return
            if first > place:
                raise LogChangedError(f"{tp.topic}/{tp.partition} was cut at {first}, read only to {place}")
            _log.warning("hole in the fetched records", topic=tp.topic, partition=tp.partition, at=place)
            self.mended += 1
            ours[tp] = _NOBODY, place  # what is still on its way from before this seek would come twice
            try:
                ours[tp] = await reader.seek_all({tp: place}), place
            except KafkaError:
                if self.expected is ours:
                    raise
