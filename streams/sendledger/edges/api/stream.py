"""`GET /v1/stream`: server-sent events, a snapshot a second at most and only when something changed.

One task looks for all who listen. What it finds changed is made once, and everybody who listens to it is woken. Nothing
is queued for anybody: a reader that is slow gets the snapshot that is the latest when it has taken the one before, so
it costs one snapshot and the socket's buffer, however long it lags.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from sendledger.domain.campaign_list import Wanted
from sendledger.edges.api.auth import Reader
from sendledger.edges.api.desk import Desk, TheDesk
from sendledger.edges.api.problems import RESPONSES, also, not_found

log = structlog.get_logger()
router = APIRouter(tags=["stream"], responses=RESPONSES)

_LOOK = 0.25  # seconds between two looks for changes
_REST = 1.0  # seconds between two snapshots of one kind
_AGES = 30.0  # seconds until a look without a change: messages grow old by themselves
_HEARTBEAT = 15.0
_LISTED = 200
_HELLO = b"retry: 2000\n\n"
_STILL_HERE = b": still here\n\n"


@dataclass(eq=False)
class Channel:
    """What all listeners of one campaign (None: of the list) share. An id names content: same id, same content."""

    campaign_id: str | None
    name: str = ""
    event: bytes = b""
    data: bytes = b""
    told: float = float("-inf")
    looked: float = float("-inf")
    seen: int = -1
    listeners: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wake everybody who waits for something new."""
        self.moved.set()
        self.moved = asyncio.Event()


class Snapshots:
    """The channels that somebody listens to, and the task that looks after them while there are any."""

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk, self._clock = desk, clock
        self._channels: dict[str | None, Channel] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listening(self, campaign_id: str | None) -> Iterator[Channel]:
        """A channel with its latest snapshot, kept up to date while the context lasts."""
        channel = self._channels.setdefault(campaign_id, Channel(campaign_id))
        channel.listeners += 1
        self.look(channel)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_again(), name="snapshots")
        try:
            yield channel
        finally:
            channel.listeners -= 1
            if not channel.listeners:
                del self._channels[campaign_id]

    def look(self, channel: Channel) -> bool:
        """Make the channel's snapshot anew if it is another by now, and may be told again; whether it was."""
        now, changes = self._clock(), self._desk.view.changes
        same = channel.seen == changes and now - channel.looked < _AGES
        if same or now - channel.told < _REST:
            return False
        channel.seen, channel.looked = changes, now
        data = self._data(channel.campaign_id)
        if data == channel.data:
            return False
        name = hashlib.blake2b(data, digest_size=9).hexdigest()
        kind = b"campaigns" if channel.campaign_id is None else b"campaign"
        event = b"".join((b"id: ", name.encode(), b"\nevent: ", kind, b"\ndata: ", data, b"\n\n"))
        channel.name, channel.data, channel.event, channel.told = name, data, event, now
        return True

    def _data(self, campaign_id: str | None) -> bytes:
        board = self._desk.board
        if campaign_id is not None:
            return board.whole(campaign_id)
        cards, _ = board.page(Wanted(), None, _LISTED)
        return b"[" + b",".join(card.json for card in cards) + b"]"

    async def _look_again(self) -> None:
        stop, spoke = self._desk.life.stop, self._clock()
        while self._channels and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK)
            quiet = self._clock() - spoke >= _HEARTBEAT / 3
            spoke = self._clock() if quiet else spoke
            for channel in list(self._channels.values()):
                if self._found(channel) or quiet:
                    channel.tell()
        for channel in self._channels.values():
            channel.tell()  # the end

    def _found(self, channel: Channel) -> bool:
        try:
            return self.look(channel)
        except Exception as error:  # noqa: BLE001 — one campaign that cannot be shown must not end all streams
            log.error("no snapshot", error=type(error).__name__)  # noqa: TRY400 — a traceback may quote what is shown
            return False


class EventStream(Response):
    """The answer to one listener. `seen`: the id of the snapshot that it has already."""

    media_type = "text/event-stream"

    def __init__(self, desk: Desk, snapshots: Snapshots, campaign_id: str | None, seen: str | None) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._stop, self._snapshots, self._campaign_id, self._seen = desk.life.stop, snapshots, campaign_id, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 — ASGI's signature
        """Tell until the listener leaves or the API ends."""
        telling = asyncio.create_task(self._tell(send), name="stream")
        leaving = asyncio.create_task(_left(receive), name="listener")
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            for task in (telling, leaving):
                task.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send(_part(_HELLO))
        seen, spoke = self._seen, time.monotonic()
        with self._snapshots.listening(self._campaign_id) as channel:
            while not self._stop.is_set():
                moved = channel.moved
                if channel.name != seen:
                    seen, spoke = channel.name, time.monotonic()
                    await send(_part(channel.event))
                elif time.monotonic() - spoke >= _HEARTBEAT:
                    spoke = time.monotonic()
                    await send(_part(_STILL_HERE))
                await moved.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get(
    "/v1/stream",
    response_class=StreamingResponse,  # what it says about the answer: nothing but what stands here
    responses={
        200: {
            "description": "Server-sent events without end",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **also(404),
    },
)
async def stream(
    request: Request,
    desk: TheDesk,
    _caller: Reader,
    campaign: Annotated[str | None, Query(max_length=128, description="One campaign instead of the list")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Snapshots as they change: events `campaigns` (the items of `GET /v1/campaigns`, the latest 200) or `campaign`.

    One a second at most, the first at once unless `Last-Event-ID` says that the reader has it; the id names content, so
    it holds across restarts. A comment comes as heartbeat every 15 s. The stream is not compressed.
    """
    if campaign is not None and not desk.known(campaign):
        raise not_found("campaign")
    return EventStream(desk, request.app.state.snapshots, campaign, last_event_id)
