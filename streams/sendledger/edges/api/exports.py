"""Exports: a campaign's messages, and the campaigns' numbers, as one file: CSV, NDJSON or Parquet (DESIGN §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from sendledger.domain.campaign_list import Wanted as WantedCampaigns
from sendledger.domain.policies import DEFAULT
from sendledger.domain.rows import Row, campaign_row, message_row
from sendledger.domain.settled import Policy
from sendledger.edges.api.auth import Caller, Reader
from sendledger.edges.api.campaigns import StatesParameter, TextParameter
from sendledger.edges.api.desk import Desk, KnownCampaign, PolicyParameter, TheDesk
from sendledger.edges.api.export_files import DESCRIBED, FormatParameter, in_one_file, paged
from sendledger.edges.api.messages import WantedParameters
from sendledger.edges.api.problems import RESPONSES, Problem, also
from sendledger.edges.exports.database import Database
from sendledger.edges.exports.scan import Reading, read_numbers
from sendledger.edges.message_index import Page
from sendledger_schemas.states import CampaignState, MessageState

log = structlog.get_logger()

router = APIRouter(responses=RESPONSES)

_PAGE = 200  # campaigns that are written before others get their turn

NumbersParameter = Annotated[
    Literal["masked", "full"], Query(description="`full`: whole phone numbers; needs the scope admin, and takes longer")
]


@router.get(
    "/v1/campaigns/{campaign_id}/export",
    tags=["messages"],
    response_class=StreamingResponse,
    responses={**DESCRIBED, **also(404)},
)
async def export(
    *,
    request: Request,
    desk: TheDesk,
    caller: Reader,
    campaign_id: KnownCampaign,
    wanted: WantedParameters,
    format_: FormatParameter = "csv",
    numbers: NumbersParameter = "masked",
) -> Response:
    """All messages of a campaign in one file; days and times are UTC. Numbers are masked unless an admin asks."""
    full = numbers == "full"
    if full:
        _permit(caller, campaign_id)
    pages, now = desk.view.index.pages(campaign_id, wanted), datetime.now(UTC)
    if not full and format_ != "parquet":
        return paged("messages", _message_rows(pages, wanted.policy, now), format_)

    async def fill(made: Database) -> None:
        reading = Reading(made, ("messages",), campaign_id, wanted.policy, now)
        await asyncio.to_thread(_add_messages, reading, pages)
        if full:
            await read_numbers(reading, desk.kafka, progress=lambda _read, _of: None)

    return await in_one_file(request, "messages", format_, fill)


def _permit(caller: Caller, campaign_id: str) -> None:
    if caller.scope != "admin":
        raise Problem(403, "forbidden", "whole numbers need a token with the scope admin")
    log.info("whole phone numbers exported", by=caller.by, campaign_id=campaign_id)


def _message_rows(pages: Iterator[Page], policy: Policy, now: datetime) -> Iterator[list[Row]]:
    for page in pages:
        yield [message_row(MessageState.model_validate_json(document), policy, now) for document in page.items]


def _add_messages(reading: Reading, pages: Iterator[Page]) -> None:
    offset = 0
    for page in pages:
        for document in page.items:
            state = MessageState.model_validate_json(document)
            place = {"_partition": 0, "_offset": offset, "_request_partition": state.request.partition}
            row = {**place, "_request_offset": state.request.offset, **message_row(state, reading.policy, reading.now)}
            reading.database.add("read_messages", row)
            offset += 1


@router.get(
    "/v1/export/campaigns",
    tags=["campaigns"],
    response_class=StreamingResponse,
    responses=DESCRIBED,
)
async def export_campaigns(
    *,
    request: Request,
    desk: TheDesk,
    _caller: Reader,
    states: StatesParameter = None,
    text: TextParameter = "",
    policy: PolicyParameter = DEFAULT,
    format_: FormatParameter = "csv",
) -> Response:
    """The numbers of each campaign, a row a campaign, by id: of all of them, or of those that a list would show.

    As `sendledger export campaigns`: a campaign has its row once its first message is folded.
    """
    pages = _campaign_rows(_chosen(desk, WantedCampaigns(frozenset(states or ()), text)), policy)
    if format_ != "parquet":
        return paged("campaigns", pages, format_)

    async def fill(made: Database) -> None:
        await asyncio.to_thread(_add_campaigns, made, pages)

    return await in_one_file(request, "campaigns", format_, fill)


def _chosen(desk: Desk, wanted: WantedCampaigns) -> list[CampaignState]:
    """As they are now, whatever comes while the file is written."""
    chosen = sorted(card.campaign_id for card in wanted.chosen(desk.board.cards().values()))
    return [state for campaign_id in chosen if (state := desk.view.states.get(campaign_id)) is not None]


def _campaign_rows(states: list[CampaignState], policy: Policy) -> Iterator[list[Row]]:
    now = datetime.now(UTC)
    for first in range(0, len(states), _PAGE):
        yield [campaign_row(state, policy, now) for state in states[first : first + _PAGE]]


def _add_campaigns(made: Database, pages: Iterator[list[Row]]) -> None:
    for offset, row in enumerate(row for page in pages for row in page):
        made.add("read_campaigns", {"_partition": 0, "_offset": offset, **row})
