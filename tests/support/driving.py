"""An owner of the batch driver that notes what it gets, and the driver with it on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.fetched import Packed
from sendledger.config import Settings
from sendledger.edges.kafka import connection
from sendledger.edges.publisher import Outgoing
from sendledger_schemas.topics import SEND_ATTEMPTS, SEND_REQUESTS

TOPICS = (SEND_REQUESTS, SEND_ATTEMPTS)


class Notebook:
    """An owner that notes what it gets, by topic partition; its notes are its cursors."""

    def __init__(self, start: Mapping[TopicPartition, int] | None = None) -> None:
        self.start = dict(start or {})
        self.notes: dict[TopicPartition, list[int]] = {}
        self.log: dict[TopicPartition, LogRange] = {}
        self.packed: list[Packed] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def count(self) -> int:
        """Records so far."""
        return sum(map(len, self.notes.values()))

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Where the notes end."""
        cursors = {}
        for topic, span in log.items():
            tp = TopicPartition(topic, partition)
            self.log[tp] = span
            cursors[topic] = self.notes[tp][-1] + 1 if self.notes.get(tp) else self.start.get(tp, span.first)
        return cursors

    async def batch(self, partition: int, records: Mapping[str, Sequence[Any]]) -> None:
        """Note the offsets."""
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        for topic, batch in records.items():
            notes = self.notes.setdefault(TopicPartition(topic, partition), [])
            self.packed += [record for record in batch if isinstance(record, Packed)]
            for record in batch:
                notes += [one.offset for one in (record.unpacked() if isinstance(record, Packed) else (record,))]

    async def revoked(self, partitions: Collection[int]) -> None:
        """Nothing to close."""


@asynccontextmanager
async def reading(settings: Settings, owner: Notebook, *topics: str, packed: bool = False) -> AsyncIterator[BatchApp]:
    """The driver, reading; stopped at the end."""
    stop = asyncio.Event()
    app = BatchApp(connection(settings.kafka), "driver-test", topics or TOPICS, owner, packed=packed)
    running = asyncio.create_task(app.run(stop))
    await asyncio.wait({running, asyncio.ensure_future(app.ready.wait())}, return_when="FIRST_COMPLETED", timeout=30)
    try:
        yield app
    finally:
        stop.set()
        await running


def numbered(count: int, *topics: str, partitions: int = 8) -> list[Outgoing]:
    """`count` small records on each partition of each topic."""
    return [
        Outgoing(topic, partition, b"k", str(number).encode())
        for topic in topics or TOPICS
        for partition in range(partitions)
        for number in range(count)
    ]
