"""What the fold reads of an event: typed, and only the fields that it needs (DESIGN §5; msgspec for its speed).

The pydantic models in `sendledger_schemas` are the one definition; a contract test holds these structs against them.
Times are UTC microseconds since 1970 (int), so that state compares and subtracts them without parsing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from sendledger_schemas.attempts import RequestPosition, WithheldReason
from sendledger_schemas.decisions import Resolution
from sendledger_schemas.envelope import UnreadableEvent, model_of
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.responses import UnansweredReason

__all__ = ["Fact", "MessageFact", "RequestPosition", "decode_fact", "micros"]

_SECOND = 1_000_000
_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Bounds, so that no record can make a document, or a record of ours, that nobody can write.
_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_CampaignId = Annotated[str, Meta(min_length=1, max_length=128)]
_Words = Annotated[str, Meta(max_length=4096)]
_TrackingId = Annotated[str, Meta(min_length=1, max_length=4096)]
_Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Instant = Annotated[datetime, Meta(tz=True)]


def micros(when: datetime) -> int:
    """An aware datetime as microseconds since 1970, UTC."""
    since = when - _EPOCH
    return (since.days * _DAY + since.seconds) * _SECOND + since.microseconds


class _Data(msgspec.Struct, frozen=True, gc=False):
    message_id: _Id
    campaign_id: _CampaignId
    recipient_id: _Id


class RequestedData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-requested.v1`. `to` is read for its last 3 digits only, and not kept (P7)."""

    to: str
    operator_id: _Words | None = None
    not_before: _Instant | None = None
    expires_at: _Instant | None = None


class StartedData(_Data, frozen=True, gc=False):
    """Of `sendledger.attempt-started.v1`."""

    attempt: _Number


class WithheldData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-withheld.v1`."""

    reason: WithheldReason


class AcceptedData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-accepted.v1`."""

    attempt: _Number
    tracking_id: _TrackingId


class RejectedData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-rejected.v1`."""

    attempt: _Number
    error_code: _Words


class ThrottledData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-throttled.v1`."""

    attempt: _Number
    error_code: _Words
    retry_at: _Instant


class NotSentData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-not-sent.v1`."""

    attempt: _Number
    reason: _Words


class UnansweredData(_Data, frozen=True, gc=False):
    """Of `sendledger.send-unanswered.v1`."""

    attempt: _Number
    reason: UnansweredReason


class ResolvedData(_Data, frozen=True, gc=False):
    """Of `sendledger.doubt-resolved.v1`."""

    attempt: _Number
    resolution: Resolution


class PostbackData(msgspec.Struct, frozen=True, gc=False):
    """Of `sendledger.postback-received.v1`: no message id, it carries none; `raw` is not read."""

    recipient_id: _Id
    received_at: _Instant
    claim: Claim | None = None
    detail: _Words | None = None
    tracking_id: _Words | None = None
    history_id: _Words | None = None
    operator_id: _Words | None = None
    provider_time: _Instant | None = None


class _Envelope(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    id: _Words
    time: _Instant


class Requested(_Envelope, frozen=True, gc=False, tag="sendledger.send-requested.v1"):
    """A message was asked for."""

    data: RequestedData


class Started(_Envelope, frozen=True, gc=False, tag="sendledger.attempt-started.v1"):
    """A call was claimed."""

    data: StartedData


class Withheld(_Envelope, frozen=True, gc=False, tag="sendledger.send-withheld.v1"):
    """A message was withheld."""

    data: WithheldData


class Accepted(_Envelope, frozen=True, gc=False, tag="sendledger.send-accepted.v1"):
    """A call ended in Success with a TRACKINGID."""

    data: AcceptedData


class Rejected(_Envelope, frozen=True, gc=False, tag="sendledger.send-rejected.v1"):
    """A call ended in Failure for good."""

    data: RejectedData


class Throttled(_Envelope, frozen=True, gc=False, tag="sendledger.send-throttled.v1"):
    """A call ended in a throttle code."""

    data: ThrottledData


class NotSent(_Envelope, frozen=True, gc=False, tag="sendledger.send-not-sent.v1"):
    """A call never began."""

    data: NotSentData


class Unanswered(_Envelope, frozen=True, gc=False, tag="sendledger.send-unanswered.v1"):
    """A call ended without a usable answer."""

    data: UnansweredData


class Resolved(_Envelope, frozen=True, gc=False, tag="sendledger.doubt-resolved.v1"):
    """An operator settled a doubt."""

    data: ResolvedData


class Postback(_Envelope, frozen=True, gc=False, tag="sendledger.postback-received.v1"):
    """The provider told us something."""

    data: PostbackData


MessageFact = Requested | Started | Withheld | Accepted | Rejected | Throttled | NotSent | Unanswered | Resolved
Fact = MessageFact | Postback

_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


class _Typed(msgspec.Struct):
    type: str = ""


def decode_fact(raw: bytes) -> Fact:
    """Bytes of a record's value → Fact. Errors: UnreadableEvent (dead letter), UnknownVersion (stop the worker)."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _fault(raw, error) from None


def _fault(raw: bytes, error: Exception) -> UnreadableEvent:
    try:
        type_name = msgspec.json.decode(raw, type=_Typed).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UnreadableEvent("not a JSON object with a type")
    model_of(type_name)  # raises for what is no event of ours
    # msgspec's messages name fields and types, but an invalid enum value is quoted: keep only the path.
    return UnreadableEvent(f"{type_name}: field {str(error).rpartition('`')[0].rpartition('`')[2] or 'unknown'}")
