"""From planned postbacks to bodies and ledger lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sendledger.simulator.behaviour import FLAT_FAILURES, Plan, PlannedPostback
from sendledger.simulator.entries import Postback
from sendledger.simulator.profile import Form
from sendledger.wire.provider_side import (
    FLAT_STATUS,
    Notice,
    encode_notification,
    encode_postback13,
    encode_postback_v2,
)
from sendledger.wire.sendsms import SendSms
from sendledger_schemas.ids import body_id

CONTENT_TYPES: dict[Form, str] = {"page": "text/xml", "1.3": "application/xml", "v2": "application/json"}

_STEP = 0.001


@dataclass(slots=True, eq=False)
class Delivery:
    """A postback on its way: its line in the ledger, its bytes, and how often it was tried."""

    entry: Postback
    body: bytes = field(repr=False)
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that the provider has: what its postbacks say besides their claims, and the clocks of its taking."""

    request: SendSms = field(repr=False)
    tracking_id: str
    history_id: str
    first_id: int
    mono: float
    wall: float
    scale: float


def deliveries(plan: Plan, taken: Taken) -> Iterator[Delivery]:
    """All postbacks of the plan, in its order, numbered from `first_id`."""
    bodies: dict[tuple[int, str], bytes] = {}
    base = taken.mono + plan.latency
    for number, planned in enumerate(plan.postbacks, start=taken.first_id):
        # A repeat is the same bytes again, so that it is the same event for whoever reads it.
        key = (planned.about, "notice" if planned.why == "repeat" else planned.why)
        created = taken.wall + plan.latency + planned.happens * taken.scale + planned.about * _STEP
        if key not in bodies:
            bodies[key] = _body(plan, planned, taken, number, created)
        body = bodies[key]
        yield Delivery(
            Postback(
                mono=taken.mono,
                wall=taken.wall,
                postback=number,
                tracking_id=_tracking_id(planned, taken),
                to=taken.request.to,
                why=planned.why,
                claim=planned.claim,
                detail=planned.detail,
                status=planned.status,
                form=plan.form,
                body_id=body_id(body),
                created=created,
                due=taken.mono if planned.early else base + planned.due * taken.scale,
                early=planned.early,
            ),
            body,
        )


def _tracking_id(planned: PlannedPostback, taken: Taken) -> str:
    return f"STRAY_{taken.tracking_id}" if planned.why == "stray" else taken.tracking_id


def _body(plan: Plan, planned: PlannedPostback, taken: Taken, number: int, created: float) -> bytes:
    body = _encode(plan.form, _notice(plan, planned, taken, number, created), planned)
    return body[: len(body) // 2] if planned.why == "garbled" else body


def _notice(plan: Plan, planned: PlannedPostback, taken: Taken, number: int, created: float) -> Notice:
    code, text = _code_and_text(plan.form, planned)
    when = datetime.fromtimestamp(created, UTC)
    # The page's own two notifications share one TIMESTAMP and differ in CREATED; the flat forms have but the one.
    handed_on = datetime.fromtimestamp(taken.wall + plan.latency, UTC)
    return Notice(
        to=taken.request.to,
        tracking_id=_tracking_id(planned, taken),
        timestamp=handed_on if plan.form == "page" else when,
        created=when,
        notification_id=str(number),
        history_id=taken.history_id,
        origin="MMS_MT" if planned.why == "foreign" else "SMS_MT",
        code=code,
        status=planned.status if plan.form == "page" else None,
        status_text=text,
        sender=taken.request.sender,
        operator_id=taken.request.operator_id or plan.operator_id,
        campaign_ref=taken.request.campaign_ref,
    )


def _code_and_text(form: Form, planned: PlannedPostback) -> tuple[str, str]:
    if planned.why == "foreign":
        return "N101", "Message Sent"
    said: str = planned.claim or "sent"
    if said == "undelivered":
        said = FLAT_FAILURES.get(planned.status or 0, "failed")
    code, text = FLAT_STATUS.get(said, FLAT_STATUS["sent"])  # still trying: only the page can say so
    # On the page a receipt has the same code as the notice that the message was sent: its STATUS alone tells.
    return ("N201" if form == "page" and planned.status is not None else code), text


def _encode(form: Form, notice: Notice, planned: PlannedPostback) -> bytes:
    match form:
        case "page":  # in the page's examples the receipt alone has lower-case names and blanks
            is_receipt = planned.status is not None
            return encode_notification(notice, upper=not is_receipt, leading_blanks=is_receipt)
        case "1.3":
            return encode_postback13(notice)
        case "v2":
            return encode_postback_v2(notice)
