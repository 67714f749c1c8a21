"""All facts about one recipient, in three kinds of documents: a small head, one a message, one a TRACKINGID.

Everything that concerns several messages of one recipient is decided here: which response owns a TRACKINGID, and
adoption (DESIGN §4). The documents are immutable; `Recipient` holds those that a batch has loaded and stepped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sendledger.domain.contribution import HOUR, MINUTE, days_at
from sendledger.domain.message import (
    NOTHING_READ,
    POSTBACKS,
    Message,
    Offsets,
    _Doc,
    advanced,
    end_of,
    standing,
)
from sendledger.domain.postbacks import Tracking
from sendledger.domain.settled import Facts, known

ADOPTION_WINDOW = 72 * HOUR
CLOCK_SLACK = 5 * MINUTE


class Head(_Doc, frozen=True, gc=False):
    """What must be at hand for every event of a recipient.

    `campaigns`: those that have a requested message to it; `unmatched`: TRACKINGID → number of its postbacks that no
    response owns; `candidates`: (message, attempt) unanswered or still open; `unanswered`: messages that ever were;
    `to`: last offsets of all facts of the recipient; `days`: the days on which postbacks arrived.
    """

    campaigns: tuple[str, ...] = ()
    unmatched: dict[str, int] = {}  # noqa: RUF012 — msgspec copies an empty default
    candidates: tuple[tuple[str, int], ...] = ()
    unanswered: tuple[str, ...] = ()
    to: Offsets = NOTHING_READ
    days: tuple[str, ...] = ()


EMPTY = Head()


def head_after(
    head: Head, messages: Sequence[Message], trackings: Mapping[str, Tracking], to: Offsets, days: Collection[str]
) -> Head:
    """The head once these messages and trackings stand as they do now. `to`, `days`: with those of the new facts."""
    campaigns, unanswered, candidates = head.campaigns, head.unanswered, head.candidates
    if candidates:
        mine = {message.message_id for message in messages}
        candidates = tuple(c for c in candidates if c[0] not in mine)
    for message in messages:
        if message.campaign_id not in campaigns and message.request is not None:
            campaigns = _sorted((*campaigns, message.campaign_id))
        if not _has_unclear(message):
            continue
        open_ones = _candidates(message)
        if open_ones:
            candidates = tuple(sorted((*candidates, *open_ones)))
        if message.message_id not in unanswered and any(a.silence is not None for a in message.attempts.values()):
            unanswered = _sorted((*unanswered, message.message_id))
    new_days = [day for day in days if day not in head.days]
    return Head(
        campaigns,
        _unmatched(head.unmatched, trackings),
        candidates,
        unanswered,
        to,
        _sorted((*head.days, *new_days)) if new_days else head.days,
    )


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(names)) if len(names) > 1 else names


def _has_unclear(message: Message) -> bool:
    """Whether any attempt has no response, or ever was unanswered: seldom, and only then is there more to ask."""
    for attempt in message.attempts.values():  # noqa: SIM110 — any() costs three times as much
        if attempt.response is None or attempt.silence is not None:
            return True
    return False


def _candidates(message: Message) -> list[tuple[str, int]]:
    """Attempts that may have reached the provider without our knowing its TRACKINGID; resolved ones included."""
    return [
        (message.message_id, number)
        for number, attempt in (message.attempts.items() if message.withheld is None else standing(message))
        if attempt.response is None and (attempt.silence is not None or attempt.claim is not None)
    ]


def _unmatched(unmatched: dict[str, int], trackings: Mapping[str, Tracking]) -> dict[str, int]:
    counts = {
        name: 0 if tracking.message_id is not None else len(tracking.notices)
        for name, tracking in trackings.items()
        if tracking.message_id is None or name in unmatched
    }
    if not counts:
        return unmatched
    return {name: count for name, count in sorted({**unmatched, **counts}.items()) if count}


def days_of(facts: Facts, head: Head) -> frozenset[str]:
    """The days whose series the message could ever count in: it only grows with the facts.

    A series record takes the `to` of all of these messages, so that of two records the one that is ≥ in every topic is
    the more complete, also where a message has left a day again. One that ever was unanswered may adopt or lose
    any postback of its recipient.
    """
    message = facts.message
    moments = [notice.received_at for notice in facts.notices]
    if message.request is not None:
        moments.append(message.request.at)
    for attempt in message.attempts.values():
        if attempt.claim is not None:
            moments.append(attempt.claim.at)
        if attempt.response is not None:
            moments.append(attempt.response.at)
        if attempt.silence is not None:
            moments.append(attempt.silence.at)
    days = days_at(moments)
    return days.union(head.days) if message.message_id in head.unanswered else days


def lone_pair(head: Head) -> tuple[str, str, int] | None:
    """(TRACKINGID, message, attempt) where exactly one TRACKINGID is unmatched and exactly one attempt a candidate."""
    if len(head.candidates) != 1 or not head.unmatched:
        return None
    ids = [name for name in head.unmatched if name]  # a postback without a TRACKINGID can settle nothing
    return (ids[0], *head.candidates[0]) if len(ids) == 1 else None


def adopts(message: Message, number: int, tracking: Tracking) -> bool:
    """Whether the lone TRACKINGID settles the lone candidate: it is unanswered, and the times fit."""
    attempt = message.attempts[number]
    if attempt.silence is None or end_of(attempt) == "open":
        return False
    began = attempt.silence.at if attempt.claim is None else attempt.claim.at
    return -CLOCK_SLACK <= tracking.first_received - began <= ADOPTION_WINDOW


def facts_of(message: Message, mine: dict[str, Tracking], adopted: tuple[str, Tracking] | None) -> Facts:
    """The message with its postbacks. `mine`: trackings of its responses; those owned by another message fall away."""
    owned = {name: t for name, t in mine.items() if t.message_id == message.message_id}
    if adopted is not None:
        owned[adopted[0]] = adopted[1]
    if not owned:
        return known(message)
    if len(owned) == 1:
        ((name, tracking),) = owned.items()
        return known(message, tracking.notices, tracking.repeats, name)
    notices = tuple(sorted((n for tracking in owned.values() for n in tracking.notices), key=lambda n: n.event_id))
    return known(message, notices, sum(tracking.repeats for tracking in owned.values()), min(owned))


def tracking_ids(message: Message) -> list[str]:
    """The TRACKINGIDs that its responses gave it."""
    return [
        attempt.response.tracking_id
        for attempt in message.attempts.values()
        if attempt.response is not None and attempt.response.tracking_id is not None
    ]


def offsets_of(message: Message, mine: dict[str, Tracking], head: Head) -> Offsets:
    """`to` of a message: of its own facts, and of its whole recipient if it ever was unanswered (DESIGN §5)."""
    if message.message_id in head.unanswered:
        return head.to
    to = message.to
    for tracking in mine.values():
        if tracking.message_id == message.message_id and tracking.last > to[POSTBACKS]:
            to = advanced(to, POSTBACKS, tracking.last)
    return to
