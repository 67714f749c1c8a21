"""What the sender does about one message: facts, orders and the time in, a decision out (DESIGN §6, rules 1, 4 and 5).

Times are UTC microseconds. Nothing here knows a topic, a clock or a call; who asks acts on the answer.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from sendledger.domain.campaigns import Standing
from sendledger.domain.message import Message, end_of, sendable, standing
from sendledger_schemas.attempts import WithheldReason

SECOND: Final = 1_000_000
BACKOFF_FIRST: Final = 1 * SECOND
BACKOFF_MOST: Final = 60 * SECOND
CLAIM_KEEPS: Final = 3.0
"""Seconds after which a claim is too old to be called: others may soon take it for dead."""
CONTROL_KEEPS: Final = 1.0
"""Seconds for which a look at the end of the campaigns log counts: a pause holds within a second."""
CRASH_MARGIN: Final = 10 * SECOND
"""Beyond a call's deadline, until a claim without an answer is dead: what a claim may wait, and a slow last write."""

SecondLook = Literal["stale", "cancelled", "expired", "suppressed", "paused", "revoked", "stopping"]
NO_BACKOFF: Final[frozenset[str]] = frozenset(SecondLook.__args__)  # type: ignore[attr-defined]  # a Literal's values
"""Reasons of a call that never began which say nothing about the provider: no reason to wait."""


class Circumstances(msgspec.Struct, frozen=True, gc=False):
    """What besides the message's own facts decides. `busy`: another call to this recipient is in flight.

    `cut`: requests below this offset are older than what is left of the journal and are never sent.
    """

    standing: Standing
    suppressed: bool = False
    busy: bool = False
    cut: int = 0


class Due(msgspec.Struct, frozen=True, gc=False):
    """Claim this attempt now."""

    attempt: int


class Withhold(msgspec.Struct, frozen=True, gc=False):
    """It is not going to be sent."""

    reason: WithheldReason


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Not before this time."""

    until: int


class Parked(msgspec.Struct, frozen=True, gc=False):
    """Its campaign or the account is paused."""


class InFlight(msgspec.Struct, frozen=True, gc=False):
    """Its own attempt, or another call to its recipient, is under way."""


class Done(msgspec.Struct, frozen=True, gc=False):
    """There is nothing to do, and only a decision of an operator can change that."""


Decision = Due | Withhold | Wait | Parked | InFlight | Done


class Queued(msgspec.Struct, frozen=True, gc=False):
    """Where a message waits: `offset` of its request, `due` (0 = at once), `expires`."""

    offset: int
    due: int
    expires: int


class Open(msgspec.Struct, frozen=True, gc=False):
    """An attempt is under way, or died: claimed, unanswered and not yet in doubt."""

    attempt: int


Place = Queued | Open | None
"""Where the sender keeps a message; None: it only remembers it."""


def place(message: Message, default_expiry: int) -> Place:
    """Where a message stands by its own facts alone; an attempt may be open before its request was read."""
    following = sendable(message)
    if following is not None and message.request is not None:
        return Queued(message.request.offset, _due(message, following[1]), expires_at(message, default_expiry))
    number = open_attempt(message)
    return None if number is None else Open(number)


def open_attempt(message: Message) -> int | None:
    """The attempt that has neither answer nor doubt, if there is one."""
    for number, attempt in standing(message):
        if attempt.claim is not None and end_of(attempt) == "open":
            return number
    return None


def expires_at(message: Message, default_expiry: int) -> int:
    """When a request is not worth sending any more; each has an end, given or by default. It must have a request."""
    assert message.request is not None  # noqa: S101 — the callers' branch says so; for the type checker
    given = message.request.expires_at
    return message.request.at + default_expiry if given is None else given


def _due(message: Message, earliest: int) -> int:
    """When the next attempt may start. A request's own time is no reason to wait: another machine's clock wrote it."""
    assert message.request is not None  # noqa: S101 — as in `expires_at`
    retry = _backoff(message)
    return max(earliest if earliest > message.request.at else 0, retry)


def _backoff(message: Message) -> int:
    """After calls that could not begin: 1 s, 2 s, … 60 s behind the last; counted from the last other end."""
    failures, last = 0, 0
    for _, attempt in standing(message):
        answer = attempt.response
        if answer is not None and answer.kind == "not_sent" and answer.code not in NO_BACKOFF:
            failures, last = failures + 1, answer.at
        else:
            failures, last = 0, 0
    if not failures:
        return 0
    return last + min(BACKOFF_MOST, BACKOFF_FIRST << min(failures - 1, 10))


def decide(message: Message, around: Circumstances, default_expiry: int, now: int) -> Decision:
    """Rule 1: is it due? The first line that holds, from the top."""
    match place(message, default_expiry):
        case None:
            return Done()
        case Open():
            return InFlight()
        case Queued(offset=offset, due=due, expires=expires):
            if (reason := _refusal(around, expired=expires <= now or offset < around.cut)) is not None:
                return Withhold(reason)
            if due > now:
                return Wait(due)
            if around.standing == "paused":
                return Parked()
            return InFlight() if around.busy else Due(_next(message))


def is_resend(message: Message) -> bool:
    """Whether the next attempt goes out on an operator's `resend`, however many in between did not go out."""
    return any(end_of(attempt) == "resend" for _, attempt in standing(message))


def _next(message: Message) -> int:
    following = sendable(message)
    assert following is not None  # noqa: S101 — only queued messages are asked
    return following[0]


def _refusal(around: Circumstances, *, expired: bool) -> WithheldReason | None:
    if around.standing == "cancelled":
        return "cancelled"
    if around.suppressed:
        return "suppressed"
    return "expired" if expired else None


def won(message: Message, attempt: int, offset: int) -> bool:
    """Rule 4, once the journal is read beyond `offset`: whether the claim at `offset` is the one that counts.

    Of several claims for one attempt the first in log order does; behind a SendWithheld none does.
    """
    tried = message.attempts.get(attempt)
    if tried is None or tried.claim is None or tried.claim.offset != offset:
        return False
    return message.withheld is None or message.withheld.offset > offset


def second_look(
    around: Circumstances, *, still_open: bool, claim_age: float, control_age: float, expired: bool
) -> SecondLook | None:
    """Rule 5, immediately before the call: why it must not be made, or None.

    `still_open`: the journal has no end of this attempt yet. `claim_age`: seconds since the claim was handed to Kafka;
    `control_age`: since the end of the orders was seen.
    """
    if not still_open or claim_age > CLAIM_KEEPS or control_age > CONTROL_KEEPS:
        return "stale"
    reason = _refusal(around, expired=expired)
    if reason is not None:
        return reason
    return "paused" if around.standing == "paused" else None


def dead(claimed_at: int, broker_now: int, call_deadline: int) -> bool:
    """Whether a claim without an answer has died, by the broker's clock (µs)."""
    return broker_now - claimed_at > call_deadline + CRASH_MARGIN
