"""Takes submissions: the campaign, then the batch, then its requests, each durable before the next (DESIGN §6, §8).

Order of one submission, and why
 1. known batch?            the same key again: same content → complete it and answer the same; other content → refused
 2. check                   nothing is written for a submission that is refused as a whole
 3. CampaignRegistered      so that the campaign is known from the answer on
 4. BatchRegistered         before its requests: after a crash the same submission finds it
 5. read back               of two registrations of one key the first in log order wins, whoever wrote it
 6. requests                with the winner's time: whoever writes them, and however often, they are the same events

A crash between 4 and 6 leaves a batch without (all of) its requests: the same submission again completes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from weakref import WeakValueDictionary

from aiokafka import AIOKafkaProducer

from sendledger.config import KafkaSettings, Settings
from sendledger.domain.batches import Batch
from sendledger.domain.intake import Checked, campaign_ref, check, requests
from sendledger.domain.parts import Bill
from sendledger.domain.submission import Faults, Refused, Submission
from sendledger.edges.campaigns_log import CampaignsLog, following
from sendledger.edges.kafka import consumer, producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.edges.system_record import confirm
from sendledger_schemas.campaigns import BatchRegistered, CampaignRegistered
from sendledger_schemas.envelope import HEADERS, Event, encode, event
from sendledger_schemas.ids import batch_id, event_id, partition_of
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import CAMPAIGNS, SEND_REQUESTS

SOURCE = "sendledger/intake"
_AT_ONCE = 2_000  # requests in memory and in flight together
_READ_BACK = 15.0  # seconds
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Terms:
    """What makes requests of rows: the same for every writer of one log. `region`: for numbers in national form."""

    pepper: bytes = field(repr=False)
    partitions: int
    region: str | None = None
    expiry: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class Answer:
    """The submission stands: so many rows became messages, those did not. The same whenever it is asked again.

    `bill`: the parts of these messages; None if there are none.
    """

    batch: str
    accepted: int
    refused: tuple[Refused, ...]
    bill: Bill | None


@dataclass(frozen=True)
class KeyReused:
    """The idempotency key stands for another submission: nothing was written."""

    batch: str


@dataclass(frozen=True)
class Cancelled:
    """The campaign is cancelled, for ever: nothing was written."""

    campaign_id: str


Outcome = Answer | Faults | KeyReused | Cancelled
Reached = Callable[[str, int, int], Awaitable[None]]
Written = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Of these message ids, those whose requests are on the log for sure."""


def terms_of(settings: Settings) -> Terms:
    """The terms of this installation. Errors: ConfigError if there is no pepper."""
    return Terms(
        pepper=settings.pepper(),
        partitions=settings.partitions,
        region=settings.default_region,
        expiry=timedelta(hours=settings.default_expiry_hours),
    )


async def _none_known(_message_ids: Sequence[str]) -> set[str]:
    return set()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Intake:
    """Takes submissions one after the other or many at once. `reached` waits until the log was read up to an offset."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        campaigns: CampaignsLog,
        reached: Reached,
        terms: Terms,
        *,
        written: Written = _none_known,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._producer = producer
        self._campaigns = campaigns
        self._reached = reached
        self._terms = terms
        self._written = written
        self._now = now
        self._complete: dict[str, None] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def submit(self, submission: Submission, *, key: str, by: str, dry_run: bool = False) -> Outcome:
        """Make messages of the rows. `key`: the idempotency key; `by`: who asks, as events show it.

        Errors: KafkaError or TimeoutError if the log cannot be written; the same call again completes it.
        """
        batch = batch_id(key)
        lock = self._locks.setdefault(batch, asyncio.Lock())
        async with lock:
            known = self._campaigns.batches.first.get(batch)
            outcome = await self._judge(submission, batch, known)
            if dry_run or not isinstance(outcome, Checked):
                return _answer(batch, outcome) if isinstance(outcome, Checked) else outcome
            digest = submission.digest(self._terms.pepper)
            won = known or await self._register(submission, batch, digest, rows=len(outcome.accepted), by=by)
            if won.digest != digest:
                return KeyReused(batch)
            if known is None and self._region(won) != self._terms.region:
                outcome = await self._check(submission, won)
                if isinstance(outcome, Faults):
                    return outcome
            await self._write(submission, outcome, batch, won, again=known is not None)
            return _answer(batch, outcome)

    async def _judge(
        self, submission: Submission, batch: str, known: Batch | None
    ) -> Checked | Faults | KeyReused | Cancelled:
        if known is not None and known.digest != submission.digest(self._terms.pepper):
            return KeyReused(batch)
        if known is None and self._campaigns.control.standing(submission.campaign_id) == "cancelled":
            return Cancelled(submission.campaign_id)
        return await self._check(submission, known)

    async def _check(self, submission: Submission, batch: Batch | None) -> Checked | Faults:
        # Judged at the time and by the region of the registration: what was not yet past then is not past when the
        # same comes again, and a row's message never goes to another number because a setting was changed.
        now = batch.at if batch is not None else self._now()
        return await asyncio.to_thread(check, submission, region=self._region(batch), now=now)

    def _region(self, batch: Batch | None) -> str | None:
        return self._terms.region if batch is None or batch.region is None else batch.region or None

    async def _register(self, submission: Submission, batch: str, digest: str, *, rows: int, by: str) -> Batch:
        campaign_id, now = submission.campaign_id, self._now()
        if self._campaigns.control.campaign(campaign_id).registered is None:
            ref = campaign_ref(submission)
            registered = CampaignRegistered(campaign_id=campaign_id, campaign_ref=ref, by=by)
            await self._order(_event(registered, campaign_id, at=now), campaign_id)
        region = self._terms.region or ""
        data = BatchRegistered(
            campaign_id=campaign_id, batch=batch, body_sha256=digest, rows=rows, by=by, region=region
        )
        offset = await self._order(_event(data, batch, digest, at=now), campaign_id)
        async with asyncio.timeout(_READ_BACK):
            await self._reached(CAMPAIGNS, 0, offset)
        return self._campaigns.batches.first[batch]

    async def _order(self, happened: Event, campaign_id: str) -> int:
        sent = await self._producer.send_and_wait(
            CAMPAIGNS, encode(happened), key=campaign_id.encode(), partition=0, headers=HEADERS
        )
        return int(sent.offset)

    async def _write(self, submission: Submission, checked: Checked, batch: str, won: Batch, *, again: bool) -> None:
        if batch in self._complete:
            return
        terms = self._terms
        data = requests(submission, checked, batch=batch, pepper=terms.pepper, now=won.at, expiry=terms.expiry)
        ready = (_ready(request, won.at, terms.partitions) for request in data)
        # encoded in another thread: a great file must not hold up the other answers
        while chunk := await asyncio.to_thread(lambda: list(islice(ready, _AT_ONCE))):
            there = await self._written([message_id for message_id, _ in chunk]) if again else set()
            await publish(self._producer, [record for message_id, record in chunk if message_id not in there])
        self._complete[batch] = None
        if len(self._complete) > _REMEMBERED:
            del self._complete[next(iter(self._complete))]


def _ready(data: SendRequested, at: datetime, partitions: int) -> tuple[str, Outgoing]:
    partition = partition_of(data.recipient_id, partitions)
    value = encode(_event(data, data.message_id, at=at))
    return data.message_id, Outgoing(SEND_REQUESTS, partition, data.recipient_id.encode(), value, HEADERS)


def _event(data: CampaignRegistered | BatchRegistered | SendRequested, *facts: str, at: datetime) -> Event:
    # the id is a function of the facts: the same request written again is the same event
    return event(data, id=event_id(data.TYPE, *facts), source=SOURCE, time=at)


def _answer(batch: str, checked: Checked) -> Answer:
    return Answer(batch, len(checked.accepted), checked.refused, checked.bill)


@asynccontextmanager
async def joined(kafka: KafkaSettings, terms: Terms) -> AsyncIterator[Intake]:
    """An intake of one's own, for programs that are no server: reads the campaigns log, then takes submissions."""
    writer = producer(kafka, max_batch_size=MAX_BATCH_BYTES)
    campaigns = CampaignsLog()
    await writer.start()
    try:
        async with following(consumer(kafka, group_id=None), campaigns) as tail:
            yield Intake(writer, campaigns, tail.reached, terms)
    finally:
        await writer.stop()


async def submit(settings: Settings, submission: Submission, *, key: str, by: str, dry_run: bool = False) -> Outcome:
    """All of it without HTTP, for one submission. Errors: ConfigError, OtherSystemError, KafkaError, TimeoutError."""
    await confirm(settings, write=False)
    async with joined(settings.kafka, terms_of(settings)) as intake:
        return await intake.submit(submission, key=key, by=by, dry_run=dry_run)
