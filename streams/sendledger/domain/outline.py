"""A message's attempts in outline: one pass over them, for all who ask (the fold asks several times an event)."""

from __future__ import annotations

import msgspec

from sendledger.domain.message import Attempt, Message, Response, end_of, standing


class Outline(msgspec.Struct, frozen=True, gc=False):
    """What the standing attempts come to. Times in µs.

    `began`: when the attempt that the provider took, or else the last one, began (without one: when it was asked for).
    `ends`: how the attempts stand, as `end_of` says. `doubt`, `doubt_since`: why and since when the last doubtful one
    is in doubt. `calls`: the answered ones as (claimed at or None, response).
    """

    attempts: int
    first_claim: int | None
    began: int
    ends: frozenset[str]
    calls: tuple[tuple[int | None, Response], ...]
    accepted: Response | None
    rejected: Response | None
    said_sent: bool
    doubt: str | None
    doubt_since: int | None
    decided_at: int | None


def outline(message: Message) -> Outline:
    """One pass over the standing attempts."""
    asked = 0 if message.request is None else message.request.at
    if not message.attempts:
        return Outline(0, None, asked, _NO_ENDS, (), None, None, False, None, None, None)
    if len(message.attempts) == 1 and message.withheld is None:
        (attempt,) = message.attempts.values()
        return _of_one(attempt, asked)
    return _of_several([attempt for _, attempt in standing(message)], asked)


_NO_ENDS: frozenset[str] = frozenset()
_ENDS = {
    end: frozenset((end,))
    for end in ("accepted", "rejected", "throttled", "not_sent", "resolved", "resend", "in_doubt", "open")
}


def _of_one(attempt: Attempt, asked: int) -> Outline:
    """The usual case: one attempt."""
    end = end_of(attempt)
    claimed = None if attempt.claim is None else attempt.claim.at
    response, decision = attempt.response, attempt.decision
    silence = attempt.silence if end == "in_doubt" else None
    return Outline(
        1,
        claimed,
        asked if claimed is None else claimed,
        _ENDS[end],
        () if response is None else ((claimed, response),),
        response if end == "accepted" else None,
        response if end == "rejected" else None,
        end == "resolved" and decision is not None and decision.resolution == "sent",
        None if silence is None else silence.reason,
        None if silence is None else silence.at,
        None if decision is None else decision.at,
    )


def _of_several(attempts: list[Attempt], asked: int) -> Outline:
    ones = [_of_one(attempt, asked) for attempt in attempts]
    accepted = next((one for one in ones if one.accepted is not None), None)
    claims = [one.first_claim for one in ones if one.first_claim is not None]
    doubtful = [one for one in ones if one.doubt_since is not None]
    began = accepted.first_claim if accepted is not None else None
    return Outline(
        len(ones),
        min(claims, default=None),
        began if began is not None else (claims[-1] if claims else asked),
        frozenset().union(*(one.ends for one in ones)),
        tuple(call for one in ones for call in one.calls),
        None if accepted is None else accepted.accepted,
        next((one.rejected for one in ones if one.rejected is not None), None),
        any(one.said_sent for one in ones),
        doubtful[-1].doubt if doubtful else None,
        doubtful[-1].doubt_since if doubtful else None,
        next((one.decided_at for one in reversed(ones) if one.decided_at is not None), None),
    )
