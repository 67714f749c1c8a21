"""What the routes answer, as OpenAPI describes it. The routes build their JSON themselves: these models check nothing.

That answers are as described here is what the tests with schemathesis are for; so no model takes a field that it does
not name, unless it says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from sendledger.domain.campaign_list import State
from sendledger.domain.contribution import STAGES
from sendledger.domain.settled import Policy
from sendledger_schemas.decisions import Resolution
from sendledger_schemas.states import BUCKETS, Bucket

Count = Annotated[int, Field(ge=0)]
NextCursor = Annotated[str | None, Field(description="`cursor` of the next page; null on the last one")]
Masked = Annotated[str, Field(description="The number, masked to its last three digits", examples=["***888"])]
_EXACT = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer with these fields and no others."""

    model_config = _EXACT


Counts = create_model(
    "Counts",
    __config__=_EXACT,
    __doc__="Messages: requested, by bucket (their sum is `requested`), and `unknown`: open beyond the deadline.",
    **dict.fromkeys(("requested", *BUCKETS, "unknown"), (Count, ...)),
)  # type: ignore[call-overload]


class Rate(Answer):
    """A share with its denominator; `value` is null where there is nothing to divide by."""

    value: float | None
    numerator: Count
    denominator: Count


class Rates(Answer):
    """Each rate with what it is a share of: see the README."""

    acceptance: Rate
    delivery_confirmed: Rate
    delivery_resolved: Rate
    delivery_low: Rate
    delivery_high: Rate
    receipt_coverage: Rate
    matured_24h: Rate


class CampaignSummary(Answer):
    """A campaign as the list shows it."""

    campaign_id: str
    name: str | None
    campaign_ref: str | None
    as_of: datetime
    state: State
    state_reason: str | None
    state_since: datetime | None
    state_by: str | None
    counts: Counts
    rates: Rates


class CampaignPage(Answer):
    """A page of campaigns."""

    items: list[CampaignSummary]
    next_cursor: NextCursor


class Latency(Answer):
    """Percentiles in seconds, null without any message that passed the stage."""

    p50: float | None
    p95: float | None
    p99: float | None
    count: Count


Latencies = create_model("Latencies", __config__=_EXACT, **dict.fromkeys(STAGES, (Latency, ...)))  # type: ignore[call-overload]


class Quality(Answer):
    """How good the receipts are."""

    duplicates: Count
    conflicted: Count
    late: Count
    orphans: Count


class Point(Answer):
    """What happened in one step of the series."""

    at: datetime
    seconds: Literal[60, 3600]
    accepted: int
    delivered: int
    failed: int


class Gap(Answer):
    """A time in which a receiver did not listen."""

    from_: Annotated[datetime, Field(alias="from")]
    to: datetime
    receiver: str


class Campaign(CampaignSummary):
    """A campaign with all its numbers. `clock`, `at`: only of an earlier moment."""

    policy: Policy
    quality: Quality
    error_codes: dict[str, Count]
    throttled_codes: dict[str, Count]
    doubt_reasons: dict[str, Count]
    details: dict[str, Count]
    by_operator: dict[str, dict[str, Count]]
    latency_seconds: Latencies
    series: list[Point]
    receiver_gaps: list[Gap]
    imbalance: Annotated[int, Field(description="Messages in no bucket or in several: 0")]
    archived: bool
    version: int
    at: datetime | None = None
    clock: Literal["log", "provider"] | None = None


class Flight(Answer):
    """A call that may have reached the provider; `became`: `open`, or how it ended since."""

    message_id: str
    to: Masked
    attempt: int
    since: datetime
    became: str


class Flights(Answer):
    """Calls that a cancel came too late for."""

    count: Count
    older: Count
    within_seconds: float
    items: list[Flight]


class CancelledCampaign(CampaignSummary):
    """The campaign, and what was in flight."""

    in_flight: Flights | None
    in_flight_reason: str | None


class Account(Answer):
    """The orders that stand for the whole account."""

    state: Literal["running", "paused", "halted"]
    state_reason: str | None
    state_since: datetime | None
    state_by: str | None
    per_second: float | None


class MessageItem(Answer):
    """A message as pages show it."""

    message_id: str
    campaign_id: str
    to: Masked
    bucket: Bucket
    final: bool
    conflicted: bool
    detail: str | None
    error_code: str | None
    doubt_reason: str | None
    doubt_since: datetime | None
    open_since: datetime | None
    tracking_id: str | None
    history_id: str | None
    operator_id: str | None
    attempts: Count
    requested_at: datetime
    attempted_at: datetime | None
    responded_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    recipient_id: str
    version: int


class MessagePage(Answer):
    """A page of messages."""

    items: list[MessageItem]
    next_cursor: NextCursor


class OtherwiseSettled(Answer):
    """What another policy says."""

    bucket: Bucket
    detail: str | None
    settled_at: datetime | None


class Step(BaseModel):
    """One event on the message's way, with the fields of its kind beside these."""

    model_config = ConfigDict(extra="allow")

    at: datetime
    what: str
    says: Annotated[str, Field(description="The same in plain words")]
    matched: Annotated[bool, Field(description="false: a postback that is not known to be this message's")]
    topic: str
    partition: int
    offset: int


class Message(MessageItem):
    """A message with its timeline."""

    otherwise: dict[str, OtherwiseSettled]
    timeline: list[Step]


class Resolved(Answer):
    """The decision that was written."""

    message_id: str
    attempt: int
    resolution: Resolution


class Suppression(Answer):
    """A recipient who gets nothing."""

    recipient_id: str
    to: Masked
    reason: str
    by: str
    since: datetime


class SuppressionPage(Answer):
    """A page of suppressions."""

    items: list[Suppression]
    next_cursor: NextCursor


class AuditEntry(Answer):
    """Who did what, when; which other fields there are depends on `what`."""

    at: datetime
    what: str
    campaign_id: str | None
    by: str | None
    message_id: str | None = None
    batch: str | None = None
    rows: int | None = None
    name: str | None = None
    campaign_ref: str | None = None
    reason: str | None = None
    automatic: bool | None = None
    per_second: float | None = None
    attempt: int | None = None
    resolution: Resolution | None = None
    note: str | None = None
    partitions: int | None = None
    partition: int | None = None


class AuditPage(Answer):
    """A page of the trail, the latest first."""

    items: list[AuditEntry]
    next_cursor: NextCursor
