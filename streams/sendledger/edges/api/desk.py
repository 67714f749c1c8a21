"""What the routes work with, and the small things that several of them need."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
from fastapi import Depends, Path, Query, Request, Response

from sendledger.config import KafkaSettings
from sendledger.domain.settled import Policy
from sendledger.edges.api.board import Board
from sendledger.edges.api.pasts import Pasts
from sendledger.edges.api.problems import Problem, not_found
from sendledger.edges.intake import Intake
from sendledger.edges.orders import Orders
from sendledger.edges.tail import Tail
from sendledger.edges.under_way import Watch
from sendledger.edges.view import View
from sendledger.life import Life

_SEEN = 5.0  # seconds until what was written has to be seen in one's own view


@dataclass(frozen=True)
class Desk:
    """One running API: what it reads (`view`), what it writes (`intake`, `orders`), and how far it has read."""

    view: View
    quick: Tail
    intake: Intake
    orders: Orders
    kafka: KafkaSettings
    region: str | None
    life: Life
    roles_behind: Callable[[], Awaitable[list[str]]]
    """The roles of this instance that are not ready."""
    pasts: Pasts
    """Campaigns at earlier moments."""
    watching: Callable[[], AbstractAsyncContextManager[Watch]]
    """Looks what is in flight when something is ordered."""
    timelines: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Each timeline reads partitions of the log: so many at once."""
    board: Board = field(init=False)
    """The campaigns as readers see them."""

    def __post_init__(self) -> None:
        """A board for the view."""
        object.__setattr__(self, "board", Board(self.view))

    async def seen(self, topic: str, offset: int) -> None:
        """Return once the view has what was written there, so that the next answer shows it. Errors: TimeoutError."""
        async with asyncio.timeout(_SEEN):
            await self.quick.reached(topic, 0, offset)

    def known(self, campaign_id: str) -> bool:
        """Whether the campaign was registered, or has numbers."""
        registered = self.view.campaigns.control.campaign(campaign_id).registered is not None
        return registered or campaign_id in self.view.states


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    if not desk.life.ready.is_set():
        raise Problem(503, "not-ready", "the API is still reading the log", headers={"Retry-After": "1"})
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
CampaignPath = Annotated[str, Path(alias="campaign_id", max_length=128, description="The campaign's id")]
PolicyParameter = Annotated[Policy, Query(description="Which of several final claims of one message counts")]
Limit = Annotated[int, Query(ge=1, le=1000)]
CursorParameter = Annotated[
    str | None, Query(alias="cursor", max_length=512, description="`next_cursor` of the page before")
]


def known_campaign(desk: TheDesk, campaign_id: CampaignPath) -> str:
    """The id of a campaign that exists; else 404."""
    if not desk.known(campaign_id):
        raise not_found("campaign")
    return campaign_id


KnownCampaign = Annotated[str, Depends(known_campaign)]


def json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; bytes are JSON already."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, "application/json")


def cursor(*place: str | float) -> str:
    """A place in a list, as text that nobody should read anything into."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def place_of(cursor_text: str | None, *types: type | tuple[type, ...]) -> list[Any] | None:
    """What `cursor` was made of; None without one. Errors: 422 for one that is not ours."""
    if cursor_text is None:
        return None
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor_text + "=" * (-len(cursor_text) % 4)))
    except ValueError:
        place = None
    if not isinstance(place, list) or len(place) != len(types) or not all(map(isinstance, place, types)):
        raise Problem(422, "invalid", "the request does not fit", errors=[("cursor", "not a cursor of this list")])
    return place
