"""The published numbers as they stand when `verify` begins, and what becomes of them while it waits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sendledger.domain.merging import UNREADABLE
from sendledger.domain.published import Place, Published
from sendledger.edges.verify.log import assign_all, read_to
from sendledger.edges.verify.spill import Spill
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, CAMPAIGNS, FOLD_SOURCES, MESSAGE_STATE

_POLL_MS = 200


class _Name(msgspec.Struct):
    recipient_id: str
    campaign_id: str
    to: dict[str, int]


_name = msgspec.json.Decoder(_Name).decode

Moved = tuple[str, Any]
"""("part", Place), ("state", campaign id) or ("message", (message id, its `to`))."""


class Snapshot:
    """`published`: partials and campaign states; `registered`: campaign → when its first event was appended (ms).

    `gone`: messages whose last record is none (a tombstone, or nothing that can be read).
    """

    def __init__(self, reader: AIOKafkaConsumer, partitions: int, topic_ids: dict[str, str]) -> None:
        self._reader, self._partitions = reader, partitions
        self.published = Published(topic_ids)
        self.registered: dict[str, int] = {}
        self.gone: set[str] = set()
        self._positions: dict[Any, int] = {}
        sources = self._places(*FOLD_SOURCES)
        topics = self._places(CAMPAIGN_PARTIALS, CAMPAIGN_STATE, MESSAGE_STATE)
        assign_all(reader, [TopicPartition(CAMPAIGNS, 0), *topics, *sources])

    def _places(self, *topics: str) -> list[Any]:
        return [TopicPartition(topic, partition) for topic in topics for partition in range(self._partitions)]

    async def read(self) -> None:
        """Partials, campaign states and the campaigns' log, each to the end that it has now."""
        for places in ([TopicPartition(CAMPAIGNS, 0)], self._places(CAMPAIGN_PARTIALS, CAMPAIGN_STATE)):
            ends = await self._reader.end_offsets(places)
            async for records in read_to(self._reader, ends):
                for record in records:
                    self._take(record)
            self._positions.update(ends)

    async def read_messages(self, partition: int, into: Spill) -> None:
        """The message states of one partition."""
        place = TopicPartition(MESSAGE_STATE, partition)
        ends = await self._reader.end_offsets([place])
        async for records in read_to(self._reader, ends):
            for record in records:
                self._message(record, into)
        self._positions.update(ends)

    async def messages(self, partition: int) -> int:
        """How many records there are of message states, at most."""
        place = TopicPartition(MESSAGE_STATE, partition)
        first, end = await self._reader.beginning_offsets([place]), await self._reader.end_offsets([place])
        return int(end[place] - first[place])

    def _take(self, record: ConsumerRecord[Any, Any]) -> Moved | None:
        key = record.key or b""
        if record.topic == CAMPAIGNS:
            self.registered.setdefault(key.decode("utf-8", "replace"), record.timestamp)
        elif record.topic == CAMPAIGN_PARTIALS:
            place: Place | None = self.published.partial(key, record.value, record.timestamp)
            return None if place is None else ("part", place)
        elif record.topic == CAMPAIGN_STATE:
            campaign = self.published.state(key, record.value)
            return None if campaign is None else ("state", campaign)
        return None

    def _message(self, record: ConsumerRecord[Any, Any], into: Spill | None) -> Moved | None:
        message_id = (record.key or b"").decode("utf-8", "replace")
        try:
            name = _name(record.value or b"")
        except UNREADABLE:
            self.gone.add(message_id)
            return None
        self.gone.discard(message_id)
        if into is not None:
            into.state(name.recipient_id, message_id, record.value)
        return "message", (message_id, name.to)

    async def follow(self, until: float, done: Callable[[], bool]) -> AsyncIterator[Moved]:
        """What is published from now on, until `done`, or until a moment (monotonic) has passed and all is read."""
        self._positions.pop(TopicPartition(CAMPAIGNS, 0), None)
        places = list(self._positions)
        self._reader.resume(*places)
        for place, offset in self._positions.items():
            self._reader.seek(place, offset)
        last: dict[Any, int] | None = None
        while places and not done():
            if last is None and time.monotonic() >= until:
                last = await self._reader.end_offsets(places)
            if last is not None and all([await self._reader.position(p) >= last[p] for p in places]):
                break
            for records in (await self._reader.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    message = record.topic == MESSAGE_STATE
                    moved = self._message(record, None) if message else self._take(record)
                    if moved is not None:
                        yield moved
        self._reader.pause(*places)
