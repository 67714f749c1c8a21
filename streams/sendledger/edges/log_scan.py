"""Reads stretches of the log once, from where a reader was sought to fixed ends, for those who follow nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

_POLL_MS = 500
_MAX_RECORDS = 5_000

Records = Sequence[ConsumerRecord[Any, Any]]

Progress = Callable[[int, int], None]
"""Told now and then how many records were read, and of how many."""


@asynccontextmanager
async def started(reader: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that runs while the context lasts."""
    try:
        await reader.start()
        await asyncio.sleep(0)  # stopped before its tasks have begun, it would raise CancelledError
        yield reader
    finally:
        await reader.stop()


async def since(reader: AIOKafkaConsumer, places: Collection[Any], millis: int) -> dict[Any, int]:
    """Of each partition the first offset that the broker appended at `millis` or later, or else its end."""
    ends: dict[Any, int] = await reader.end_offsets(list(places))
    found = await reader.offsets_for_times(dict.fromkeys(places, millis))
    return {place: ends[place] if first is None else first.offset for place, first in found.items()}


async def fetches(reader: AIOKafkaConsumer, ends: Mapping[Any, int]) -> AsyncIterator[list[Records]]:
    """What each fetch brings of the records below `ends` (partition → offset), nothing too. Errors: KafkaError."""
    # A position, not the last record's offset: compaction leaves gaps, at the end too.
    while open_ := [place for place, end in ends.items() if await reader.position(place) < end]:
        fetched = await reader.getmany(*open_, timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        yield [[record for record in records if record.offset < ends[place]] for place, records in fetched.items()]


async def scan(reader: AIOKafkaConsumer, ends: Mapping[Any, int], take: Callable[[Any], None]) -> None:
    """Hand out all records below `ends` (partition → offset), each partition in order. Errors: KafkaError."""
    async for fetched in fetches(reader, ends):
        for records in fetched:
            for record in records:
                take(record)
