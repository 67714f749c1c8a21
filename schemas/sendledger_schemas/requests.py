"""`sms.send-requests.v1`: what someone asked for. Personal data (P7): `to` and `text` go nowhere downstream."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from sendledger_schemas.fields import Instant, MessageEvent


class SendRequested(MessageEvent):
    """Someone asked for one message to be sent. `to`: digits exactly as they go to the provider."""

    TYPE: ClassVar[str] = "sendledger.send-requested.v1"

    to: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$"), Field(repr=False)]
    sender: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=160), Field(repr=False)]
    campaign_ref: str | None = None
    operator_id: str | None = None
    not_before: Instant | None = None
    expires_at: Instant | None = None
