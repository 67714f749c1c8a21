"""What was in flight when something was ordered: read from the journal, the only one who knows (DESIGN §6).

A cancel withholds what was not attempted. A call that had begun cannot be taken back, so whoever cancels is told which
those are: claims without an end when the order was given, and those that were called before the senders had read it
(a second at most). Claims that were given back (SendNotSent) never left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.config import Settings
from sendledger.domain.sending import CONTROL_KEEPS, CRASH_MARGIN, SECOND
from sendledger.edges.kafka import consumer
from sendledger.edges.log_reader import LogReader
from sendledger.edges.log_scan import scan, started
from sendledger_schemas.attempts import AttemptStarted
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.fields import format_instant
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendNotSent
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS

SHOWN = 20
"""Calls that are named; the others are counted."""

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
    """How many there were, and the oldest of them."""

    count: int
    items: Sequence[Flight]

    def shown(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"count": self.count, "items": [flight.shown() for flight in self.items]}


class Watch:
    """Knows where the journal ended before the order was given. Made by `watching`."""

    def __init__(self, reader: AIOKafkaConsumer, settings: Settings, before: dict[Any, int]) -> None:
        self._reader, self._before = reader, before
        # An older claim is dead: a sender makes a doubt of it, and it is shown as one.
        self._window = timedelta(seconds=settings.provider_timeout + CRASH_MARGIN / SECOND) + _CLOCKS

    async def in_flight(self, campaign_id: str | None) -> Flights:
        """Of a campaign, or of all (None), behind the acknowledged order. It takes a second. Errors: KafkaError."""
        await asyncio.sleep(CONTROL_KEEPS)  # until the senders surely obey
        places = list(self._before)
        since = int((datetime.now(UTC) - self._window).timestamp() * 1000)
        ends = await self._reader.end_offsets(places)
        for place, found in (await self._reader.offsets_for_times(dict.fromkeys(places, since))).items():
            self._reader.seek(place, ends[place] if found is None else found.offset)
        calls = _Calls(campaign_id, self._before)
        await scan(self._reader, ends, calls.take)
        names = calls.flew()
        numbers = await self._numbers([calls.claims[name][0] for name in names[:SHOWN]])
        flights = [calls.flight(name, to) for name, to in zip(names, numbers, strict=False)]
        return Flights(len(names), flights)

    async def _numbers(self, claims: Sequence[AttemptStarted]) -> list[str]:
        """The masked numbers, from the requests that the claims name."""
        log, found = LogReader(self._reader), []
        for claim in claims:
            place, offset = TopicPartition(SEND_REQUESTS, claim.request.partition), claim.request.offset
            record = (await log.at(place, [offset])).get(offset)
            happened = None if record is None else _event(record, b"")
            data = None if happened is None else happened.data
            found.append(f"***{data.to[-3:]}" if isinstance(data, SendRequested) else "***")
        return found


class _Calls:
    """The claims of a campaign and what became of them, from the journal's records in any order of the topics."""

    def __init__(self, campaign_id: str | None, before: dict[Any, int]) -> None:
        self._campaign, self._before = campaign_id, before
        self._needle = (campaign_id or "").encode()
        self._answers: dict[_Name, Event] = {}
        self._over: set[_Name] = set()
        self.claims: dict[_Name, tuple[AttemptStarted, datetime]] = {}

    def take(self, record: Any) -> None:
        """One record of the attempts or the responses."""
        happened = _event(record, self._needle)
        data: Any = None if happened is None else happened.data
        if happened is None or self._campaign not in (None, getattr(data, "campaign_id", None)):
            return
        if isinstance(data, AttemptStarted):
            self.claims.setdefault((data.message_id, data.attempt), (data, happened.time))
        elif record.topic == API_RESPONSES:
            name = data.message_id, data.attempt
            self._answers.setdefault(name, happened)
            ended_before = record.offset < self._before[TopicPartition(record.topic, record.partition)]
            if ended_before or isinstance(data, SendNotSent):
                self._over.add(name)

    def flew(self) -> list[_Name]:
        """Those that were in flight, the oldest first."""
        return sorted((name for name in self.claims if name not in self._over), key=lambda name: self.claims[name][1])

    def flight(self, name: _Name, to: str) -> Flight:
        """One of them."""
        answer = self._answers.get(name)
        became = "open" if answer is None else answer.type.removeprefix(_PREFIX).partition(".")[0]
        return Flight(name[0], to, name[1], self.claims[name][1], became)


def _event(record: Any, needle: bytes) -> Event | None:
    # Looked for in the bytes first: few records are this campaign's, and decoding is dear.
    if record.value is None or needle not in record.value:
        return None
    try:
        return decode(record.value)
    except UnreadableEvent:
        return None


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Look where the journal ends, now, before the order is given. Errors: KafkaError."""
    async with started(consumer(settings.kafka, group_id=None)) as reader:
        places = [TopicPartition(t, p) for t in (SEND_ATTEMPTS, API_RESPONSES) for p in range(settings.partitions)]
        reader.assign(places)
        yield Watch(reader, settings, await reader.end_offsets(places))
