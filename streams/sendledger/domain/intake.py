"""Which rows of a submission become messages, and why the others do not (DESIGN §8). Pure: time comes in as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sendledger.domain.characters import described
from sendledger.domain.parts import Bill, billed
from sendledger.domain.phone import Refusal, canonical
from sendledger.domain.submission import Fault, Faults, Order, Refused, Row, Submission
from sendledger_schemas.ids import message_id, recipient_id
from sendledger_schemas.requests import SendRequested

MAX_TEXT = 160
_MAX_SENDER = 20
_MAX_NAME = 64
DEFAULT_EXPIRY = timedelta(days=7)

# `*`, `_system` and `_none` are taken; `/` parts the keys of the partials.
_CAMPAIGN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
# What XML 1.0 has not (production 2); DEL and C1 it has, but they are no part of a text.
_NOT_A_TEXT = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_A_NAME = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that goes. `text` and `operator_id` are the row's own, or None; a text without the blanks around it."""

    row: int
    to: str = field(repr=False)
    text: str | None = field(default=None, repr=False)
    operator_id: str | None = None


@dataclass(frozen=True)
class Checked:
    """The rows that go and the rows that do not, each in the order in which they came.

    `bill`: the parts of the messages that go; None if none goes.
    """

    accepted: tuple[Accepted, ...]
    refused: tuple[Refused, ...]
    bill: Bill | None


def campaign_id_fault(campaign_id: str) -> Fault | None:
    """What is wrong with a campaign's id: 1 to 128 ASCII letters, digits, dots, dashes, underscores (not the first)."""
    if _CAMPAIGN_ID.fullmatch(campaign_id):
        return None
    return Fault("campaign_id", "1 to 128 letters, digits, '.', '-' or '_', and a letter or digit first")


def check(submission: Submission, *, region: str | None, now: datetime) -> Checked | Faults:
    """Judge the order, then each row. Faults only where nothing of the submission can go."""
    if faults := tuple(_order_faults(submission, now)):
        return Faults(faults)
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    for row in submission.rows:
        match _judge(row, submission.order, region, seen):
            case Accepted() as good:
                seen.add(good.to)
                accepted.append(good)
            case Refused() as bad:
                refused.append(bad)
    bill = billed(_text(row, submission.order) for row in accepted)
    return Checked(tuple(accepted), tuple(refused), bill)


def requests(submission: Submission, checked: Checked, *, batch: str, pepper: bytes, now: datetime,
             expiry: timedelta = DEFAULT_EXPIRY) -> Iterator[SendRequested]:  # fmt: skip
    """The data of one SendRequested for each accepted row.

    A function of its arguments alone: with the batch's registered time as `now`, a submission that comes again
    gives the same events.
    """
    order = submission.order
    expires_at = order.expires_at or max(now, order.not_before or now) + expiry
    for row in checked.accepted:
        yield SendRequested(
            message_id=message_id(submission.campaign_id, batch, row.row),
            campaign_id=submission.campaign_id,
            recipient_id=recipient_id(pepper, row.to),
            to=row.to,
            sender=order.sender,
            text=_text(row, order),
            campaign_ref=campaign_ref(submission),
            operator_id=row.operator_id or order.operator_id,
            not_before=order.not_before,
            expires_at=expires_at,
        )


def campaign_ref(submission: Submission) -> str | None:
    """CAMPAIGNREF: the order's own, else the campaign's id if it is all digits, else none (DESIGN §8)."""
    campaign_id = submission.campaign_id
    return submission.order.campaign_ref or (campaign_id if campaign_id.isdigit() else None)


def _order_faults(submission: Submission, now: datetime) -> Iterator[Fault]:
    order = submission.order
    if fault := campaign_id_fault(submission.campaign_id):
        yield fault
    if reason := _name_fault(order.sender, _MAX_SENDER):
        yield Fault("sender", reason)
    for name, value in (("campaign_ref", order.campaign_ref), ("operator_id", order.operator_id)):
        if value is not None and (reason := _name_fault(value, _MAX_NAME)):
            yield Fault(name, reason)
    if order.text is not None and (reason := text_fault(order.text)):
        yield Fault("text", reason)
    if order.text is None and not any(isinstance(row, Row) and row.text is not None for row in submission.rows):
        yield Fault("text", "missing")
    yield from _time_faults(order, now)


def _time_faults(order: Order, now: datetime) -> Iterator[Fault]:
    if order.expires_at is None:
        return
    if order.expires_at <= now:
        yield Fault("expires_at", "is in the past")
    elif order.not_before is not None and order.expires_at <= order.not_before:
        yield Fault("expires_at", "is not later than not_before")


def text_fault(text: str) -> str | None:
    """What is wrong with a message's text; of its characters none is shown but one that cannot be sent, by its name.

    It needs 1 to 160 characters (code points), not counting blanks around them, that an XML document can hold and
    that control nothing but the line.
    """
    if not text.strip():
        return "empty"
    if (length := len(text.strip())) > MAX_TEXT:
        return f"{length} characters, at most {MAX_TEXT}"
    return _forbidden(_NOT_A_TEXT, text)


def _text(row: Accepted, order: Order) -> str:
    # Readers of the provider's API trim (PROVIDER.md): what is counted here is what arrives there.
    return (row.text or order.text or "").strip()


def _forbidden(forbidden: re.Pattern[str], value: str) -> str | None:
    found = forbidden.search(value)
    return f"character {found.start() + 1} cannot be sent: {described(found[0])}" if found else None


def _name_fault(name: str, longest: int) -> str | None:
    if not name:
        return "empty"
    if len(name) > longest:
        return f"{len(name)} characters, at most {longest}"
    return _forbidden(_NOT_A_NAME, name)


def _judge(row: Row | Refused, order: Order, region: str | None, seen: set[str]) -> Accepted | Refused:
    if isinstance(row, Refused):
        return row
    to = canonical(row.to, region)
    if isinstance(to, Refusal):
        return Refused(row.number, "to", to.reason)
    if to in seen:
        return Refused(row.number, "to", "duplicate")
    for name, reason in _own_faults(row, order):
        return Refused(row.number, name, reason)
    return Accepted(row.number, to, row.text and row.text.strip(), row.operator_id)


def _own_faults(row: Row, order: Order) -> Iterator[tuple[str, str]]:
    if row.text is not None and (reason := text_fault(row.text)):
        yield "text", reason
    if row.text is None and order.text is None:
        yield "text", "missing"
    if row.operator_id is not None and (reason := _name_fault(row.operator_id, _MAX_NAME)):
        yield "operator_id", reason
