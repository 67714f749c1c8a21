"""`sms.send-attempts.v1`: claims, on the log before the call, and what was withheld instead (DESIGN §6)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sendledger_schemas.fields import EventData, Id, MessageEvent

Attempt = Annotated[int, Field(ge=1)]
WithheldReason = Literal["cancelled", "expired", "suppressed"]


class RequestPosition(EventData):
    """Where the request stands on `sms.send-requests.v1`."""

    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


class AttemptStarted(MessageEvent):
    """A claim: of several for one (message, attempt) the first in log order wins."""

    TYPE: ClassVar[str] = "sendledger.attempt-started.v1"

    attempt: Attempt
    worker: str
    incarnation: Id
    request: RequestPosition


class SendWithheld(MessageEvent):
    """The message is not going to be sent, and why. Arbitrated like a claim: it is void behind an open one."""

    TYPE: ClassVar[str] = "sendledger.send-withheld.v1"

    reason: WithheldReason
