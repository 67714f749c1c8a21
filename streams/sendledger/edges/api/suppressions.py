"""Recipients who must get nothing. A number comes in the body, never in a URL (P7); it is shown masked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sendledger.domain.phone import Refusal, canonical
from sendledger.edges.api import answers
from sendledger.edges.api.auth import Reader, Submitter
from sendledger.edges.api.desk import CursorParameter, Desk, Limit, TheDesk, cursor, json, place_of
from sendledger.edges.api.problems import RESPONSES, Problem, also, not_found
from sendledger_schemas.decisions import RecipientSuppressed
from sendledger_schemas.envelope import Event
from sendledger_schemas.fields import format_instant
from sendledger_schemas.topics import SUPPRESSIONS

router = APIRouter(tags=["suppressions"], responses=RESPONSES)


class SuppressBody(BaseModel):
    """Whom to suppress, and why."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    to: str = Field(max_length=40, repr=False)
    reason: str = Field(default="", max_length=500, description="Runs of digits are masked")


class UnsuppressBody(BaseModel):
    """Whose suppression to lift: by number, or by the id that the list shows."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    to: str | None = Field(default=None, max_length=40, repr=False)
    recipient_id: str | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _one(self) -> UnsuppressBody:
        if (self.to is None) == (self.recipient_id is None):
            raise ValueError("either to or recipient_id")
        return self


@router.get("/v1/suppressions", response_model=answers.SuppressionPage)
async def suppressions(desk: TheDesk, _caller: Reader, limit: Limit = 100, cursor_: CursorParameter = None) -> Response:
    """All suppressions, in the order of their ids."""
    place = place_of(cursor_, str)
    after = "" if place is None else place[0]
    found = sorted(name for name in desk.view.suppressions if name > after)
    items = [_shown(desk.view.suppressions[name]) for name in found[:limit]]
    return json({"items": items, "next_cursor": cursor(found[limit - 1]) if len(found) > limit else None})


@router.post("/v1/suppressions", status_code=201, response_model=answers.Suppression)
async def suppress(desk: TheDesk, caller: Submitter, body: SuppressBody) -> Response:
    """From now on this recipient gets nothing; messages that wait for it become `suppressed`."""
    digits = _digits(desk, body.to)
    offset = await desk.orders.suppress(digits, by=caller.by, reason=body.reason)
    await desk.seen(SUPPRESSIONS, offset)
    return json(_shown(desk.view.suppressions[desk.orders.recipient(digits)]), 201)


@router.delete("/v1/suppressions", status_code=204, responses=also(404))
async def unsuppress(desk: TheDesk, _caller: Submitter, body: UnsuppressBody) -> Response:
    """Lift a suppression: new messages may go again; those withheld stay withheld."""
    recipient = body.recipient_id or desk.orders.recipient(_digits(desk, body.to or ""))
    if recipient not in desk.view.suppressions:
        raise not_found("suppression")
    await desk.seen(SUPPRESSIONS, await desk.orders.unsuppress(recipient))
    return Response(status_code=204)


def _digits(desk: Desk, to: str) -> str:
    digits = canonical(to, desk.region)
    if isinstance(digits, Refusal):
        raise Problem(422, "invalid", "the request does not fit", errors=[("to", digits.reason)])
    return digits


def _shown(event: Event) -> dict[str, Any]:
    data = event.data
    if not isinstance(data, RecipientSuppressed):
        raise TypeError("the view keeps suppressions only")
    return {
        "recipient_id": data.recipient_id,
        "to": f"***{data.to_last3}",
        "reason": data.reason,
        "by": data.by,
        "since": format_instant(event.time),
    }
