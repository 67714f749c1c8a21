"""What someone submitted: one order (sender, text, times) and its rows, before anything about them is judged.

Read from the JSON body or the form of `POST /v1/campaigns/{id}/messages`, or by the CLI. Numbers and texts never
stand in a fault, a refusal or a repr (P7).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

MAX_ROWS = 200_000
"""Of one submission; a greater audience comes in several files."""
M = TypeVar("M", bound=BaseModel)
_YEARS = range(2000, 9000)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the whole submission cannot be used."""

    field: str
    reason: str


@dataclass(frozen=True)
class Faults:
    """The submission as a whole is refused: nothing of it goes."""

    items: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why one row (from 1) does not go; the others do."""

    row: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """One recipient as it was written; its own text and operator win over the order's."""

    number: int
    to: str = field(repr=False)
    text: str | None = field(default=None, repr=False)
    operator_id: str | None = None


def _when(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a time is written as text")  # noqa: TRY004 — pydantic collects ValueErrors only
    try:
        when = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(
            "not a time like 2026-01-31T09:30:00+01:00"
        ) from None  # the parser's own text quotes the value
    if when.tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    if when.year not in _YEARS:
        raise ValueError("out of range")
    return when.astimezone(UTC)


When = Annotated[datetime, BeforeValidator(_when)]
_Name = Annotated[str | None, BeforeValidator(lambda v: (v.strip() or None) if isinstance(v, str) else v)]


class Order(BaseModel):
    """What all rows share. Unknown fields are refused: a misspelt `not_before` must not send at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sender: Annotated[str, BeforeValidator(lambda v: v.strip() if isinstance(v, str) else v)]
    text: str | None = Field(default=None, repr=False)
    campaign_ref: _Name = None
    operator_id: _Name = None
    not_before: When | None = None
    expires_at: When | None = None


class _Posted(Order):
    recipients: list[Any] = Field(repr=False)


@dataclass(frozen=True)
class Submission:
    """An order and its rows for one campaign."""

    campaign_id: str
    order: Order
    rows: tuple[Row | Refused, ...] = field(repr=False)

    def digest(self, pepper: bytes) -> str:
        """Tells two submissions apart: hex HMAC-SHA256 of all that was submitted.

        Keyed, because a plain hash of one number and a known text on `sms.campaigns.v1` could be guessed (P7).
        """
        rows = [
            [row.to, row.text, row.operator_id] if isinstance(row, Row) else [row.field, row.reason, None, None]
            for row in self.rows
        ]
        order = self.order
        shared = [order.sender, order.text, order.campaign_ref, order.operator_id]
        times = [when.isoformat() if when else None for when in (order.not_before, order.expires_at)]
        # ascii(): bytes that were no UTF-8 are surrogates here, which no encoding takes
        return hmac.digest(pepper, ascii([self.campaign_id, shared, times, rows]).encode(), "sha256").hex()


def from_json(campaign_id: str, body: bytes) -> Submission | Faults:
    """The JSON body `{"sender", "text", "recipients": […], …}`; a recipient is a text or `{"to", "text"?, …}`."""
    try:
        fields = pydantic_core.from_json(body)
    except (ValueError, RecursionError):
        return Faults((Fault("body", "not JSON"),))
    posted = _read(_Posted, fields)
    if isinstance(posted, Faults):
        return posted
    if not 0 < len(posted.recipients) <= MAX_ROWS:
        reason = f"more than {MAX_ROWS}: split them" if posted.recipients else "none"
        return Faults((Fault("recipients", reason),))
    rows = tuple(_recipient(number, item) for number, item in enumerate(posted.recipients, 1))
    return Submission(campaign_id, Order.model_construct(**_shared(posted)), rows)


def from_form(campaign_id: str, fields: dict[str, str], rows: tuple[Row | Refused, ...]) -> Submission | Faults:
    """The form's fields (an empty one is an absent one) and the rows of its file."""
    order = _read(Order, {name: value for name, value in fields.items() if value.strip()})
    return order if isinstance(order, Faults) else Submission(campaign_id, order, rows)


def _shared(posted: _Posted) -> dict[str, Any]:
    return {name: getattr(posted, name) for name in Order.model_fields}


def _read(model: type[M], fields: Any) -> M | Faults:
    if not isinstance(fields, dict):
        return Faults((Fault("body", "not a JSON object"),))
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        return Faults(tuple(Fault(*_fault(item)) for item in error.errors(include_input=False, include_url=False)))


def _fault(item: Any) -> tuple[str, str]:
    name = ".".join(str(part) for part in item["loc"])
    match item["type"]:
        case "missing":
            return name, "missing"
        case "extra_forbidden":
            # the name is the caller's own and may hold anything, a number too
            return "body", "unknown field"
        case _:
            return name, str(item["msg"]).removeprefix("Value error, ")


def _recipient(number: int, item: object) -> Row | Refused:
    if isinstance(item, str):
        return Row(number, item)
    if not isinstance(item, dict):
        return Refused(number, "to", "must be a string")
    if item.keys() - {"to", "text", "operator_id"}:
        return Refused(number, "row", "unknown field")
    to, text, operator_id = item.get("to"), item.get("text"), item.get("operator_id")
    for name, value in (("to", to), ("text", text), ("operator_id", operator_id)):
        if not isinstance(value, str) and (value is not None or name == "to"):
            return Refused(number, name, "must be a string")
    return Row(number, str(to), text or None, (operator_id or "").strip() or None)
