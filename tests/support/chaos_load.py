"""Events of every kind for tests that break things: late, early, repeated, orphaned, contradicting."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from sendledger.edges.publisher import Outgoing
from sendledger_schemas import ids
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import FOLD_SOURCES
from tests.support import story
from tests.support.folding import outgoing

Told = tuple[Data, float]
Who = tuple[str, str, str]
COMMON = ("spring", "summer", "autumn")
"""Campaigns that everything adds to; besides, there is one for each `turn`, which nothing touches later."""
_DAY = 86_400


class Load:
    """An endless load, portion by portion. The same seed and the same sizes give the same records."""

    def __init__(self, seed: int, partitions: int) -> None:
        self._chance, self._partitions = random.Random(f"load {seed}"), partitions
        self._late: list[Told] = []
        self._messages = self._turns = 0

    def turn(self) -> None:
        """From now on another campaign grows; the one before is complete."""
        self._turns += 1

    def portion(self, events: int) -> list[Outgoing]:
        """About so many more events as records, shuffled; what is late comes with a later portion."""
        told: list[Told] = []
        while len(told) < events:
            told += self._life()
        self._chance.shuffle(self._late)
        due = self._late[: len(self._late) // 2]
        del self._late[: len(due)]
        told += due
        told += self._chance.sample(told, len(told) // 20)  # delivered again
        self._chance.shuffle(told)
        return outgoing(told, self._partitions)

    def rest(self) -> list[Outgoing]:
        """What is still late, and something on each topic partition, so that whatever was lost before it shows."""
        self._late, late = [], self._late
        records = outgoing(late, self._partitions)
        while len({(record.topic, record.partition) for record in records}) < self._partitions * len(FOLD_SOURCES):
            records += self.portion(500)
        return records

    def _life(self) -> list[Told]:
        """One message's events, or a recipient's with several messages and little sense."""
        chance, self._messages = self._chance, self._messages + 1
        if chance.random() < 0.1:
            return list(_nonsense(chance, f"n{self._messages}"))
        own = chance.random() < 0.3
        number = self._messages
        recipient = ids.recipient_id(b"chaos", str(number if own else chance.randint(0, number * 2 // 3)))
        campaign = f"turn-{self._turns}" if own else chance.choice(COMMON)
        told = list(_likely(chance, (f"m{number}", recipient, campaign), f"T{number}", number / 100))
        if not own and chance.random() < 0.1:
            cut = chance.randint(0, len(told))
            self._late += told[cut:]
            return told[:cut]
        return told


def _likely(chance: random.Random, who: Who, tracking: str, when: float) -> Iterator[Told]:
    """Requested, tried, answered or not, and receipts; some postbacks are nobody's."""
    yield story.requested(*who, operator_id=chance.choice((None, "383", "7"))), when
    if chance.random() < 0.03:
        yield story.withheld("expired", *who), when + 1
        return
    attempt = 1
    if chance.random() < 0.1:
        yield story.started(*who), when + 1
        yield chance.choice((story.throttled, story.not_sent))(*who), when + 2
        attempt = 2
    yield story.started(*who, attempt=attempt), when + 3
    end = chance.random()
    if end < 0.08:
        yield story.unanswered(*who, attempt=attempt), when + 4  # a lone TRACKINGID may settle it
        if end < 0.02:
            yield story.resolved("sent", *who, attempt=attempt), when + 9
    elif end < 0.12:
        yield story.rejected(*who, attempt=attempt), when + 4
        return
    else:
        yield story.accepted(tracking, *who, attempt=attempt), when + 4
    yield from _receipts(chance, who[1], tracking if chance.random() < 0.97 else f"{tracking}-nobody", when)


def _receipts(chance: random.Random, recipient: str, tracking: str, when: float) -> Iterator[Told]:
    claims: list[Literal["sent", "delivered", "undelivered"]] = []
    if chance.random() < 0.9:
        claims.append("sent")
    if chance.random() < 0.8:
        claims.append(chance.choice(("delivered", "delivered", "undelivered")))
    if chance.random() < 0.05:
        claims.append("undelivered" if "delivered" in claims else "delivered")
    for number, claim in enumerate(claims):
        received = when + 5 + number + (chance.choice((1, 4)) * _DAY if chance.random() < 0.05 else 0)
        detail = "failed" if claim == "undelivered" else None
        yield story.postback(claim, tracking, recipient, received, detail=detail), received


def _nonsense(chance: random.Random, name: str) -> Iterator[Told]:
    """Two messages of one recipient that share TRACKINGIDs, with answers that exclude each other."""
    recipient = ids.recipient_id(b"chaos nonsense", name)
    trackings = (f"{name}-T1", f"{name}-T2")
    for number in (1, 2):
        who = (f"{name}-{number}", recipient, chance.choice(COMMON))
        if chance.random() < 0.9:
            yield story.requested(*who, not_before=chance.choice((None, story.at(_DAY)))), 0
        for attempt in (1, 2):
            facts: list[Data] = [
                story.started(*who, attempt=attempt),
                story.started(*who, attempt=attempt),
                story.unanswered(*who, attempt=attempt),
                story.accepted(chance.choice(trackings), *who, attempt=attempt),
                story.rejected(*who, attempt=attempt),
                story.throttled(*who, attempt=attempt),
                story.resolved(chance.choice(("sent", "withhold", "resend")), *who, attempt=attempt),
                story.withheld("cancelled", *who),
            ]
            for fact in chance.sample(facts, chance.randint(0, 4)):
                yield fact, chance.randint(0, 5)
    for _ in range(chance.randint(0, 3)):
        claim = chance.choice(("sent", "trying", "delivered", "submit_failed"))
        yield story.postback(claim, chance.choice(trackings), recipient, chance.choice((1.0, 3.0 * _DAY))), 0  # type: ignore[arg-type]
