"""Asks the owners of published records to publish them again, and waits until they have (DESIGN §5).

Nobody but its owner writes a topic: the ask is an event on `sms.campaigns.v1`, and stands in the audit trail.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from sendledger.config import Settings
from sendledger.domain.merging import UNREADABLE, decode_partial
from sendledger.domain.verification import Difference
from sendledger.edges.kafka import consumer, producer
from sendledger.edges.orders import Orders
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, MESSAGE_STATE

_AT_ONCE = 500
_POLL_MS = 200
_TOPICS = (CAMPAIGN_PARTIALS, CAMPAIGN_STATE, MESSAGE_STATE)

Wanted = set[tuple[str, Any]]
"""("part", (campaign, partition, day)), ("message", id), ("state", campaign): what is to be published again."""


@dataclass
class _Ask:
    """One campaign in one partition."""

    days: set[str] = field(default_factory=set)
    messages: dict[str, str] = field(default_factory=dict)  # message → recipient


def _asks(differences: Iterable[Difference]) -> tuple[dict[tuple[str, int | None], _Ask], Wanted]:
    asks: defaultdict[tuple[str, int | None], _Ask] = defaultdict(_Ask)
    wanted: Wanted = set()
    for difference in differences:
        campaign, partition, day = difference.campaign_id, difference.partition, difference.day
        ask = asks[campaign, partition]
        if difference.what == "message":
            ask.messages.update(dict.fromkeys(difference.messages, difference.recipient_id or ""))
            wanted.update(("message", message_id) for message_id in difference.messages)
        elif difference.what == "state":
            wanted.add(("state", campaign))
        else:
            ask.days.update([day] if day else ())
            wanted.add(("part", (campaign, partition, day)))
    return asks, wanted


async def repair(settings: Settings, differences: Iterable[Difference], *, by: str, patience: float) -> tuple[int, int]:
    """Ask for all records concerned. Returns how many were asked for, and how many of them came. Errors: KafkaError."""
    asks, wanted = _asks(differences)
    count = len(wanted)
    async with consumer(settings.kafka, group_id=None) as reader:
        places = [TopicPartition(topic, p) for topic in _TOPICS for p in range(settings.partitions)]
        reader.assign(places)
        for place, end in (await reader.end_offsets(places)).items():
            reader.seek(place, end)
        async with producer(settings.kafka) as out:
            orders = Orders(out, pepper=b"", partitions=settings.partitions)
            for (campaign, partition), ask in asks.items():
                for days, messages in _pieces(ask):
                    await orders.republish(campaign, by=by, partition=partition, days=days, messages=messages)
        until = time.monotonic() + patience
        while wanted and time.monotonic() < until:
            for records in (await reader.getmany(timeout_ms=_POLL_MS)).values():
                wanted.difference_update(filter(None, map(_came, records)))
                await asyncio.sleep(0)
    return count, count - len(wanted)


def _pieces(ask: _Ask) -> Iterator[tuple[list[str], dict[str, str]]]:
    """(days, messages) of each event: one event must not outgrow a record."""
    messages = sorted(ask.messages.items())
    yield sorted(ask.days), dict(messages[:_AT_ONCE])
    for start in range(_AT_ONCE, len(messages), _AT_ONCE):
        yield [], dict(messages[start : start + _AT_ONCE])


def _came(record: ConsumerRecord[Any, Any]) -> tuple[str, Any] | None:
    key = (record.key or b"").decode("utf-8", "replace")
    if record.topic == MESSAGE_STATE:
        return "message", key
    if record.topic == CAMPAIGN_STATE:
        return "state", key
    with suppress(*UNREADABLE):
        partial = decode_partial(record.value or b"")
        return "part", (partial.campaign_id, partial.partition, partial.day)
    return None
