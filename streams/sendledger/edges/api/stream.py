"""`GET /v1/stream`: server-sent events, a snapshot a second at most and only when something changed."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from sendledger.edges.api.auth import Reader
from sendledger.edges.api.campaigns import listed, summary_of, view_of
from sendledger.edges.api.desk import Desk, TheDesk
from sendledger.edges.api.problems import RESPONSES, not_found

router = APIRouter(tags=["stream"], responses=RESPONSES)

_TICK = 1.0
_HEARTBEAT = 15.0
_LISTED = 200


class Snapshots:
    """One snapshot of each kind a tick, made once for all who listen. An id names content: same id, same content."""

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._clock = clock
        self._boot = secrets.token_hex(4)  # counts of changes of two processes have nothing to do with each other
        self._made: dict[str | None, tuple[float, int, bytes]] = {}

    def latest(self, campaign_id: str | None) -> tuple[str, bytes]:
        """(id, event) of the list of campaigns (None), or of one campaign."""
        now, changes = self._clock(), self._desk.view.changes
        made, version, event = self._made.get(campaign_id, (0.0, -1, b""))
        if version != changes and now - made >= _TICK / 2:
            made, version, event = now, changes, self._event(campaign_id, f"{self._boot}-{changes}")
            self._made[campaign_id] = (made, version, event)
        return f"{self._boot}-{version}", event

    def _event(self, campaign_id: str | None, name: str) -> bytes:
        if campaign_id is None:
            data = orjson.dumps([summary_of(self._desk, each) for _, each in listed(self._desk)[:_LISTED]])
        else:
            data = orjson.dumps(view_of(self._desk, campaign_id))
        kind = "campaigns" if campaign_id is None else "campaign"
        return b"".join([f"id: {name}\nevent: {kind}\ndata: ".encode(), data, b"\n\n"])


@router.get("/v1/stream", response_class=StreamingResponse)
async def stream(
    request: Request,
    desk: TheDesk,
    _caller: Reader,
    campaign: Annotated[str | None, Query(max_length=128, description="One campaign instead of the list")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Snapshots as they change (events `campaigns`, or `campaign`), with a comment as heartbeat every 15 s."""
    if campaign is not None and not desk.known(campaign):
        raise not_found("campaign")
    events = _events(desk, request.app.state.snapshots, campaign, last_event_id)
    return StreamingResponse(events, media_type="text/event-stream")


async def _events(desk: Desk, snapshots: Snapshots, campaign: str | None, seen: str | None) -> AsyncIterator[bytes]:
    spoke = time.monotonic()
    yield b"retry: 2000\n\n"
    while not desk.life.stop.is_set():
        name, event = snapshots.latest(campaign)
        if event and name != seen:
            seen, spoke = name, time.monotonic()
            yield event
        elif time.monotonic() - spoke >= _HEARTBEAT:
            spoke = time.monotonic()
            yield b": still here\n\n"
        await _tick(desk.life.stop)


async def _tick(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_TICK):
            await stop.wait()
    except TimeoutError:
        return
