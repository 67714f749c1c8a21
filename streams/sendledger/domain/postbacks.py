"""The postbacks of one TRACKINGID, and what all their claims together mean (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Literal

import msgspec

from sendledger.domain.facts import Postback, micros
from sendledger.domain.message import _Doc
from sendledger_schemas.postbacks import Claim

FINAL: frozenset[str] = frozenset({"delivered", "undelivered", "submit_failed"})
MOST_REPEATS = 100
"""Of one body; the provider tries six times. Whoever has a token must not be able to make a document grow."""

SettledAs = Literal["delivered", "undelivered"]


class Notice(_Doc, frozen=True, gc=False):
    """One distinct postback. `provider_at` is the provider's clock, `received_at` ours (µs).

    `again`: when the same body was received other times. Records with one `received_at` are one delivery: the receiver
    spools what Kafka did not acknowledge, and Kafka may have had it all the same.
    """

    event_id: str
    claim: Claim
    detail: str | None
    provider_at: int | None
    received_at: int
    history_id: str | None = None
    operator_id: str | None = None
    again: tuple[int, ...] = ()


class Tracking(_Doc, frozen=True, gc=False):
    """All that came under one TRACKINGID of one recipient, and the message whose response, at `owned_at`, owns it."""

    notices: tuple[Notice, ...] = ()
    last: int = -1
    message_id: str | None = None
    owned_at: int = -1

    @property
    def repeats(self) -> int:
        """How often a body of these was delivered again."""
        return sum(len(notice.again) for notice in self.notices)

    @property
    def first_received(self) -> int:
        """When the first of its postbacks arrived (µs)."""
        return min(notice.received_at for notice in self.notices)


NO_TRACKING = Tracking()
_by_event_id = attrgetter("event_id")


def received(tracking: Tracking, offset: int, fact: Postback, claim: Claim) -> Tracking:
    """One more postback: a new claim, or a repetition of one that is known (same body, same event id)."""
    last = offset if offset > tracking.last else tracking.last  # noqa: FURB136 — half the time of max()
    data = fact.data
    for notice in tracking.notices:
        if notice.event_id == fact.id:
            return _delivered_again(tracking, notice, micros(data.received_at), last)
    notice = Notice(
        fact.id,
        claim,
        data.detail,
        None if data.provider_time is None else micros(data.provider_time),
        micros(data.received_at),
        data.history_id,
        data.operator_id,
    )
    # Kept in the order of event ids: the state must not tell in which order they came.
    notices = (*tracking.notices, notice)
    if len(notices) > 1:
        notices = tuple(sorted(notices, key=_by_event_id))
    return Tracking(notices, last, tracking.message_id, tracking.owned_at)


def _delivered_again(tracking: Tracking, notice: Notice, at: int, last: int) -> Tracking:
    """The first arrival counts, whichever stands first on the log; the rest are repeats."""
    if at == notice.received_at or at in notice.again:
        return msgspec.structs.replace(tracking, last=last)
    first, *again = sorted((notice.received_at, at, *notice.again))[: MOST_REPEATS + 1]
    more = msgspec.structs.replace(notice, received_at=first, again=tuple(again))
    notices = tuple(more if known is notice else known for known in tracking.notices)
    return msgspec.structs.replace(tracking, notices=notices, last=last)


def owned(tracking: Tracking, message_id: str, offset: int) -> Tracking:
    """A response handed out this TRACKINGID: of several owners the first in log order stands."""
    if tracking.message_id is not None and tracking.owned_at <= offset:
        return tracking
    return Tracking(tracking.notices, tracking.last, message_id, offset)


def _by_provider_time(notice: Notice) -> tuple[int, str]:
    return (notice.received_at if notice.provider_at is None else notice.provider_at, notice.event_id)


def finals(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """The final claims by provider time, then event id: what *first* and *last* mean to a policy (DESIGN §5)."""
    final = [notice for notice in notices if notice.claim in FINAL]
    return tuple(sorted(final, key=_by_provider_time) if len(final) > 1 else final)


def means(notice: Notice) -> SettledAs:
    """The bucket that a final claim asks for."""
    return "delivered" if notice.claim == "delivered" else "undelivered"


def conflicted(final: Sequence[Notice]) -> bool:
    """Two different final claims came."""
    return len(final) > 1 and len({means(notice) for notice in final}) > 1


def detail_of(notice: Notice) -> str:
    """Why a message was not delivered, from the closed vocabulary of details."""
    return notice.detail or ("submit_failed" if notice.claim == "submit_failed" else "other")


def first_claim(notices: Iterable[Notice], *claims: Claim) -> Notice | None:
    """The earliest notice, by provider time, with one of these claims."""
    return earliest([notice for notice in notices if notice.claim in claims])


def earliest(notices: Sequence[Notice]) -> Notice | None:
    """The first by provider time, then event id: never by arrival (DESIGN §5)."""
    if len(notices) < 2:  # noqa: PLR2004 — one or none is the usual case, and this is asked with every fact
        return notices[0] if notices else None
    return min(notices, key=_by_provider_time)
