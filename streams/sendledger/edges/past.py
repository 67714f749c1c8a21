"""A campaign at an earlier moment, from the log: its recipients, all their facts, and the orders that stood.

1. the campaigns log            when it was registered, what was ordered by then
2. where each partition ends    by the clock of the log at the first record that was appended later
3. the requests                 who the campaign's recipients are
4. partition by partition       all facts about these recipients (their other campaigns' too: adoption needs them)
Reads without a group: nobody is disturbed, nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sendledger.config import KafkaSettings
from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.facts import Requested, micros
from sendledger.domain.moments import Clock, Remembered
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger.edges.kafka import consumer
from sendledger.edges.log_scan import Progress, since
from sendledger.edges.verify.log import LogCutError, Range, assign_all, read_to, seen_of, sources
from sendledger.edges.verify.spill import Spill
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.fields import format_instant
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.states import CampaignState
from sendledger_schemas.topics import CAMPAIGNS, RECEIVERS, SEND_REQUESTS

_FETCH_MS = 50
_SLACK = timedelta(minutes=10)  # the clocks of several brokers may differ


class NotYetError(Exception):
    """The campaign was not registered by that moment. The message says since when it is."""


@dataclass(frozen=True)
class Asked:
    """Which campaign at which moment by which clock."""

    campaign_id: str
    moment: datetime
    clock: Clock

    @property
    def millis(self) -> int:
        """The moment as Kafka stamps records."""
        return micros(self.moment) // 1_000


@dataclass(frozen=True)
class Past:
    """A campaign as it was."""

    asked: Asked
    state: CampaignState
    control: Control
    gaps: tuple[ReceiverAway, ...]

    def view(self, policy: Policy = DEFAULT) -> dict[str, Any]:
        """As `GET /v1/campaigns/{id}` shows it, with the moment that was asked for."""
        asked = self.asked
        shown = campaign_view(asked.campaign_id, self.state, self.control, self.gaps, asked.moment, policy=policy)
        return {**shown, "at": format_instant(asked.moment), "clock": asked.clock}


async def recall(kafka: KafkaSettings, asked: Asked, *, partitions: int, progress: Progress) -> Past:
    """Fold the log up to a moment. Errors: NotYetError, LogCutError, StandstillError, UnknownVersion, KafkaError."""
    # What asks for offsets waits behind a fetch at the end of a partition: these are kept short.
    reader = consumer(kafka, group_id=None, fetch_max_wait_ms=_FETCH_MS)
    await reader.start()
    try:
        return await _Recall(reader, asked, partitions, progress).past()
    finally:
        await reader.stop()


class _Recall:
    def __init__(self, reader: AIOKafkaConsumer, asked: Asked, partitions: int, progress: Progress) -> None:
        self._reader, self._asked, self._partitions, self._tell = reader, asked, partitions, progress
        self._control = Control()
        self._gaps: list[ReceiverAway] = []
        self._registered: int | None = None  # ms, when the registration was appended
        self._sum = Remembered(asked.campaign_id, asked.moment, asked.clock)
        self._read = self._of = 0

    async def past(self) -> Past:
        await self._orders()
        spans = await self._spans()
        await self._whole(spans)
        requests = {p: (span.firsts[0], span.ends[0]) for p, span in spans.items()}
        starts = await self._starts(requests)
        self._of = sum(end - starts[p] for p, (_, end) in requests.items()) + sum(s.records for s in spans.values())
        for partition, span in spans.items():
            await self._partition(partition, span, starts[partition])
        if {p: span.firsts for p, span in (await self._spans()).items()} != {p: s.firsts for p, s in spans.items()}:
            raise LogCutError("retention deleted a part of the log while it was read: ask again")
        return Past(self._asked, self._sum.state(), self._control, tuple(self._gaps))

    # ------------------------------------------------------------------------------ orders
    async def _orders(self) -> None:
        """The campaigns log and the receivers' gaps, up to the moment; and since when the campaign is known."""
        places = [TopicPartition(topic, 0) for topic in (CAMPAIGNS, RECEIVERS)]
        ends, cuts = await self._reader.end_offsets(places), await self._cuts(places)
        everything = [place for partition in range(self._partitions) for place in sources(partition)]
        assign_all(self._reader, [*places, *everything])
        first: tuple[int, Event] | None = None
        async for records in read_to(self._reader, ends):
            for record, event in _events(records):
                data = event.data
                known = record.offset < cuts[TopicPartition(record.topic, 0)]
                if self._asked.clock == "provider":
                    known = (data.from_ if isinstance(data, ReceiverAway) else event.time) <= self._asked.moment
                if isinstance(data, ReceiverAway):
                    self._gaps += [data] if known else []
                elif known:
                    self._control.evolve(record.offset, event)
                if first is None and _registers(event, self._asked.campaign_id):
                    first = record.timestamp, event
        if first is not None:
            self._registered = first[0]
            if self._control.campaign(self._asked.campaign_id).registered is None:
                raise NotYetError(f"it was not registered by then, but at {format_instant(first[1].time)}")

    # ------------------------------------------------------------------------------ how much of the log
    async def _cuts(self, places: list[Any]) -> Mapping[Any, int]:
        """By the clock of the log, where the first record stands that was appended after the moment; else the end."""
        if self._asked.clock == "provider":
            ends: dict[Any, int] = await self._reader.end_offsets(places)
            return ends
        return await since(self._reader, places, self._asked.millis + 1)

    async def _spans(self) -> dict[int, Range]:
        """What to read of each partition."""
        places = {partition: sources(partition) for partition in range(self._partitions)}
        everywhere = [place for five in places.values() for place in five]
        firsts: dict[Any, int] = await self._reader.beginning_offsets(everywhere)
        cuts = await self._cuts(everywhere)
        return {
            partition: Range(
                tuple(firsts[place] for place in five),  # type: ignore[arg-type]  # five, as there are topics
                tuple(max(cuts[place], firsts[place]) for place in five),  # type: ignore[arg-type]  # as above
            )
            for partition, five in places.items()
        }

    async def _whole(self, spans: Mapping[int, Range]) -> None:
        """Errors: LogCutError if retention may have deleted facts of the campaign.

        What was deleted was older than the oldest record that is left: a campaign that was registered later is whole.
        """
        places = [
            place
            for partition, span in spans.items()
            for place, first in zip(sources(partition), span.firsts, strict=True)
            if first > 0
        ]
        if not places:
            return
        found = await self._reader.offsets_for_times(dict.fromkeys(places, 0))
        oldest = max((first.timestamp for first in found.values() if first is not None), default=None)
        if oldest is None:
            return  # only whole topics are gone (decisions are rare): what they held is older than all that is there
        if self._registered is None or self._registered <= oldest:
            before = format_instant(datetime.fromtimestamp(oldest / 1_000, UTC))
            raise LogCutError(f"retention has deleted what was written before {before}: part of this campaign, perhaps")

    async def _starts(self, requests: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Where the campaign's requests may begin: no request is written before the registration."""
        if self._registered is None:
            return {partition: first for partition, (first, _) in requests.items()}
        since = max(0, self._registered - _SLACK // timedelta(milliseconds=1))
        places = {TopicPartition(SEND_REQUESTS, partition): since for partition in requests}
        found = await self._reader.offsets_for_times(places)
        offsets = {place.partition: None if at is None else at.offset for place, at in found.items()}
        return {
            partition: min(end, end if offset is None else max(first, offset))
            for partition, (first, end) in requests.items()
            for offset in (offsets[partition],)
        }

    # ------------------------------------------------------------------------------ facts
    async def _partition(self, partition: int, span: Range, start: int) -> None:
        recipients = await self._recipients(partition, start, span.ends[0])
        if not recipients:
            self._told(span.records)
            return
        with Spill(min(span.records, 8 * len(recipients))) as spill:
            async for records in self._records(dict(zip(sources(partition), span.ends, strict=True))):
                for record in records:
                    if record.key in recipients and (one := seen_of(record)) is not None:
                        spill.fact(one)
            await asyncio.to_thread(self._add, partition, spill)

    async def _recipients(self, partition: int, start: int, end: int) -> set[bytes]:
        """Keys of those to whom the campaign has requests."""
        place = TopicPartition(SEND_REQUESTS, partition)
        needle, found = self._asked.campaign_id.encode(), set()
        async for records in self._records({place: end}, {place: start}):
            for record in records:
                # looked for in the bytes first: decoding is dear
                if needle in (record.value or b"") and (one := seen_of(record)) is not None:
                    fact = one.fact
                    if isinstance(fact, Requested) and fact.data.campaign_id == self._asked.campaign_id:
                        found.add(record.key or b"")
        return found

    async def _records(
        self, ends: Mapping[Any, int], starts: Mapping[Any, int] | None = None
    ) -> AsyncIterator[list[ConsumerRecord[Any, Any]]]:
        async for records in read_to(self._reader, ends, starts):
            yield list(records)
            self._told(len(records))

    def _told(self, records: int) -> None:
        self._read += records
        self._tell(self._read, self._of)

    def _add(self, partition: int, spill: Spill) -> None:
        for seen, _ in spill.buckets():
            for facts in seen.values():
                self._sum.add(partition, facts)


def _events(records: Any) -> list[tuple[ConsumerRecord[Any, Any], Event]]:
    found = []
    for record in records:
        try:
            found.append((record, decode(record.value or b"")))
        except UnreadableEvent:
            continue  # told by whoever follows the log
    return found


def _registers(event: Event, campaign_id: str) -> bool:
    return event.type == "sendledger.campaign-registered.v1" and getattr(event.data, "campaign_id", "") == campaign_id
