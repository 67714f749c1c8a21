"""Reads stretches of the log once, from where a reader was sought to fixed ends, for those who follow nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

_POLL_MS = 500
_MAX_RECORDS = 5_000


@asynccontextmanager
async def started(reader: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that runs while the context lasts."""
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def scan(reader: AIOKafkaConsumer, ends: Mapping[Any, int], take: Callable[[Any], None]) -> None:
    """Hand out all records below `ends` (partition → offset), each partition in order. Errors: KafkaError."""
    open_ = {place for place, end in ends.items() if await reader.position(place) < end}
    while open_:
        for place, records in (await reader.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)).items():
            for record in records:
                if record.offset < ends[place]:
                    take(record)
        open_ = {place for place in open_ if await reader.position(place) < ends[place]}
