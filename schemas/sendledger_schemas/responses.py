"""`sms.api-responses.v1`: how the call of each attempt ended, one type an end (DESIGN §6)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sendledger_schemas.attempts import Attempt
from sendledger_schemas.fields import Instant, MessageEvent

ErrorClass = Literal["message", "campaign", "account", "throttle", "bug", "unknown"]
UnansweredReason = Literal["timeout", "reset", "http_5xx", "unreadable", "crash"]


class SendAccepted(MessageEvent):
    """Success with a TRACKINGID: the provider has the message."""

    TYPE: ClassVar[str] = "sendledger.send-accepted.v1"

    attempt: Attempt
    tracking_id: Annotated[str, Field(min_length=1)]
    duration_ms: Annotated[float, Field(ge=0)]


class SendRejected(MessageEvent):
    """Failure with a code that is no throttle: final. `error_info` has its runs of digits masked."""

    TYPE: ClassVar[str] = "sendledger.send-rejected.v1"

    attempt: Attempt
    error_code: str
    error_info: str = ""
    error_class: ErrorClass = "unknown"


class SendThrottled(MessageEvent):
    """A throttle code or HTTP 429: provably not sent, to be tried again at `retry_at`."""

    TYPE: ClassVar[str] = "sendledger.send-throttled.v1"

    attempt: Attempt
    error_code: str
    retry_at: Instant


class SendNotSent(MessageEvent):
    """No byte of the request left this machine, or the second look said no: provably not sent."""

    TYPE: ClassVar[str] = "sendledger.send-not-sent.v1"

    attempt: Attempt
    reason: str


class SendUnanswered(MessageEvent):
    """No usable answer: perhaps sent, perhaps not. In doubt until evidence settles it."""

    TYPE: ClassVar[str] = "sendledger.send-unanswered.v1"

    attempt: Attempt
    reason: UnansweredReason
