"""The tables that analysts read (exports, SQL, sinks): one model a table, one described field a column (DESIGN §8).

No column holds a text or, unless an export was asked for it, a phone number (P7). Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pydantic import Field

from sendledger_schemas.attempts import Attempt
from sendledger_schemas.fields import EventData, Instant
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.responses import ErrorClass
from sendledger_schemas.states import Bucket

Kind = Literal["text", "boolean", "integer", "number", "instant", "date", "json"]
End = Literal["accepted", "rejected", "throttled", "not_sent", "unanswered"]


_AT_READING = "at_reading"  # of a field: it depends on when it is read


def _count(what: str) -> Any:
    return Field(ge=0, description=f"Messages {what}")


class MessageRow(EventData):
    """One message: what became of it, under the policy that was asked for."""

    message_id: str = Field(description="The message's id; one row each")
    campaign_id: str = Field(description="Its campaign")
    to: str = Field(description="The number: its last three digits, `***888`; whole only where an export asked for it")
    bucket: Bucket = Field(description="What became of it: the one bucket that it is in")
    final: bool = Field(description="Whether a final receipt or answer has settled it")
    conflicted: bool = Field(description="Whether two different final receipts came; the policy says which one counts")
    detail: str | None = Field(description="Why it was not delivered, as the receipt says: failed, expired, tp_0x46, …")
    error_code: str | None = Field(description="The provider's ERRORCODE of a rejected message")
    doubt_reason: str | None = Field(description="Why it is in doubt: timeout, reset, http_5xx, unreadable, crash")
    doubt_since: Instant | None = Field(description="Since when it is in doubt")
    open_since: Instant | None = Field(description="Of accepted or sent: when its call began; it waits for a receipt")
    unknown: bool = Field(
        description="Whether no final receipt came within 72 h, counted in whole hours; at the moment of reading",
        json_schema_extra={_AT_READING: True},
    )
    tracking_id: str | None = Field(description="The provider's TRACKINGID")
    history_id: str | None = Field(description="The provider's HISTORYID, of the first postback that names one")
    operator_id: str | None = Field(description="The carrier, as the first postback names it, else as the request did")
    attempts: int = Field(ge=0, description="Calls to the provider that were begun for it")
    requested_at: Instant = Field(description="When it was asked for")
    attempted_at: Instant | None = Field(description="When its first call began")
    responded_at: Instant | None = Field(description="When the provider answered")
    sent_at: Instant | None = Field(description="When the carrier had it, by the provider's clock")
    settled_at: Instant | None = Field(description="When the receipt that counts says it was settled")
    recipient_id: str = Field(description="The number's keyed hash: the same for all messages to one number")
    version: int = Field(ge=0, description="How complete the row is: of two rows of a message the greater holds")
    fold_version: int = Field(ge=0, description="Of the code that folded it; decides between two rows of one version")
    day: date = Field(description="The day of requested_at in UTC: the folder of an export")


class CampaignRow(EventData):
    """One campaign in numbers, each message counted in exactly one bucket."""

    campaign_id: str = Field(description="The campaign's id; one row each")
    as_of: Instant = Field(description="When these numbers were published")
    requested: int = _count("that were asked for: the sum of the eleven buckets that follow")
    queued: int = _count("that wait for their turn")
    attempting: int = _count("whose call is under way")
    in_doubt: int = _count("whose call got no usable answer: perhaps sent, perhaps not")
    cancelled: int = _count("that were withheld because the campaign was cancelled")
    expired: int = _count("that were withheld because their time was over")
    suppressed: int = _count("that were withheld because the recipient wants none")
    rejected: int = _count("that the provider refused")
    accepted: int = _count("that the provider has, without any postback yet")
    sent: int = _count("that the carrier has, without a final receipt yet")
    delivered: int = _count("that are on the handset, by their receipt")
    undelivered: int = _count("that never will be, by their receipt")
    unknown: int = Field(
        ge=0,
        description="Messages accepted or sent without a final receipt within 72 h; at the moment of reading",
        json_schema_extra={_AT_READING: True},
    )
    accepted_ever: int = _count("that the provider ever accepted, whatever came then")
    carrier: int = _count("of which a sent or a final receipt was ever seen: the denominator of delivery")
    receipt: int = _count("with a final receipt")
    conflicted: int = _count("with two different final receipts")
    duplicates: int = Field(ge=0, description="Postbacks that came again")
    late: int = Field(ge=0, description="Final receipts that came more than 72 h after the sending")
    orphans: int = Field(ge=0, description="Postbacks to its recipients that belong to no known message")
    acceptance: float | None = Field(description="accepted_ever / (accepted_ever + rejected)")
    delivery_confirmed: float | None = Field(description="delivered / carrier")
    delivery_resolved: float | None = Field(description="delivered / (delivered + undelivered)")
    receipt_coverage: float | None = Field(description="receipt / carrier")
    archived: bool = Field(description="Whether retention cut its log: the numbers stand, and move no more")
    version: int = Field(ge=0, description="How complete the row is: of two rows of a campaign the greater holds")
    fold_version: int = Field(ge=0, description="Of the code that folded it; decides between two rows of one version")


class ErrorRow(EventData):
    """Why messages of a campaign were not delivered, counted: from `messages`."""

    campaign_id: str = Field(description="The campaign")
    bucket: Literal["rejected", "undelivered", "in_doubt"] = Field(description="The messages' bucket")
    reason: str | None = Field(description="Rejected: the ERRORCODE; undelivered: the detail; in doubt: why")
    error_class: ErrorClass | None = Field(
        description="Of an ERRORCODE: whose fault it is, and whether it may be repeated"
    )
    meaning: str | None = Field(description="Of a known ERRORCODE: what the provider's documentation calls it")
    messages: int = Field(ge=1, description="How many messages")
    share: float = Field(description="messages / all messages of the campaign")
    first_at: Instant = Field(description="The earliest requested_at of them")
    last_at: Instant = Field(description="The latest requested_at of them")


class AttemptRow(EventData):
    """One call to the provider: its claim, which stands on the log before it, and how it ended."""

    message_id: str = Field(description="The message; one row for each message_id and attempt")
    campaign_id: str = Field(description="Its campaign")
    recipient_id: str = Field(description="The number's keyed hash")
    attempt: Attempt = Field(description="1 for the first call of the message, 2 for the second, …")
    started_at: Instant | None = Field(description="When it was claimed; empty if retention has deleted that")
    worker: str | None = Field(description="Which sender called: the first claim on the log wins")
    claims: int = Field(ge=0, description="How many senders claimed it; all but the first gave way")
    ended_at: Instant | None = Field(description="When it ended")
    end: End | None = Field(description="How it ended; empty while it is open. A late answer counts before unanswered")
    error_code: str | None = Field(description="The provider's ERRORCODE, or HTTP_429")
    error_class: ErrorClass | None = Field(description="What the code says about: message, campaign, account, …")
    reason: str | None = Field(description="Why it was not sent, or got no answer: refused, paused, timeout, crash, …")
    retry_at: Instant | None = Field(description="Of a throttled one: when it may be repeated")
    tracking_id: str | None = Field(description="Of an accepted one: the provider's TRACKINGID")
    duration_ms: float | None = Field(description="Of an accepted one: milliseconds from call to answer")


class PostbackRow(EventData):
    """One notification of the provider as it was understood, without its text; repeats are one row."""

    event_id: str = Field(description="A hash of the body: the same for each repeat")
    message_id: str | None = Field(description="Whose it is, by recipient and TRACKINGID; empty: of no known message")
    campaign_id: str | None = Field(description="The campaign of that message")
    recipient_id: str = Field(description="The number's keyed hash")
    origin: str = Field(description="The document's ORIGIN")
    code: str = Field(description="The document's CODE")
    claim: Claim | None = Field(description="What it says about the message; empty: nothing that we know")
    detail: str | None = Field(description="Of a failure: why")
    tracking_id: str | None = Field(description="The provider's TRACKINGID")
    history_id: str | None = Field(description="The provider's HISTORYID")
    notification_id: str | None = Field(description="The provider's NOTIFICATIONID")
    operator_id: str | None = Field(description="The carrier")
    provider_time: Instant | None = Field(description="When it happened, by the provider's clock")
    provider_timestamp: Instant | None = Field(description="The document's TIMESTAMP")
    received_at: Instant = Field(description="When it first came")
    deliveries: int = Field(ge=1, description="How many times it came")


TABLES: dict[str, type[EventData]] = {
    "messages": MessageRow,
    "campaigns": CampaignRow,
    "errors": ErrorRow,
    "attempts": AttemptRow,
    "postbacks": PostbackRow,
}


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, whether it may be empty, and what it means.

    `at_reading`: it depends on when it is read, so no table that is kept can hold it; a view can.
    """

    name: str
    kind: Kind
    optional: bool
    description: str
    at_reading: bool = False


_FORMATS: dict[str, Kind] = {"date-time": "instant", "date": "date"}
_TYPES: dict[str, Kind] = {
    "string": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "object": "json",
}


def columns(table: str) -> tuple[Column, ...]:
    """The columns of a table, in order. Errors: KeyError for a table that there is none."""
    fields = TABLES[table].model_json_schema(mode="serialization")["properties"]
    return tuple(_column(name, field) for name, field in fields.items())


def kept_columns(table: str) -> tuple[Column, ...]:
    """Those of them that a table can hold which is read later."""
    return tuple(column for column in columns(table) if not column.at_reading)


def _column(name: str, field: dict[str, Any]) -> Column:
    given = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    kind = _FORMATS.get(given[0].get("format", "")) or _TYPES[given[0]["type"]]
    optional = len(given) < len(field.get("anyOf", given))
    return Column(name, kind, optional, field["description"], field.get(_AT_READING, False))
