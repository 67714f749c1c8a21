"""One message: Facts → State, initial, evolve → what follows from it (DESIGN §4).

`evolve` joins facts: each is set once, and of two different values the one with the lower offset stands. So repeats
and the interleaving of topics cannot matter. `to` holds the last offset, per source topic, of the message's own facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeVar, assert_never

import msgspec

from sendledger.domain import facts
from sendledger.domain.facts import MessageFact, micros
from sendledger_schemas.attempts import WithheldReason
from sendledger_schemas.decisions import Resolution

Offsets = tuple[int, int, int, int, int]
"""Last offset per source topic, in the order of `topics.FOLD_SOURCES`; −1 = none."""

NOTHING_READ: Offsets = (-1, -1, -1, -1, -1)
REQUESTS, ATTEMPTS, RESPONSES, POSTBACKS, DECISIONS = range(5)

ResponseKind = Literal["accepted", "rejected", "throttled", "not_sent"]
End = Literal["accepted", "rejected", "throttled", "not_sent", "resolved", "resend", "in_doubt", "open"]


class _Doc(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """A part of the stored state: msgpack arrays, small and quick. Values without cycles: the collector may pass by."""


class Request(_Doc, frozen=True, gc=False):
    """What was asked for; times in microseconds."""

    offset: int
    at: int
    to_last3: str
    operator_id: str | None = None
    not_before: int | None = None
    expires_at: int | None = None


class Claim(_Doc, frozen=True, gc=False):
    """The first AttemptStarted in log order."""

    offset: int
    at: int


class Response(_Doc, frozen=True, gc=False):
    """The first real answer in log order. `code`: error code, or the reason of a call that never began."""

    offset: int
    at: int
    kind: ResponseKind
    tracking_id: str | None = None
    code: str | None = None
    retry_at: int | None = None


class Silence(_Doc, frozen=True, gc=False):
    """The first SendUnanswered in log order."""

    offset: int
    at: int
    reason: str


class Decision(_Doc, frozen=True, gc=False):
    """The first DoubtResolved in log order."""

    offset: int
    at: int
    resolution: Resolution


class Withholding(_Doc, frozen=True, gc=False):
    """The first SendWithheld in log order."""

    offset: int
    at: int
    reason: WithheldReason


class Attempt(_Doc, frozen=True, gc=False):
    """One attempt: up to four facts, each set once."""

    claim: Claim | None = None
    response: Response | None = None
    silence: Silence | None = None
    decision: Decision | None = None


class Message(_Doc, frozen=True, gc=False):
    """All facts about one message that its own events carry."""

    message_id: str
    campaign_id: str
    recipient_id: str
    request: Request | None = None
    attempts: dict[int, Attempt] = {}
    withheld: Withholding | None = None
    to: Offsets = NOTHING_READ


def initial(fact: MessageFact) -> Message:
    """A message of which nothing is known but its name."""
    data = fact.data
    return Message(data.message_id, data.campaign_id, data.recipient_id)


def advanced(to: Offsets, topic: int, offset: int) -> Offsets:
    """`to` moved up to include one more fact."""
    if offset <= to[topic]:
        return to
    moved = [*to]  # half the price of splicing
    moved[topic] = offset
    return (moved[0], moved[1], moved[2], moved[3], moved[4])


def joined(one: Offsets, other: Offsets) -> Offsets:
    """The greater of two `to`, topic by topic."""
    if one == other:
        return one
    a, b, c, d, e = one  # spelled out: four times as fast as a loop over max(), and asked for all the time
    v, w, x, y, z = other
    return (
        a if a >= v else v,  # noqa: FURB136
        b if b >= w else w,  # noqa: FURB136
        c if c >= x else x,  # noqa: FURB136
        d if d >= y else y,  # noqa: FURB136
        e if e >= z else z,  # noqa: FURB136
    )


_F = TypeVar("_F", Request, Claim, Response, Silence, Decision, Withholding)


def _first(known: _F | None, new: _F) -> _F:
    return known if known is not None and known.offset <= new.offset else new


def evolve(message: Message, offset: int, fact: MessageFact) -> Message:
    """One step. `offset`: where the fact stands in its own topic partition. The usual facts are asked for first."""
    at = micros(fact.time)
    match fact:
        case facts.Requested(data=data):
            return _requested(message, offset, at, data)
        case facts.Started(data=data):
            known = message.attempts.get(data.attempt, _NO_ATTEMPT)
            attempt = Attempt(_first(known.claim, Claim(offset, at)), known.response, known.silence, known.decision)
            return _tried(message, data.attempt, attempt, ATTEMPTS, offset)
        case facts.Accepted(data=data):
            return _answered(message, data.attempt, Response(offset, at, "accepted", tracking_id=data.tracking_id))
        case facts.Rejected(data=data):
            return _answered(message, data.attempt, Response(offset, at, "rejected", code=data.error_code))
        case facts.Throttled(data=data):
            retry_at = micros(data.retry_at)
            response = Response(offset, at, "throttled", code=data.error_code, retry_at=retry_at)
            return _answered(message, data.attempt, response)
        case facts.NotSent(data=data):
            return _answered(message, data.attempt, Response(offset, at, "not_sent", code=data.reason))
        case facts.Withheld(data=data):
            withheld = _first(message.withheld, Withholding(offset, at, data.reason))
            return _with(message, advanced(message.to, ATTEMPTS, offset), message.attempts, withheld)
        case facts.Unanswered(data=data):
            known = message.attempts.get(data.attempt, _NO_ATTEMPT)
            silence = _first(known.silence, Silence(offset, at, data.reason))
            attempt = Attempt(known.claim, known.response, silence, known.decision)
            return _tried(message, data.attempt, attempt, RESPONSES, offset)
        case facts.Resolved(data=data):
            known = message.attempts.get(data.attempt, _NO_ATTEMPT)
            decision = _first(known.decision, Decision(offset, at, data.resolution))
            attempt = Attempt(known.claim, known.response, known.silence, decision)
            return _tried(message, data.attempt, attempt, DECISIONS, offset)
        case _:
            assert_never(fact)


_NO_ATTEMPT = Attempt()


def _with(message: Message, to: Offsets, attempts: dict[int, Attempt], withheld: Withholding | None) -> Message:
    m = message
    return Message(m.message_id, m.campaign_id, m.recipient_id, m.request, attempts, withheld, to)


def _requested(message: Message, offset: int, at: int, data: facts.RequestedData) -> Message:
    request = Request(
        offset,
        at,
        data.to[-3:],
        data.operator_id,
        None if data.not_before is None else micros(data.not_before),
        None if data.expires_at is None else micros(data.expires_at),
    )
    m = message
    to = advanced(m.to, REQUESTS, offset)
    first = _first(m.request, request)
    return Message(m.message_id, m.campaign_id, m.recipient_id, first, m.attempts, m.withheld, to)


def _tried(message: Message, number: int, attempt: Attempt, topic: int, offset: int) -> Message:
    attempts = {**message.attempts, number: attempt}
    if number not in message.attempts and message.attempts:
        attempts = dict(sorted(attempts.items()))  # equal facts are equal bytes, in whatever order they came
    return _with(message, advanced(message.to, topic, offset), attempts, message.withheld)


def _answered(message: Message, number: int, response: Response) -> Message:
    known = message.attempts.get(number, _NO_ATTEMPT)
    attempt = Attempt(known.claim, _first(known.response, response), known.silence, known.decision)
    return _tried(message, number, attempt, RESPONSES, response.offset)


def standing(message: Message) -> Iterator[tuple[int, Attempt]]:
    """The attempts that count, by number: a claim behind a SendWithheld lost the arbitration and never called."""
    withheld = message.withheld
    for number, attempt in message.attempts.items():
        lost = withheld is not None and attempt.claim is not None and attempt.claim.offset > withheld.offset
        if not lost or attempt.response is not None:
            yield number, attempt


def end_of(attempt: Attempt) -> End:
    """How an attempt stands by its own facts. `resolved`: an operator said `sent` or `withhold`.

    An answer that settles stands above a decision; a decision above a throttle, a call not made, and doubt.
    """
    response, decision = attempt.response, attempt.decision
    if response is not None and response.kind in ("accepted", "rejected"):
        return response.kind
    if decision is not None and decision.resolution != "resend":
        return "resolved"
    if response is not None:
        return response.kind
    if decision is not None:
        return "resend"
    return "open" if attempt.silence is None else "in_doubt"


def sendable(message: Message) -> tuple[int, int] | None:
    """The number of the attempt that may come next and from when (µs), or None: DESIGN §6, rule 1, by its own facts.

    Attempt n + 1 follows only an attempt n that ended in SendThrottled or SendNotSent, or whose doubt was resolved
    by `resend`. Expiry, suppression, pauses and other messages of the recipient are the caller's to judge.
    """
    if message.request is None or message.withheld is not None:
        return None
    number, earliest = 0, message.request.not_before or message.request.at
    for number, attempt in standing(message):  # noqa: B007 — the last number is used below
        if end_of(attempt) not in ("throttled", "not_sent", "resend"):
            return None
        if attempt.response is not None and attempt.response.retry_at is not None:
            earliest = max(earliest, attempt.response.retry_at)
    return number + 1, earliest
