"""`sms.postbacks.v1` and `sms.receivers.v1`: what the provider told us, as it came, and when nobody listened."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sendledger_schemas.fields import EventData, Id, Instant

Claim = Literal["sent", "delivered", "undelivered", "submit_failed", "trying"]


class PostbackReceived(EventData):
    """One notification. `claim` is None where it says nothing about a message of ours (other origins, unknown codes).

    `provider_time` is CREATED where there is one, else TIMESTAMP (the page's own two notifications share one
    TIMESTAMP); `provider_timestamp` is TIMESTAMP. `raw` is the body as it came (personal data, P7).
    """

    TYPE: ClassVar[str] = "sendledger.postback-received.v1"

    recipient_id: Id
    origin: str
    code: str
    claim: Claim | None = None
    detail: str | None = None
    tracking_id: str | None = None
    history_id: str | None = None
    notification_id: str | None = None
    operator_id: str | None = None
    provider_time: Instant | None = None
    provider_timestamp: Instant | None = None
    received_at: Instant
    raw: Annotated[str, Field(repr=False)]


class ReceiverAway(EventData):
    """The receiver itself did not listen between these two times (Kafka's outages are not its own)."""

    TYPE: ClassVar[str] = "sendledger.receiver-away.v1"

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    receiver: str
