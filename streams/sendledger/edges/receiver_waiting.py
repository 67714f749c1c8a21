"""What waits in the receiver for its fate: a record, or a body that becomes one (DESIGN §7).

A body is looked at once, and no sooner than its round goes: by the library with the whole round (`postback_rounds`), or
by `PostbackRecords.keep`, which is the definition, where the library leaves it, and where a record is to be spooled.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import structlog

from sendledger.edges.postback_records import Kept, PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds, Ready, RoundFailedError
from sendledger.edges.record import Record

DECODED_WITH_A_ROUND = 64
"""Bodies for `keep` that cost their round no more than a few milliseconds."""

_EVENT_BYTES = 1024  # what an event has beside its body, and what holds it

log = structlog.get_logger()


def tell_bug(error: Exception) -> None:
    """Log that a postback could not be handled: neither the message nor the frames' values, they may quote it (P7)."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error("postback could not be handled", error=type(error).__name__, file=where.name, line=where.lineno)


class Fate(Enum):
    """Where a record is durable."""

    KAFKA = "kafka"
    SPOOL = "spool"
    NOWHERE = "nowhere"


@dataclass(slots=True, eq=False)
class Waiting:
    """One that waits. `came`: the event loop's clock; `size`: bytes in memory, about.

    `record` is None for a body that nobody has looked at; `kept`: what `keep` made of it, None if nobody asked.
    """

    fate: asyncio.Future[Fate]
    came: float
    size: int
    record: Record | None = field(default=None, repr=False)
    body: bytes = field(default=b"", repr=False)
    received_at: datetime | None = None
    kept: Kept | None = field(default=None, repr=False)

    @classmethod
    def of_body(cls, body: bytes, received_at: datetime, fate: asyncio.Future[Fate], came: float) -> Waiting:
        """A body that nobody has looked at."""
        return cls(fate, came, 2 * len(body) + _EVENT_BYTES, None, body, received_at)

    def tell(self, fate: Fate) -> None:
        """Its sender learns it, if there still is one."""
        if not self.fate.done():
            self.fate.set_result(fate)


def size_of(some: Sequence[Waiting]) -> int:
    """Bytes of all of them."""
    return sum(waiting.size for waiting in some)


class Load(NamedTuple):
    """A round: first those with records, then the bodies of `ready`, whose `covered` counts from the first of all."""

    waiting: list[Waiting]
    records: list[Record]
    ready: list[Ready]

    def joined_by(self, more: Sequence[Waiting]) -> Load:
        """The same round with these, which have records."""
        first = len(self.records)
        records = [*self.records, *(waiting.record for waiting in more if waiting.record is not None)]
        ready = [one._replace(covered=[place + len(more) for place in one.covered]) for one in self.ready]
        return Load([*self.waiting[:first], *more, *self.waiting[first:]], records, ready)


class Bodies:
    """Makes records of bodies. `rounds` is None: all by `keep`."""

    def __init__(self, records: PostbackRecords, rounds: PostbackRounds | None) -> None:
        self._records = records
        self._rounds = rounds

    def load(self, gathered: Sequence[Waiting]) -> tuple[Load, list[Waiting]]:
        """The round of these, and the bodies among them that `keep` has to look at first."""
        plain = [waiting for waiting in gathered if waiting.record is not None]
        bodies = [waiting for waiting in gathered if waiting.record is None]
        records = [waiting.record for waiting in plain if waiting.record is not None]
        if not bodies:
            return Load(plain, records, []), []
        if self._rounds is None:
            return Load(plain, records, []), bodies
        try:
            made = self._rounds.make(
                [waiting.body for waiting in bodies],
                [waiting.received_at for waiting in bodies if waiting.received_at is not None],
            )
        except RoundFailedError as error:
            log.error("round could not be made by the library", reason=str(error))  # noqa: TRY400
            self._rounds = None
            return Load(plain, records, []), bodies
        if len(bodies) <= DECODED_WITH_A_ROUND and 2 * len(made.left) > len(bodies):
            # A partition's two batches, one of each kind, would go one after the other and wait for the disk twice.
            return Load(plain, records, []), bodies
        ready = []
        for one in made.ready:
            first = len(plain)
            plain += [bodies[place] for place in one.covered]
            ready.append(one._replace(covered=list(range(first, len(plain)))))
        return Load(plain, records, ready), [bodies[place] for place in made.left]

    def keep(self, waiting: Waiting) -> bool:
        """Give it its record; False after a bug of ours, which must cost the provider a retry, never a receipt."""
        if waiting.record is not None or waiting.received_at is None:
            return True
        try:
            waiting.kept = self._records.keep(waiting.body, waiting.received_at)
        except Exception as error:  # noqa: BLE001 — as it says above
            tell_bug(error)
            waiting.tell(Fate.NOWHERE)
            return False
        waiting.record = waiting.kept.record
        return True
