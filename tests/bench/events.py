"""The event set of the benchmarks: real Sendledger events, on the log in about the order in which they would arrive.

Customers post files of messages to campaigns of unequal size, the sender works them off at `SEND_RATE` a second,
carrier and handset take their time; some receipts come hours later, before what they answer, twice, or contradict each
other. `OUTCOMES` is dealt to every 1,000 messages and makes exactly 5,000 events. What each message comes to is known
from its outcome alone (`Plan.expected`), without any fold.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Self

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger_schemas.envelope import HEADERS
from sendledger_schemas.states import Bucket
from sendledger_schemas.topics import API_RESPONSES, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.bench.event_bytes import Sms

EVENTS_A_MESSAGE = 5
DEAL = 1_000
OUTCOMES: dict[str, tuple[int, int, Bucket]] = {
    "delivered": (786, 5, "delivered"),
    "undelivered": (60, 5, "undelivered"),
    "hours later": (20, 5, "delivered"),
    "receipt before notice": (10, 5, "delivered"),
    "notice before response": (10, 5, "delivered"),
    "receipt twice": (48, 6, "delivered"),
    "contradicted": (4, 6, "undelivered"),
    "throttled": (12, 7, "delivered"),
    "answered late": (6, 6, "delivered"),
    "no receipt": (6, 4, "sent"),
    "submit failed": (4, 4, "undelivered"),
    "no notice": (3, 3, "accepted"),
    "in doubt": (2, 3, "in_doubt"),
    "rejected": (25, 3, "rejected"),
    "suppressed": (4, 2, "suppressed"),
}
"""Outcome → (of 1,000 messages, events, bucket)."""

_CAMPAIGNS = ("sale", "parcels", "codes", "reminders", "loyalty", "survey", "water", "theatre", "club", "trial")
_SHARES = (30, 25, 15, 10, 8, 5, 3, 2, 1, 1)
_FILES, _FILE_SHARES = (20, 200, 2_000, 10_000), (10, 30, 40, 4)
SEND_RATE, _POST_RATE = 100, 1_000
_KNOWN_RECIPIENTS = 0.4  # share of the messages to a number that had one before
_SECOND = 1_000_000
_AT_ONCE = 10_000

Make = Callable[[Sms, int], bytes]
"""The bytes of an event, from its message and its time (µs)."""

Step = tuple[int, str, Make]
"""(time, topic, bytes)."""


@dataclass(frozen=True)
class Plan:
    """Which events: the same plan gives the same bytes, a longer one the same messages and more.

    `messages`: a multiple of `DEAL`.
    """

    messages: int
    partitions: int = 8
    seed: int = 1

    @classmethod
    def of(cls, events: int, partitions: int = 8) -> Self:
        """The plan with that many events, or a few more."""
        return cls(-(-events // (DEAL * EVENTS_A_MESSAGE)) * DEAL, partitions)

    @property
    def events(self) -> int:
        """How many there are."""
        return self.messages * EVENTS_A_MESSAGE

    def dealt(self) -> Iterator[tuple[int, str, str, int]]:
        """Each message as (number, campaign, outcome, time of its request in µs), in the order of the requests."""
        chance = random.Random(self.seed)
        deck = [outcome for outcome, (count, _, _) in OUTCOMES.items() for _ in range(count)]
        number, start = 0, 0.0
        while number < self.messages:
            campaign = chance.choices(_CAMPAIGNS, _SHARES)[0]
            size = chance.choices(_FILES, _FILE_SHARES)[0]
            for row in range(min(size, self.messages - number)):
                if number % DEAL == 0:
                    chance.shuffle(deck)
                yield number, campaign, deck[number % DEAL], int((start + row / _POST_RATE) * _SECOND)
                number += 1
            start += size / SEND_RATE * chance.uniform(0.7, 1.25)

    def expected(self) -> dict[str, Counter[str]]:
        """Campaign → `requested` and each bucket, by the outcomes alone."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for _, campaign, outcome, _ in self.dealt():
            counts[campaign].update(("requested", OUTCOMES[outcome][2]))
        return dict(counts)

    def records(self) -> Iterator[Outgoing]:
        """All events by time; those of one time as they follow from each other."""
        chance = random.Random(self.seed + 1)
        offsets: Counter[int] = Counter()
        waiting: list[tuple[int, int, str, Make, Sms]] = []
        free = order = recipients = 0
        for number, campaign, outcome, asked in self.dealt():
            if number % DEAL == 0:
                yield from _until(asked, waiting, offsets)
            known = recipients > 0 and chance.random() < _KNOWN_RECIPIENTS
            to = chance.randrange(recipients) if known else recipients
            recipients += not known
            sms = Sms(number, to, campaign, self.partitions)
            free = max(free, asked + 50_000) + _SECOND // SEND_RATE
            for at, topic, make in _life(chance, outcome, asked, free):
                order += 1
                waiting.append((at, order, topic, make, sms))
        yield from _until(None, waiting, offsets)


def _until(
    time: int | None, waiting: list[tuple[int, int, str, Make, Sms]], offsets: Counter[int]
) -> Iterator[Outgoing]:
    """Take what happened before `time` (None: everything) out of `waiting`."""
    waiting.sort()
    taken = 0
    for at, _, topic, make, sms in waiting:
        if time is not None and at >= time:
            break
        if topic == SEND_REQUESTS:
            sms.offset = offsets[sms.partition]
            offsets[sms.partition] += 1
        yield Outgoing(topic, sms.partition, sms.key, make(sms, at), HEADERS)
        taken += 1
    del waiting[:taken]


def _life(chance: random.Random, outcome: str, asked: int, called: int) -> Iterator[Step]:
    """The events of a message that was asked for and, unless withheld, called for at these times."""
    yield asked, SEND_REQUESTS, Sms.requested
    if outcome == "suppressed":
        yield called, SEND_ATTEMPTS, Sms.withheld
        return
    yield called, SEND_ATTEMPTS, Sms.started
    answered = called + 30_000 + int(chance.random() * 90_000)
    match outcome:
        case "rejected":
            yield answered, API_RESPONSES, Sms.rejected
        case "in doubt":
            yield called + 30 * _SECOND, API_RESPONSES, Sms.unanswered
        case "throttled":
            yield answered, API_RESPONSES, Sms.throttled
            again = answered + _SECOND
            yield again, SEND_ATTEMPTS, partial(Sms.started, attempt=2)
            yield again + 60_000, API_RESPONSES, partial(Sms.accepted, attempt=2)
            yield from _postbacks(chance, outcome, again + 60_000)
        case "answered late":
            yield called + 30 * _SECOND, API_RESPONSES, Sms.unanswered
            yield called + 45 * _SECOND, API_RESPONSES, Sms.accepted
            yield from _postbacks(chance, outcome, answered)
        case _:
            yield answered, API_RESPONSES, Sms.accepted
            yield from _postbacks(chance, outcome, answered)


def _postbacks(chance: random.Random, outcome: str, taken: int) -> Iterator[Step]:
    """What comes after the provider took the message: the carrier in a second or two, the handset in seconds."""
    sent = taken + int(chance.lognormvariate(0.4, 0.8) * _SECOND)
    final = sent + int(chance.lognormvariate(1.1, 1.2) * _SECOND)
    claim = "delivered"
    match outcome:
        case "no notice":
            return
        case "submit failed":
            yield sent, POSTBACKS, partial(Sms.heard, claim="submit_failed", said=sent - 210_000)
            return
        case "undelivered":
            claim = "undelivered"
        case "hours later":
            final += int(chance.uniform(1, 6) * 3_600 * _SECOND)
        case "receipt before notice":
            sent = final + 300_000
        case "notice before response":
            sent = taken - 5_000
        case _:
            pass
    yield sent, POSTBACKS, partial(Sms.heard, claim="sent", said=min(sent, final) - 250_000)
    if outcome == "no receipt":
        return
    said = final - 210_000
    yield final, POSTBACKS, partial(Sms.heard, claim=claim, said=said)
    if outcome == "receipt twice":
        yield final + int(chance.uniform(5, 600) * _SECOND), POSTBACKS, partial(Sms.heard, claim=claim, said=said)
    if outcome == "contradicted":  # the failure was first by the provider's clock, and came last
        yield final + 90 * _SECOND, POSTBACKS, partial(Sms.heard, claim="undelivered", said=said - _SECOND)


async def fill(settings: Settings, plan: Plan) -> int:
    """Put the plan's events on the log, which has to be empty. Returns their bytes on average."""
    size = 0
    records = plan.records()
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        while some := list(islice(records, _AT_ONCE)):
            size += sum(len(record.value) for record in some)
            await publish(out, some)
    return size // plan.events
