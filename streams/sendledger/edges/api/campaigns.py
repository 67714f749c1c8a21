"""Campaigns: their list, their numbers, and the orders pause, resume, cancel (DESIGN §8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from sendledger.domain.campaign_list import Place, Sort, State, Wanted
from sendledger.domain.moments import Clock, Wrong, moment_of
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.policies import DEFAULT
from sendledger.edges.api import answers
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
from sendledger.edges.api.problems import RESPONSES, Problem, also, not_found
from sendledger.edges.past import Asked
from sendledger.edges.under_way import Flights, Unread
from sendledger_schemas.campaigns import ACCOUNT, FASTEST
from sendledger_schemas.topics import CAMPAIGNS

router = APIRouter(responses=RESPONSES)

_ORDER: dict[str, Any] = {"tags": ["orders"], "response_model": answers.CampaignSummary, "responses": also(404, 409)}
_ACCOUNT: dict[str, Any] = {"tags": ["account"], "response_model": answers.Account}


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


StatesParameter = Annotated[
    list[State] | None, Query(alias="state", description="Only campaigns in one of these states")
]
TextParameter = Annotated[str, Query(alias="q", max_length=128, description="In id, name or CAMPAIGNREF, in any case")]


def _wanted(
    states: StatesParameter = None,
    text: TextParameter = "",
    sort: Annotated[
        Sort,
        Query(
            description="`newest`, `oldest`: by registration. `name`: by id. `requested`, `pending`, `in_doubt`, "
            "`failed`: the greatest first. `delivery`: the lowest share of delivered among those settled first"
        ),
    ] = "newest",
) -> Wanted:
    return Wanted(frozenset(states or ()), text, sort)


WantedParameters = Annotated[Wanted, Depends(_wanted)]


class RateBody(BaseModel):
    """Messages a second for the account."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    per_second: float = Field(gt=0, le=FASTEST, allow_inf_nan=False)


@router.get("/v1/campaigns", tags=["campaigns"], response_model=answers.CampaignPage)
async def campaigns(
    desk: TheDesk,
    _caller: Reader,
    wanted: WantedParameters,
    limit: Limit = 100,
    cursor_: CursorParameter = None,
) -> Response:
    """Campaigns: state, counts and rates of each, the latest first unless another sort is asked for.

    A cursor belongs to its sort. By registration or name a reader meets each campaign once, also while others are
    registered; by a number, campaigns that change between two pages may move.
    """
    cards, following = desk.board.page(wanted, _behind(cursor_, wanted.sort), limit)
    next_cursor = None if following is None else cursor(wanted.sort, *following)
    return json({"items": [orjson.Fragment(card.json) for card in cards], "next_cursor": next_cursor})


def _behind(text: str | None, sort: Sort) -> Place | None:
    place = place_of(text, str, (int, float), str)
    if place is not None and place[0] != sort:
        raise Problem(422, "invalid", "the request does not fit", errors=[("cursor", "a cursor of another sort")])
    return None if place is None else (place[1], place[2])


@router.get(
    "/v1/campaigns/{campaign_id}", tags=["campaigns"], response_model=answers.Campaign, responses=also(404, 410)
)
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
        return json(desk.board.whole(campaign_id, policy))
    moment = moment_of(at, datetime.now(UTC))
    if isinstance(moment, Wrong):
        raise Problem(422, "invalid", "the request does not fit", errors=[("at", moment.reason)])
    if campaign_id == NO_CAMPAIGN:
        raise not_found("campaign")  # the orphans: they have no requests to begin with
    past = await desk.pasts.get(Asked(campaign_id, moment, clock or "log"))
    return json(past.view(policy))


@router.post("/v1/campaigns/{campaign_id}/pause", **_ORDER)
async def pause(desk: TheDesk, caller: Submitter, campaign_id: KnownCampaign, body: Why = None) -> Response:
    """Attempt nothing new of this campaign until a resume. Calls in flight end."""
    return await _ordered(desk, campaign_id, desk.orders.pause, caller, body)


@router.post("/v1/campaigns/{campaign_id}/resume", **_ORDER)
async def resume(desk: TheDesk, caller: Submitter, campaign_id: KnownCampaign, body: Why = None) -> Response:
    """Lift every pause of this campaign."""
    return await _ordered(desk, campaign_id, desk.orders.resume, caller, body)


@router.post("/v1/campaigns/{campaign_id}/cancel", **{**_ORDER, "response_model": answers.CancelledCampaign})
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
    told = {**desk.board.summary(campaign_id), "state": "cancelled"}
    if isinstance(found, Unread):
        return json({**told, "in_flight": None, "in_flight_reason": found.reason})
    return json({**told, "in_flight": found.beside(told["counts"]["attempting"]).shown(), "in_flight_reason": None})


@router.post("/v1/account/pause", **_ACCOUNT)
async def pause_account(desk: TheDesk, caller: Admin, body: Why = None) -> Response:
    """Attempt nothing new at all until a resume."""
    offset = await desk.orders.pause(ACCOUNT, by=caller.by, reason=body.reason if body else "")
    return await _account(desk, offset)


@router.post("/v1/account/resume", **_ACCOUNT)
async def resume_account(desk: TheDesk, caller: Admin, body: Why = None) -> Response:
    """Lift the account's pauses; campaigns that are paused themselves stay so."""
    offset = await desk.orders.resume(ACCOUNT, by=caller.by, reason=body.reason if body else "")
    return await _account(desk, offset)


@router.post("/v1/account/rate", **_ACCOUNT)
async def rate(desk: TheDesk, caller: Admin, body: RateBody) -> Response:
    """Set the pace of the account."""
    return await _account(desk, await desk.orders.rate(body.per_second, by=caller.by))


Give = Callable[..., Awaitable[int]]


async def _ordered(desk: Desk, campaign_id: str, give: Give, caller: Caller, body: OrderBody | None) -> Response:
    await _order(desk, campaign_id, give, caller, body)
    return json(desk.board.summary(campaign_id))


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
