"""The postbacks of one TRACKINGID, and what all their claims together mean (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from sendledger.domain.facts import Postback, micros
from sendledger.domain.message import _Doc
from sendledger_schemas.postbacks import Claim

FINAL: frozenset[str] = frozenset({"delivered", "undelivered", "submit_failed"})
SettledAs = Literal["delivered", "undelivered"]


class Notice(_Doc, frozen=True, gc=False):
    """One distinct postback. `provider_at` is the provider's clock, `received_at` ours (µs)."""

    event_id: str
    claim: Claim
    detail: str | None
    provider_at: int | None
    received_at: int
    history_id: str | None = None
    operator_id: str | None = None


class Tracking(_Doc, frozen=True):
    """All that came under one TRACKINGID of one recipient, and the message whose response, at `owned_at`, owns it."""

    notices: tuple[Notice, ...] = ()
    repeats: int = 0
    last: int = -1
    message_id: str | None = None
    owned_at: int = -1

    @property
    def first_received(self) -> int:
        """When the first of its postbacks arrived (µs)."""
        return min(notice.received_at for notice in self.notices)


NO_TRACKING = Tracking()


def received(tracking: Tracking, offset: int, fact: Postback, claim: Claim) -> Tracking:
    """One more postback: a new claim, or a repetition of one that is known (same body, same event id)."""
    last = max(tracking.last, offset)
    if any(notice.event_id == fact.id for notice in tracking.notices):
        return msgspec.structs.replace(tracking, repeats=tracking.repeats + 1, last=last)
    data = fact.data
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
    notices = tuple(sorted((*tracking.notices, notice), key=lambda known: known.event_id))
    return Tracking(notices, tracking.repeats, last, tracking.message_id, tracking.owned_at)


def owned(tracking: Tracking, message_id: str, offset: int) -> Tracking:
    """A response handed out this TRACKINGID: of several owners the first in log order stands."""
    if tracking.message_id is not None and tracking.owned_at <= offset:
        return tracking
    return msgspec.structs.replace(tracking, message_id=message_id, owned_at=offset)


def _by_provider_time(notice: Notice) -> tuple[int, str]:
    return (notice.received_at if notice.provider_at is None else notice.provider_at, notice.event_id)


def finals(notices: Iterable[Notice]) -> list[Notice]:
    """The final claims by provider time, then event id: what *first* and *last* mean to a policy (DESIGN §5)."""
    final = [notice for notice in notices if notice.claim in FINAL]
    return sorted(final, key=_by_provider_time) if len(final) > 1 else final


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
    found = [notice for notice in notices if notice.claim in claims]
    return min(found, key=_by_provider_time) if found else None
