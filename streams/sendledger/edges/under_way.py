"""What was in flight when something was ordered: read from the journal, the only one who knows (DESIGN §6).

A cancel withholds what was not attempted. A call that had begun cannot be taken back, so whoever cancels is told which
those are: claims without an end when the order was given, and those that were called before the senders had read it
(a second at most). Claims that were given back (SendNotSent) never left. The order comes first: nothing in here holds
it up, and nothing that fails in here makes an order that stands look like one that was not given.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sendledger.config import Settings
from sendledger.domain.sending import CONTROL_KEEPS, CRASH_MARGIN, SECOND
from sendledger.edges.kafka import consumer
from sendledger.edges.log_reader import LogReader
from sendledger.edges.log_scan import scan, since, started
from sendledger_schemas.attempts import AttemptStarted
from sendledger_schemas.envelope import UnreadableEvent, decode
from sendledger_schemas.fields import format_instant
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendNotSent
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS

SHOWN = 20
"""Calls that are named; the others are counted."""

LOOK_SECONDS = 30.0
"""So long somebody who has given an order waits for what was in flight, and no longer."""

_OPENING_SECONDS = 5.0  # before the order: it waits so long for a look at the journal's ends
_CLOCKS = timedelta(minutes=1)  # ours and the broker's may differ by so much
_PREFIX = "sendledger.send-"
_Name = tuple[str, int]  # message and attempt


@dataclass(frozen=True)
class Flight:
    """A call that may have reached the provider. `to`: masked; `became`: `open`, or how it has ended since."""

    message_id: str
    to: str
    attempt: int
    since: datetime
    became: str

    def shown(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "message_id": self.message_id,
            "to": self.to,
            "attempt": self.attempt,
            "since": format_instant(self.since),
            "became": self.became,
        }


@dataclass(frozen=True)
class Flights:
    """How many there were among the claims of the last `seconds`, how many are `open` still, and the oldest of them.

    `older`: what the published numbers count as attempting beyond those: older claims, or numbers that are behind.
    """

    count: int
    items: Sequence[Flight]
    open: int
    seconds: int
    older: int = 0

    def beside(self, attempting: int) -> Flights:
        """The same, beside how many messages the numbers count as attempting, read after the look."""
        return replace(self, older=max(0, attempting - self.open))

    def shown(self) -> dict[str, Any]:
        """As JSON shows it."""
        items = [flight.shown() for flight in self.items]
        return {"count": self.count, "older": self.older, "within_seconds": self.seconds, "items": items}


@dataclass(frozen=True)
class Unread:
    """What was in flight could not be read. The order stands all the same."""

    reason: str


class Watch:
    """Knows where the journal ended before the order was given. Made by `watching`."""

    def __init__(self, settings: Settings, journal: tuple[AIOKafkaConsumer, dict[Any, int]] | Unread) -> None:
        self._journal = journal
        # An older claim is dead: a sender makes a doubt of it, and it is shown as one.
        self._window = timedelta(seconds=settings.provider_timeout + CRASH_MARGIN / SECOND) + _CLOCKS
        self._since = datetime.now(UTC) - self._window

    async def in_flight(
        self, campaign_id: str | None, *, turn: AbstractAsyncContextManager[Any] | None = None
    ) -> Flights | Unread:
        """Of a campaign, or of all (None), behind the acknowledged order. It takes a second. No errors.

        `turn` is waited for first: for those who let only so many read the log at once.
        """
        if isinstance(self._journal, Unread):
            return self._journal
        try:
            async with asyncio.timeout(LOOK_SECONDS), turn or nullcontext():
                return await self._look(*self._journal, campaign_id)
        except (KafkaError, TimeoutError) as error:
            return _unread(error)

    async def _look(self, reader: AIOKafkaConsumer, before: dict[Any, int], campaign_id: str | None) -> Flights:
        await asyncio.sleep(CONTROL_KEEPS)  # until the senders surely obey
        ends = await reader.end_offsets(list(before))
        for place, offset in (await since(reader, before, int(self._since.timestamp() * 1000))).items():
            reader.seek(place, offset)
        calls = Calls(campaign_id, before)
        await scan(reader, ends, calls.take)
        names = calls.flew()
        log = LogReader(reader)
        numbers = [await _number(log, calls.claims[name]) for name in names[:SHOWN]]
        flights = [calls.flight(name, to) for name, to in zip(names, numbers, strict=False)]
        still = sum(name not in calls.answers for name in names)
        return Flights(len(names), flights, still, round(self._window.total_seconds()))


@dataclass(frozen=True, slots=True)
class Claim:
    """When a call was claimed, and where that stands among the attempts."""

    since: datetime
    partition: int
    offset: int


class Calls:
    """The claims of a campaign and what became of them, from the journal's records in any order of the topics.

    A hundred seconds of a fast account are hundreds of thousands of calls: of one that is over, its name is kept only.
    """

    def __init__(self, campaign_id: str | None, before: dict[Any, int]) -> None:
        self._campaign, self._before = campaign_id, before
        self._needle = (campaign_id or "").encode()
        self._over: set[_Name] = set()
        self.answers: dict[_Name, str] = {}
        self.claims: dict[_Name, Claim] = {}

    def take(self, record: Any) -> None:
        """One record of the attempts or the responses."""
        line = _line(record, self._needle)
        if line is None or self._campaign not in (None, line.data.campaign_id):
            return
        name = line.data.message_id, line.data.attempt
        if name in self._over:
            return
        if record.topic == API_RESPONSES:
            ended_before = record.offset < self._before[TopicPartition(record.topic, record.partition)]
            if ended_before or line.type == SendNotSent.TYPE:
                self._over.add(name)
                self.answers.pop(name, None)
                self.claims.pop(name, None)
            else:
                self.answers.setdefault(name, line.type)
        elif line.type == AttemptStarted.TYPE:
            self.claims.setdefault(name, Claim(line.time, record.partition, record.offset))

    def flew(self) -> list[_Name]:
        """Those that were in flight, the oldest first."""
        return sorted(self.claims, key=lambda name: self.claims[name].since)

    def flight(self, name: _Name, to: str) -> Flight:
        """One of them."""
        answer = self.answers.get(name)
        became = "open" if answer is None else answer.removeprefix(_PREFIX).partition(".")[0]
        return Flight(name[0], to, name[1], self.claims[name].since, became)


class _Call(msgspec.Struct, frozen=True, gc=False):
    message_id: str
    campaign_id: str
    attempt: int


class _Line(msgspec.Struct, frozen=True, gc=False):
    """Of every event of a call, what has to be known: a tenth of the time that decoding all of it takes."""

    type: str
    time: datetime
    data: _Call


_decoder = msgspec.json.Decoder(_Line)


def _line(record: Any, needle: bytes) -> _Line | None:
    # Looked for in the bytes first: few records are this campaign's. What has no attempt is no call's.
    if record.value is None or needle not in record.value:
        return None
    try:
        return _decoder.decode(record.value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


async def _number(log: LogReader, claim: Claim) -> str:
    """The masked number, from the request that the claim names."""
    started_ = await _data(log, SEND_ATTEMPTS, claim.partition, claim.offset)
    if not isinstance(started_, AttemptStarted):
        return "***"
    asked = await _data(log, SEND_REQUESTS, started_.request.partition, started_.request.offset)
    return f"***{asked.to[-3:]}" if isinstance(asked, SendRequested) else "***"


async def _data(log: LogReader, topic: str, partition: int, offset: int) -> Any:
    record = (await log.at(TopicPartition(topic, partition), [offset])).get(offset)
    try:
        return None if record is None or record.value is None else decode(record.value).data
    except UnreadableEvent:
        return None


def _unread(error: Exception) -> Unread:
    return Unread(f"the journal could not be read ({type(error).__name__})")


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Look where the journal ends, now, before the order is given. No errors: if it fails, `in_flight` says so."""
    places = [TopicPartition(t, p) for t in (SEND_ATTEMPTS, API_RESPONSES) for p in range(settings.partitions)]
    async with AsyncExitStack() as stack:
        journal: tuple[AIOKafkaConsumer, dict[Any, int]] | Unread
        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                reader = await stack.enter_async_context(started(consumer(settings.kafka, group_id=None)))
                reader.assign(places)
                journal = reader, await reader.end_offsets(places)
        except (KafkaError, TimeoutError) as error:
            journal = _unread(error)
        yield Watch(settings, journal)
