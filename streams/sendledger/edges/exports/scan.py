"""Reads the topics that the tables are made of, each from its beginning to the end that it has now, without a group."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from sendledger.config import KafkaSettings
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.policies import DEFAULT
from sendledger.domain.rows import Row, campaign_row, message_row, postback_row
from sendledger.domain.settled import Policy
from sendledger.edges.exports.database import Database
from sendledger.edges.kafka import consumer
from sendledger.edges.log_scan import Progress, Records, started
from sendledger.edges.verify.log import assign_all, read_to
from sendledger.wire.codes import classify
from sendledger_schemas.attempts import AttemptStarted
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.fields import format_instant
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.responses import SendAccepted, SendNotSent, SendRejected, SendThrottled, SendUnanswered
from sendledger_schemas.states import CampaignState, MessageState
from sendledger_schemas.tables import columns
from sendledger_schemas.topics import (
    API_RESPONSES,
    CAMPAIGN_STATE,
    MESSAGE_STATE,
    POSTBACKS,
    SEND_ATTEMPTS,
    SEND_REQUESTS,
)

_OF_TABLE: Mapping[str, tuple[str, ...]] = {
    "messages": (MESSAGE_STATE,),
    "campaigns": (CAMPAIGN_STATE,),
    "attempts": (SEND_ATTEMPTS, API_RESPONSES),
    "postbacks": (POSTBACKS,),
}
_NO_ATTEMPT: Row = {column.name: None for column in columns("attempts")}


class _Asked(msgspec.Struct):
    to: str
    campaign_id: str


class _Request(msgspec.Struct):
    """Of a request only the number, and whose it is."""

    data: _Asked


_request = msgspec.json.Decoder(_Request)


@dataclass
class Reading:
    """What is read, into which file: `tables`, of one campaign or of all, under a policy."""

    database: Database
    tables: Collection[str]
    campaign: str | None = None
    policy: Policy = DEFAULT
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """The moment of which `unknown` tells."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """By topic, how many records nobody could read: they are left out."""

    def __post_init__(self) -> None:
        self._take: Mapping[str, Callable[[ConsumerRecord[Any, Any]], None]] = {
            MESSAGE_STATE: self._message,
            CAMPAIGN_STATE: self._campaign,
            SEND_ATTEMPTS: self._event,
            API_RESPONSES: self._event,
            POSTBACKS: self._event,
            SEND_REQUESTS: self._number,
        }
        self._needle = None if self.campaign is None else self.campaign.encode()

    @property
    def topics(self) -> list[str]:
        """The topics that the tables are made of."""
        return [topic for table, topics in _OF_TABLE.items() if table in self.tables for topic in topics]

    def take(self, records: Records) -> None:
        """Records of one partition in order; unreadable ones are counted. Errors: StatementError, UnknownVersion."""
        for record in records:
            try:
                self._take[record.topic](record)
            except (ValueError, msgspec.DecodeError, UnreadableEvent):
                self.unreadable[record.topic] += 1

    def _read(self, record: ConsumerRecord[Any, Any], model: type[MessageState | CampaignState], table: str) -> Any:
        """The state of a record; None if there is none in it, or one of another campaign."""
        if record.value is None:
            key = (record.key or b"").decode("utf-8", "replace")
            self.database.add("gone", {**_place(record), "key": key, "kind": table})
            return None
        # Looked for in the bytes first: decoding is dear.
        if self._needle is not None and self._needle not in record.value:
            return None
        state = model.model_validate_json(record.value)
        return None if self.campaign is not None and state.campaign_id != self.campaign else state

    def _message(self, record: ConsumerRecord[Any, Any]) -> None:
        state = self._read(record, MessageState, "messages")
        if state is not None:
            at = {"_request_partition": state.request.partition, "_request_offset": state.request.offset}
            self.database.add("read_messages", {**_place(record), **at, **message_row(state, self.policy, self.now)})

    def _campaign(self, record: ConsumerRecord[Any, Any]) -> None:
        state = self._read(record, CampaignState, "campaigns")
        if state is not None and state.campaign_id != NO_CAMPAIGN:
            self.database.add("read_campaigns", {**_place(record), **campaign_row(state, self.policy, self.now)})

    def _number(self, record: ConsumerRecord[Any, Any]) -> None:
        if record.value is None or (self._needle is not None and self._needle not in record.value):
            return
        asked = _request.decode(record.value).data
        if self.campaign in (None, asked.campaign_id):
            self.database.add("requests", {**_place(record), "number": asked.to})

    def _event(self, record: ConsumerRecord[Any, Any]) -> None:
        event = decode(record.value or b"")
        if isinstance(event.data, PostbackReceived):
            self.database.add("read_postbacks", {**_place(record), **postback_row(event.id, event.data)})
        elif (row := _attempt(event)) is not None and self.campaign in (None, row["campaign_id"]):
            self.database.add("read_attempts", {**_place(record), **row})


async def read(reading: Reading, kafka: KafkaSettings, *, partitions: int, progress: Progress) -> None:
    """Read all that `reading` asks for. Errors: KafkaError, StandstillError, UnknownVersion, StatementError."""
    places = [TopicPartition(topic, p) for topic in reading.topics for p in range(partitions)]
    async with started(consumer(kafka, group_id=None)) as reader:
        assign_all(reader, places)
        firsts, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        await _stretches(reader, firsts, ends, reading.take, progress)


async def read_numbers(reading: Reading, kafka: KafkaSettings, *, progress: Progress) -> None:
    """Read the requests of the messages that were read: nothing before the first and behind the last of a partition.

    Errors: as `read`.
    """
    found = await asyncio.to_thread(reading.database.stretches)
    if not found:
        return
    firsts = {TopicPartition(SEND_REQUESTS, partition): first for partition, first, _last in found}
    async with started(consumer(kafka, group_id=None)) as reader:
        assign_all(reader, list(firsts))
        there, ends = await reader.beginning_offsets(list(firsts)), await reader.end_offsets(list(firsts))
        for partition, _first, last in found:
            place = TopicPartition(SEND_REQUESTS, partition)
            ends[place] = min(ends[place], last + 1)
            firsts[place] = min(max(firsts[place], there[place]), ends[place])
        await _stretches(reader, firsts, ends, reading.take, progress)


async def _stretches(
    reader: Any, firsts: Mapping[Any, int], ends: Mapping[Any, int], take: Callable[[Records], None], progress: Progress
) -> None:
    if not ends:
        return
    everything, done = sum(end - firsts[place] for place, end in ends.items()), 0
    async for records in read_to(reader, ends, firsts):
        await asyncio.to_thread(take, records)
        done += len(records)
        progress(done, everything)
    progress(everything, everything)


def _place(record: ConsumerRecord[Any, Any]) -> Row:
    return {"_partition": record.partition, "_offset": record.offset}


def _attempt(event: Event) -> Row | None:
    """A row of what an event says about an attempt; None if it says nothing about one."""
    data, at = event.data, format_instant(event.time)
    match data:
        case AttemptStarted(worker=worker):
            said: Row = {"started_at": at, "worker": worker}
        case SendAccepted(tracking_id=tracking_id, duration_ms=duration):
            said = {"end": "accepted", "tracking_id": tracking_id, "duration_ms": duration}
        case SendRejected(error_code=code, error_class=error_class):
            said = {"end": "rejected", "error_code": code, "error_class": error_class}
        case SendThrottled(error_code=code, retry_at=retry_at):
            throttled = {"error_class": classify(code).name, "retry_at": format_instant(retry_at)}
            said = {"end": "throttled", "error_code": code, **throttled}
        case SendNotSent(reason=reason):
            said = {"end": "not_sent", "reason": reason}
        case SendUnanswered(reason=reason):
            said = {"end": "unanswered", "reason": reason}
        case _:
            return None
    whose = {name: getattr(data, name) for name in ("message_id", "campaign_id", "recipient_id", "attempt")}
    ended = {} if isinstance(data, AttemptStarted) else {"ended_at": at}
    return {**_NO_ATTEMPT, **whose, **ended, **said}
