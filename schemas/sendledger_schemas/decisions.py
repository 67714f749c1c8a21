"""`sms.decisions.v1` and `sms.suppressions.v1`: what people decided about single messages and recipients."""

from __future__ import annotations

from typing import ClassVar, Literal

from sendledger_schemas.attempts import Attempt
from sendledger_schemas.fields import EventData, Id, MessageEvent

Resolution = Literal["sent", "withhold", "resend"]


class DoubtResolved(MessageEvent):
    """An operator settled a doubt: it counts as sent, or it is cancelled, or it goes back into the queue."""

    TYPE: ClassVar[str] = "sendledger.doubt-resolved.v1"

    attempt: Attempt
    resolution: Resolution
    by: str
    note: str = ""


class RecipientSuppressed(EventData):
    """This recipient must get nothing; a tombstone on the same key lifts it."""

    TYPE: ClassVar[str] = "sendledger.recipient-suppressed.v1"

    recipient_id: Id
    reason: str = ""
    by: str
    to_last3: str = ""
