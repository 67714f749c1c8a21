"""Hears on `sms.campaigns.v1` what `verify --repair` asks of the owners of published records (DESIGN §5)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka import ConsumerRecord

from sendledger.config import KafkaSettings
from sendledger.edges.campaigns_log import PLACE
from sendledger.edges.kafka import consumer
from sendledger.edges.tail import Tail
from sendledger_schemas.campaigns import RepublishAsked
from sendledger_schemas.envelope import UnreadableEvent, decode

Answer = Callable[[RepublishAsked], Awaitable[None]]

YOUNG = 60.0
"""Seconds. Who asked longer ago has asked again, or does not wait any more."""
_NEEDLE = RepublishAsked.TYPE.encode()

_log = structlog.get_logger()


async def hear(kafka: KafkaSettings, answer: Answer) -> None:
    """Answer each ask as it comes, until cancelled. Errors: whatever `answer` raises, KafkaError."""

    async def apply(records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        for record in records:
            asked = _asked(record)
            if asked is not None:
                _log.info("asked to publish again", campaign=asked.campaign_id, messages=len(asked.messages))
                await answer(asked)

    async with consumer(kafka) as reader:
        await Tail(reader, [PLACE], apply).run()


def _asked(record: ConsumerRecord[Any, Any]) -> RepublishAsked | None:
    # Looked for in the bytes first: nearly all of this log is something else, and decoding is dear.
    if _NEEDLE not in (record.value or b"") or time.time() - record.timestamp / 1000 > YOUNG:
        return None
    try:
        data = decode(record.value or b"").data
    except UnreadableEvent:
        return None  # the senders tell of it
    return data if isinstance(data, RepublishAsked) else None
