"""Messages: pages of a campaign's, one with its timeline, and the decision about a doubt (DESIGN §8)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from sendledger.domain.policies import DEFAULT
from sendledger.edges.api import answers
from sendledger.edges.api.auth import Reader, Submitter
from sendledger.edges.api.desk import (
    CursorParameter,
    KnownCampaign,
    Limit,
    PolicyParameter,
    TheDesk,
    cursor,
    json,
    place_of,
)
from sendledger.edges.api.problems import RESPONSES, Problem, also, not_found
from sendledger.edges.message_index import Wanted
from sendledger.edges.timeline import timeline
from sendledger_schemas.decisions import Resolution
from sendledger_schemas.states import Bucket

router = APIRouter(tags=["messages"], responses=RESPONSES)

_COLUMNS = (
    "message_id",
    "campaign_id",
    "to",
    "bucket",
    "final",
    "conflicted",
    "detail",
    "error_code",
    "doubt_reason",
    "doubt_since",
    "open_since",
    "tracking_id",
    "history_id",
    "operator_id",
    "attempts",
    "requested_at",
    "attempted_at",
    "responded_at",
    "sent_at",
    "settled_at",
    "recipient_id",
    "version",
)
_TIMELINE_SECONDS = 30.0

MessagePath = Annotated[str, Path(alias="message_id", max_length=64)]
BucketParameter = Annotated[Bucket | None, Query(description="Only messages in this bucket")]


def wanted_messages(bucket: BucketParameter = None, policy: PolicyParameter = DEFAULT) -> Wanted:
    """Which messages, and how they are settled."""
    return Wanted(bucket, policy)


def _with_reason(
    wanted: Annotated[Wanted, Depends(wanted_messages)],
    reason: Annotated[
        str | None,
        Query(
            max_length=128,
            description="Only messages for this reason: the error code of `rejected`, the detail of `undelivered`, "
            "why they are `in_doubt`; with the policy `first-final`",
        ),
    ] = None,
) -> Wanted:
    if reason is not None and wanted.policy != DEFAULT:
        fault = ("reason", f"only with the policy {DEFAULT}")
        raise Problem(422, "invalid", "the request does not fit", errors=[fault])
    return Wanted(wanted.bucket, wanted.policy, reason)


WantedParameters = Annotated[Wanted, Depends(wanted_messages)]


class ResolveBody(BaseModel):
    """`sent`: it counts as accepted; `withhold`: it is cancelled; `resend`: it goes back into the queue."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    resolution: Resolution = Field(alias="as")
    note: str = Field(default="", max_length=500, description="Runs of digits are masked")


def shown(document: bytes, policy: str = DEFAULT) -> dict[str, Any]:
    """A message state as it is shown, settled under a policy: the number masked to its last three digits."""
    state = orjson.loads(document)
    settled = (state.get("otherwise") or {}).get(policy) or {}
    return {**{name: state.get(name) for name in _COLUMNS}, **settled, "to": f"***{state['to_last3']}"}


@router.get("/v1/campaigns/{campaign_id}/messages", response_model=answers.MessagePage, responses=also(404))
async def messages(
    desk: TheDesk,
    _caller: Reader,
    campaign_id: KnownCampaign,
    wanted: Annotated[Wanted, Depends(_with_reason)],
    limit: Limit = 100,
    cursor_: CursorParameter = None,
) -> Response:
    """A campaign's messages in the order of their ids, which never changes."""
    place = place_of(cursor_, str)
    after = "" if place is None else place[0]
    page = await asyncio.to_thread(desk.view.index.page, campaign_id, wanted, after=after, limit=limit)
    following = cursor(page.next) if page.next is not None else None
    return json({"items": [shown(document, wanted.policy) for document in page.items], "next_cursor": following})


@router.get("/v1/messages/{message_id}", response_model=answers.Message, responses=also(404))
async def message(desk: TheDesk, _caller: Reader, message_id: MessagePath) -> Response:
    """One message: its state, and its timeline read from the events themselves."""
    state = await asyncio.to_thread(desk.view.index.get, message_id)
    if state is None:
        raise not_found("message")
    async with desk.timelines, asyncio.timeout(_TIMELINE_SECONDS):
        steps = await timeline(desk.kafka, state)
    document = state.model_dump_json().encode()
    otherwise = {name: each.model_dump(mode="json") for name, each in (state.otherwise or {}).items()}
    return json({**shown(document), "otherwise": otherwise, "timeline": [step.shown() for step in steps]})


@router.post(
    "/v1/messages/{message_id}/resolve", status_code=202, response_model=answers.Resolved, responses=also(404, 409)
)
async def resolve(desk: TheDesk, caller: Submitter, message_id: MessagePath, body: ResolveBody) -> Response:
    """Settle a message in doubt. `resend` may send it twice: nobody but an operator can want that."""
    state = await asyncio.to_thread(desk.view.index.get, message_id)
    if state is None:
        raise not_found("message")
    if state.bucket != "in_doubt":
        raise Problem(409, "not-in-doubt", f"the message is {state.bucket}: there is no doubt to resolve")
    await desk.orders.resolve(state, body.resolution, by=caller.by, note=body.note)
    return json({"message_id": message_id, "attempt": state.attempts, "resolution": body.resolution}, 202)
