"""Looks things up in the log: ends, beginnings, single records. One consumer of its own, which follows nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.edges.position_metrics import Positions, Seen, behind

_POLL_MS = 500
_AT_ONCE = 500
_PATIENCE = 60.0
_LOOK_WITHIN = 1.0  # seconds for the records at some cursors: an age that is not known is no reason to wait

Raw = Any  # aiokafka has no types that a checker could read; a record has offset, timestamp, key, value


class LogReader:
    """Serialised look-ups. The consumer is started and stopped by whoever made it."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._one = asyncio.Lock()

    async def ranges(self, topics: Collection[str], partition: int) -> dict[str, tuple[int, int]]:
        """Topic → (first offset that is still there, offset after the last) of one partition."""
        places = [TopicPartition(topic, partition) for topic in topics]
        async with self._one:
            first: dict[Any, int] = await self._consumer.beginning_offsets(places)
            end: dict[Any, int] = await self._consumer.end_offsets(places)
        return {place.topic: (first[place], end[place]) for place in places}

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""
        async with self._one:
            found: dict[TopicPartition, int] = await self._consumer.end_offsets(list(places))
        return found

    async def ages(self, cursors: Mapping[TopicPartition, int]) -> dict[TopicPartition, float]:
        """How old the first record from each cursor on is, in seconds, by the broker's time and our clock.

        What does not come in time is left out. Errors: KafkaError.
        """
        found: dict[TopicPartition, float] = {}
        async with self._one:
            self._consumer.assign(list(cursors))
            for place, cursor in cursors.items():
                self._consumer.seek(place, cursor)
            until = time.monotonic() + _LOOK_WITHIN
            while (wanted := cursors.keys() - found.keys()) and time.monotonic() < until:
                fetched = await self._consumer.getmany(*wanted, timeout_ms=100, max_records=len(wanted))
                for place, records in fetched.items():
                    found[place] = max(0.0, time.time() - records[0].timestamp / 1000)
                    self._consumer.pause(place)
            self._consumer.unsubscribe()
        return found

    async def seen(self, cursors: Positions) -> Seen:
        """Where the log ends behind these cursors, and how old what waits there is. Errors: KafkaError."""
        ends = await self.ends(cursors) if cursors else {}
        late = behind(cursors, ends)
        return Seen(cursors, ends, await self.ages(late) if late else {})

    async def since(self, place: TopicPartition, timestamp_ms: int) -> int | None:
        """The first offset whose record was appended at this time or later; None if there is none."""
        async with self._one:
            found = await self._consumer.offsets_for_times({place: timestamp_ms})
        return None if found[place] is None else int(found[place].offset)

    async def read(self, place: TopicPartition, offset: int) -> list[Raw]:
        """Some records from `offset` on, at least one; empty if none came in time."""
        async with self._one:
            self._consumer.assign([place])
            self._consumer.seek(place, offset)
            try:
                fetched = await self._consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            finally:
                self._consumer.pause(place)
        return [record for record in fetched.get(place, []) if record.offset >= offset]

    async def at(self, place: TopicPartition, offsets: Collection[int]) -> dict[int, Raw]:
        """The records at these offsets, and what came along with them; missing are those that retention deleted.

        Errors: TimeoutError if Kafka does not give what it has.
        """
        found: dict[int, Raw] = {}
        async with asyncio.timeout(_PATIENCE):
            for offset in sorted(offsets):
                while offset not in found:
                    came = await self.read(place, offset)
                    found.update({record.offset: record for record in came})
                    if offset not in found and await self._deleted(place, offset):
                        break
        return found

    async def _deleted(self, place: TopicPartition, offset: int) -> bool:
        async with self._one:
            return bool(offset < (await self._consumer.beginning_offsets([place]))[place])
