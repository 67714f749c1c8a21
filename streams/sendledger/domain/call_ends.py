"""How calls end: outcome of a call → event of the attempt, and what follows for others (DESIGN §6, classification).

| outcome | when | event |
|---|---|---|
| `Taken` | Success with a TRACKINGID | SendAccepted |
| `Refused` | Failure with a code that is no throttle | SendRejected |
| `TooFast` | Failure with a throttle code, HTTP 429 | SendThrottled |
| `NeverBegan` | no byte of the request left this machine | SendNotSent |
| `NoAnswer` | anything else | SendUnanswered |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

import msgspec

from sendledger.domain.message import Message, standing
from sendledger_schemas.responses import (
    ErrorClass,
    SendAccepted,
    SendNotSent,
    SendRejected,
    SendThrottled,
    SendUnanswered,
    UnansweredReason,
)

RETRY_FIRST = 1.0
RETRY_MOST = 60.0
IN_A_ROW = 5
"""Campaign-class rejections, one after the other, that pause a campaign."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """The provider has it."""

    tracking_id: str


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The provider does not want it: final. `error_info` comes masked."""

    error_code: str
    error_info: str
    error_class: ErrorClass


class TooFast(msgspec.Struct, frozen=True, gc=False):
    """Provably not sent. `retry_after`: seconds, where the provider said so."""

    error_code: str
    retry_after: float | None = None


class NeverBegan(msgspec.Struct, frozen=True, gc=False):
    """Provably not sent. `unreachable`: the way to the provider is broken, not this message."""

    reason: str
    unreachable: bool = False


class NoAnswer(msgspec.Struct, frozen=True, gc=False):
    """Perhaps sent, perhaps not. `detail` is for people's eyes, and closed: it carries nothing of the answer."""

    reason: UnansweredReason
    detail: str = ""


Outcome = Taken | Refused | TooFast | NeverBegan | NoAnswer
ResponseData = SendAccepted | SendRejected | SendThrottled | SendNotSent | SendUnanswered


def response_to(message: Message, attempt: int, outcome: Outcome, *, ended: datetime, seconds: float) -> ResponseData:
    """The event of the end of a call that took `seconds` and `ended` then."""
    m, c, r = message.message_id, message.campaign_id, message.recipient_id
    match outcome:
        case Taken(tracking_id=tracking_id):
            took = round(max(0.0, seconds) * 1000, 3)
            return SendAccepted(
                message_id=m, campaign_id=c, recipient_id=r, attempt=attempt, tracking_id=tracking_id, duration_ms=took
            )
        case Refused(error_code=code, error_info=info, error_class=error_class):
            return SendRejected(
                message_id=m,
                campaign_id=c,
                recipient_id=r,
                attempt=attempt,
                error_code=code,
                error_info=info,
                error_class=error_class,
            )
        case TooFast(error_code=code, retry_after=after):
            wait = _retry(message) if after is None else max(after, 0.0)
            at = ended + timedelta(seconds=min(wait, 24 * 3600.0))
            return SendThrottled(
                message_id=m, campaign_id=c, recipient_id=r, attempt=attempt, error_code=code, retry_at=at
            )
        case NeverBegan(reason=why):
            return SendNotSent(message_id=m, campaign_id=c, recipient_id=r, attempt=attempt, reason=why)
        case NoAnswer(reason=reason):
            return SendUnanswered(message_id=m, campaign_id=c, recipient_id=r, attempt=attempt, reason=reason)
        case _:
            assert_never(outcome)


def _retry(message: Message) -> float:
    """1 s, 2 s, 4 s … 60 s: the longer, the more throttles this message has met."""
    met = sum(1 for _, tried in standing(message) if tried.response is not None and tried.response.kind == "throttled")
    return min(RETRY_MOST, RETRY_FIRST * (1 << min(met, 10)))


@dataclass(slots=True)
class Streaks:
    """Counts campaign-class rejections in a row, a campaign at a time."""

    _rows: dict[str, int] = field(default_factory=dict)

    def ended(self, campaign_id: str, outcome: Outcome) -> bool:
        """One more end of a call; True when it is the one that pauses its campaign."""
        match outcome:
            case Refused(error_class="campaign"):
                row = self._rows.get(campaign_id, 0) + 1
                self._rows[campaign_id] = row % IN_A_ROW
                return row == IN_A_ROW
            case Taken() | Refused():
                self._rows.pop(campaign_id, None)
            case TooFast() | NeverBegan() | NoAnswer():
                pass  # says nothing about the campaign
            case _:
                assert_never(outcome)
        return False
