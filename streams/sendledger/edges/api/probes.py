"""/livez, /readyz and /metrics: for machines, without a token and without anything personal."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sendledger.edges.api.answers import Answer
from sendledger.edges.api.desk import Desk, json

router = APIRouter(tags=["probes"])


class Live(Answer):
    """The event loop turns."""

    live: Literal[True]


class Ready(Answer):
    """Whether every role of this instance does its work, and which do not."""

    ready: bool
    waiting_for: list[str]


@router.get("/livez", response_model=Live)
async def livez() -> Response:
    """200 as long as the event loop turns."""
    return json({"live": True})


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not yet"}})
async def readyz(request: Request) -> Response:
    """200 once the API has read its topics to their ends, and every other role of this instance is ready too."""
    desk: Desk = request.app.state.desk
    waiting = ["api"] if not desk.life.ready.is_set() or desk.life.stop.is_set() else []
    waiting += await desk.roles_behind()
    return json({"ready": not waiting, "waiting_for": waiting}, 503 if waiting else 200)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """The API's metrics in Prometheus's text format."""
    desk: Desk = request.app.state.desk
    return Response(generate_latest(desk.life.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
