"""`GET /v1/campaigns/{id}/latency`: how long each stage took, as histograms; percentiles are in the campaign itself."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from sendledger.domain.campaign_view import numbers_of
from sendledger.domain.policies import DEFAULT
from sendledger.edges.api.auth import Reader
from sendledger.edges.api.desk import KnownCampaign, PolicyParameter, TheDesk, json
from sendledger.edges.api.problems import RESPONSES

router = APIRouter(tags=["campaigns"], responses=RESPONSES)


@router.get("/v1/campaigns/{campaign_id}/latency")
async def latency(
    desk: TheDesk, _caller: Reader, campaign_id: KnownCampaign, policy: PolicyParameter = DEFAULT
) -> Response:
    """Stage → its bins, the quickest first: each with the time up to which it reaches, in seconds, and its count.

    A bin reaches from a fourth root of ½ of that time on; empty ones are left out. The first one begins at 0.
    """
    numbers = numbers_of(desk.view.states.get(campaign_id), datetime.now(UTC), policy)
    return json(
        {
            stage: [{"up_to_seconds": upper, "count": count} for upper, count in bins]
            for stage, bins in numbers.histograms().items()
        }
    )
