"""`GET /v1/audit`: who did what, the latest first."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from sendledger.edges.api import answers
from sendledger.edges.api.auth import Reader
from sendledger.edges.api.desk import CursorParameter, Limit, TheDesk, cursor, json, place_of
from sendledger.edges.api.problems import RESPONSES

router = APIRouter(tags=["audit"], responses=RESPONSES)


@router.get("/v1/audit", response_model=answers.AuditPage)
async def audit(
    desk: TheDesk,
    _caller: Reader,
    campaign: Annotated[str | None, Query(max_length=128, description="Only what concerns this campaign")] = None,
    limit: Limit = 100,
    cursor_: CursorParameter = None,
) -> Response:
    """The events of `sms.campaigns.v1` and the decisions about doubts: when, what, by whom."""
    place = place_of(cursor_, str, str)
    before = (place[0], place[1]) if place is not None else None
    found = await asyncio.to_thread(desk.view.index.audit, campaign_id=campaign, before=before, limit=limit + 1)
    following = cursor(*found[limit - 1][:2]) if len(found) > limit else None
    return json({"items": [orjson.loads(document) for _, _, document in found[:limit]], "next_cursor": following})
