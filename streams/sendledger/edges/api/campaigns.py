"""Campaigns: their list, their numbers, and the orders pause, resume, cancel (DESIGN §8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.moments import Clock, Wrong, moment_of
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger.edges.api.auth import Admin, Caller, Reader, Submitter
from sendledger.edges.api.desk import (
    CursorParameter,
    Desk,
    KnownCampaign,
    Limit,
    PolicyParameter,
    TheDesk,
    cursor,
    json,
    place_of,
)
from sendledger.edges.api.problems import RESPONSES, Problem, not_found
from sendledger.edges.past import Asked
from sendledger.edges.under_way import Flights, Unread
from sendledger_schemas.campaigns import ACCOUNT, FASTEST
from sendledger_schemas.topics import CAMPAIGNS

router = APIRouter(responses=RESPONSES)

_SUMMARY = (
    "campaign_id",
    "name",
    "campaign_ref",
    "as_of",
    "state",
    "state_reason",
    "state_since",
    "state_by",
    "counts",
    "rates",
)


class OrderBody(BaseModel):
    """Why the order is given; runs of digits in it are masked."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reason: str = Field(default="", max_length=500)


Why = OrderBody | None
AtParameter = Annotated[
    str | None,
    Query(
        max_length=64,
        description="As it was at this moment: ISO 8601 (without a zone it is UTC), or `-2h`, `-30m`, `-1d` ago",
        examples=["2026-05-01T09:00:00Z"],
    ),
]
ClockParameter = Annotated[
    Clock | None,
    Query(
        description="`log` (default): what was known at that moment. `provider`: what had happened by then, as far as "
        "is known now, postbacks by the provider's time"
    ),
]


class RateBody(BaseModel):
    """Messages a second for the account."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    per_second: float = Field(gt=0, le=FASTEST, allow_inf_nan=False)


def view_of(desk: Desk, campaign_id: str, policy: Policy = DEFAULT) -> dict[str, Any]:
    """A campaign with all its fields."""
    view = desk.view
    state, now = view.states.get(campaign_id), datetime.now(UTC)
    return campaign_view(campaign_id, state, view.campaigns.control, view.gaps, now, policy=policy)


def summary_of(desk: Desk, campaign_id: str) -> dict[str, Any]:
    """A campaign as the list shows it."""
    full = view_of(desk, campaign_id)
    return {name: full[name] for name in _SUMMARY}


def listed(desk: Desk) -> list[tuple[int, str]]:
    """(offset of the registration, id) of all campaigns, the latest first; reserved ones are not listed."""
    control = desk.view.campaigns.control
    places = {
        name: orders.registered.offset for name, orders in control.campaigns.items() if orders.registered is not None
    }
    unregistered = {name: -1 for name in desk.view.states if name not in places and not name.startswith("_")}
    return sorted(((offset, name) for name, offset in {**unregistered, **places}.items()), reverse=True)


@router.get("/v1/campaigns", tags=["campaigns"])
async def campaigns(desk: TheDesk, _caller: Reader, limit: Limit = 100, cursor_: CursorParameter = None) -> Response:
    """Campaigns, the latest first: state, counts and rates of each."""
    return list_answer(desk, limit, cursor_)


def list_answer(desk: Desk, limit: int, after: str | None) -> Response:
    """One page of the list."""
    place = place_of(after, int, str)
    found = [entry for entry in listed(desk) if place is None or entry < (place[0], place[1])]
    items = [summary_of(desk, name) for _, name in found[:limit]]
    return json({"items": items, "next_cursor": cursor(*found[limit - 1]) if len(found) > limit else None})


@router.get("/v1/campaigns/{campaign_id}", tags=["campaigns"])
async def campaign(
    desk: TheDesk,
    _caller: Reader,
    campaign_id: KnownCampaign,
    at: AtParameter = None,
    clock: ClockParameter = None,
    policy: PolicyParameter = DEFAULT,
) -> Response:
    """One campaign: state, counts, quality, error codes, latencies, rates, series. Counts may lag behind a 202.

    With `at` as it was at that moment, folded from the log: while that goes on the answer is 503 with `Retry-After`,
    and the same request gets the numbers once they are there.
    """
    if at is None:
        if clock is not None:
            raise Problem(422, "invalid", "the request does not fit", errors=[("clock", "needs `at`")])
        return json(view_of(desk, campaign_id, policy))
    moment = moment_of(at, datetime.now(UTC))
    if isinstance(moment, Wrong):
        raise Problem(422, "invalid", "the request does not fit", errors=[("at", moment.reason)])
    if campaign_id == NO_CAMPAIGN:
        raise not_found("campaign")  # the orphans: they have no requests to begin with
    past = await desk.pasts.get(Asked(campaign_id, moment, clock or "log"))
    return json(past.view(policy))


@router.post("/v1/campaigns/{campaign_id}/pause", tags=["orders"])
async def pause(desk: TheDesk, caller: Submitter, campaign_id: KnownCampaign, body: Why = None) -> Response:
    """Attempt nothing new of this campaign until a resume. Calls in flight end."""
    return await _ordered(desk, campaign_id, desk.orders.pause, caller, body)


@router.post("/v1/campaigns/{campaign_id}/resume", tags=["orders"])
async def resume(desk: TheDesk, caller: Submitter, campaign_id: KnownCampaign, body: Why = None) -> Response:
    """Lift every pause of this campaign."""
    return await _ordered(desk, campaign_id, desk.orders.resume, caller, body)


@router.post("/v1/campaigns/{campaign_id}/cancel", tags=["orders"])
async def cancel(desk: TheDesk, caller: Submitter, campaign_id: KnownCampaign, body: Why = None) -> Response:
    """Withhold for ever what was not attempted.

    `in_flight` names calls that had begun: what the provider has got of them cannot be taken back. That takes a
    second. It is null, with the reason in `in_flight_reason`, if it could not be read, though the campaign is cancelled
    then too, and if the campaign was cancelled before: then nobody looks again.
    """
    if desk.view.campaigns.control.standing(campaign_id) == "cancelled":
        return _cancelled(desk, campaign_id, Unread("the campaign was cancelled before"))
    async with desk.watching() as watch:
        offset = await desk.orders.cancel(campaign_id, by=caller.by, reason=body.reason if body else "")
        found = await watch.in_flight(campaign_id, turn=desk.timelines)
    with suppress(TimeoutError):  # only this answer's other fields are late then: the order stands
        await desk.seen(CAMPAIGNS, offset)
    return _cancelled(desk, campaign_id, found)


def _cancelled(desk: Desk, campaign_id: str, found: Flights | Unread) -> Response:
    told = {**summary_of(desk, campaign_id), "state": "cancelled"}
    if isinstance(found, Unread):
        return json({**told, "in_flight": None, "in_flight_reason": found.reason})
    return json({**told, "in_flight": found.beside(told["counts"]["attempting"]).shown(), "in_flight_reason": None})


@router.post("/v1/account/pause", tags=["account"])
async def pause_account(desk: TheDesk, caller: Admin, body: Why = None) -> Response:
    """Attempt nothing new at all until a resume."""
    offset = await desk.orders.pause(ACCOUNT, by=caller.by, reason=body.reason if body else "")
    return await _account(desk, offset)


@router.post("/v1/account/resume", tags=["account"])
async def resume_account(desk: TheDesk, caller: Admin, body: Why = None) -> Response:
    """Lift the account's pauses; campaigns that are paused themselves stay so."""
    offset = await desk.orders.resume(ACCOUNT, by=caller.by, reason=body.reason if body else "")
    return await _account(desk, offset)


@router.post("/v1/account/rate", tags=["account"])
async def rate(desk: TheDesk, caller: Admin, body: RateBody) -> Response:
    """Set the pace of the account."""
    return await _account(desk, await desk.orders.rate(body.per_second, by=caller.by))


Give = Callable[..., Awaitable[int]]


async def _ordered(desk: Desk, campaign_id: str, give: Give, caller: Caller, body: OrderBody | None) -> Response:
    await _order(desk, campaign_id, give, caller, body)
    return json(summary_of(desk, campaign_id))


async def _order(desk: Desk, campaign_id: str, give: Give, caller: Caller, body: OrderBody | None) -> None:
    if desk.view.campaigns.control.standing(campaign_id) == "cancelled":
        raise Problem(409, "campaign-cancelled", "the campaign is cancelled, and that is final")
    offset = await give(campaign_id, by=caller.by, reason=body.reason if body else "")
    await desk.seen(CAMPAIGNS, offset)


async def _account(desk: Desk, offset: int) -> Response:
    await desk.seen(CAMPAIGNS, offset)
    return account_answer(desk)


def account_answer(desk: Desk) -> Response:
    """The orders that stand for the account."""
    control = desk.view.campaigns.control
    paused = control.account.paused
    return json(
        {
            "state": "running" if paused is None else "halted" if paused.automatic else "paused",
            "state_reason": paused.reason or None if paused else None,
            "state_since": paused.at.isoformat() if paused else None,
            "state_by": paused.by if paused else None,
            "per_second": control.rate,
        }
    )
