"""`sms.campaigns.v1` in memory: what was ordered (Control) and which batches exist, always followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sendledger.domain.batches import Batches
from sendledger.domain.campaigns import Control
from sendledger.edges.tail import Tail
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.topics import CAMPAIGNS

log = structlog.get_logger()

PLACE = TopicPartition(CAMPAIGNS, 0)


class CampaignsLog:
    """The two folds of one log. `heard` is told each event that could be read, with its offset."""

    def __init__(self, heard: Callable[[int, Event], None] | None = None) -> None:
        self.control = Control()
        self.batches = Batches()
        self._heard = heard

    def take(self, offset: int, value: bytes | None) -> None:
        """One record. Errors: UnknownVersion (this program is older than its log)."""
        try:
            event = decode(value or b"")
        except UnreadableEvent as error:
            log.warning("unreadable record", topic=CAMPAIGNS, offset=offset, fault=str(error))
            self.control.skip(offset)
            return
        self.control.evolve(offset, event)
        self.batches.evolve(offset, event)
        if self._heard is not None:
            self._heard(offset, event)


@asynccontextmanager
async def following(consumer: AIOKafkaConsumer, campaigns: CampaignsLog) -> AsyncIterator[Tail]:
    """Follow the log while the context lasts; it is caught up on entry. For programs that need nothing else of it.

    Errors: whatever ended the reading before it was caught up.
    """

    async def apply(records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        for record in records:
            campaigns.take(record.offset, record.value)

    tail = Tail(consumer, [PLACE], apply)
    await consumer.start()
    reading = asyncio.create_task(tail.run(), name="campaigns log")
    caught_up = asyncio.create_task(tail.caught_up.wait())
    try:
        await asyncio.wait({reading, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        yield tail
    finally:
        for task in (reading, caught_up):
            task.cancel()
        await asyncio.gather(reading, caught_up, return_exceptions=True)
        await consumer.stop()
