"""Reads whole topics from their beginning, outside any group, follows them, and tells how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

Apply = Callable[[Sequence[ConsumerRecord[bytes | None, bytes | None]]], Awaitable[None]]
"""Takes records of one partition, in order. When it returns, they count as read."""

_POLL_MS = 200
_MAX_RECORDS = 5_000


class Tail:
    """One consumer over all partitions of some topics. `caught_up`: it is where their ends were at its start.

    `pause`: seconds between two fetches of one that is caught up. What comes after a silence is taken at once; of what
    comes all the time, each record would otherwise be fetched by itself.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], apply: Apply, *, pause: float = 0.0
    ) -> None:
        self._consumer = consumer
        self._partitions = tuple(partitions)
        self._apply = apply
        self._pause = pause
        self._positions: dict[Any, int] = {}
        self._moved = asyncio.Event()
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Follow the topics until cancelled; what `apply` raises ends it. The consumer has to be started."""
        self._consumer.assign(list(self._partitions))
        ends = await self._consumer.end_offsets(list(self._partitions))
        await self._consumer.seek_to_beginning(*self._partitions)
        for partition in self._partitions:
            self._positions[partition] = await self._consumer.position(partition)
        self._look(ends)
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            for partition, records in fetched.items():
                await self._apply(records)
                # not the last record's offset + 1: compaction leaves gaps, at the end too
                self._positions[partition] = await self._consumer.position(partition)
            if fetched:
                self._look(ends)
                if self.caught_up.is_set() and sum(map(len, fetched.values())) < _MAX_RECORDS:
                    await asyncio.sleep(self._pause)

    def _look(self, ends: dict[Any, int]) -> None:
        if not self.caught_up.is_set() and all(self._positions[p] >= ends[p] for p in self._partitions):
            self.caught_up.set()
        self._moved.set()
        self._moved = asyncio.Event()

    async def reached(self, topic: str, partition: int, offset: int) -> None:
        """Return once the record at `offset` has been applied."""
        place = TopicPartition(topic, partition)
        while self._positions.get(place, 0) <= offset:
            await self._moved.wait()

    def lag(self) -> int:
        """Records between what was read and the ends that the broker last told."""
        behind = 0
        for partition in self._partitions:
            end = self._consumer.highwater(partition)
            behind += max(0, end - self._positions.get(partition, 0)) if end is not None else 0
        return behind
