"""Snapshots: made once for everybody, one a second at most, resumed by their id, and never queued for anybody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message

from sendledger.edges.api import stream
from sendledger.edges.api.stream import Channel, Snapshots
from tests.support.api import READ
from tests.support.kafka import eventually
from tests.unit.api.filled import Filled


@dataclass
class Listener:
    """One client of the stream. `gate`: while it is shut, nothing that is sent is taken."""

    filled: Filled
    path: str = "/v1/stream"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    head: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Listen until it is gone or the API ends."""
        path, _, query = self.path.partition("?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"authorization", f"Bearer {READ}".encode()), (b"accept-encoding", b"gzip"), *self.headers],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
        }  # fmt: skip
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await self.gate.wait()
            if message["type"] == "http.response.start":
                self.head = {name.decode(): value.decode() for name, value in message["headers"]}
            self.got.append(message.get("body", b""))

        await self.filled.bench.app(scope, receive, send)

    async def has(self, requested: int) -> None:
        """Wait until its latest snapshot of the list counts so many messages."""
        what = f"{requested} requested"
        await eventually(lambda: self.events[-1]["data"][0]["counts"]["requested"] == requested, what=what)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The snapshots that it took."""
        found = []
        for part in self.got:
            if part.startswith(b"id: "):
                name, kind, data = part.decode().rstrip("\n").split("\n")
                value = json.loads(data.removeprefix("data: "))
                found.append({"id": name.removeprefix("id: "), "event": kind.removeprefix("event: "), "data": value})
        return found


@contextlib.asynccontextmanager
async def listening(
    filled: Filled, *, path: str = "/v1/stream", seen: str = "", gate: bool = True
) -> AsyncIterator[Listener]:
    """A listener while the context lasts; it has to leave cleanly."""
    headers = [(b"last-event-id", seen.encode())] if seen else []
    listener = Listener(filled, path, headers)
    if gate:
        listener.gate.set()
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        listener.gate.set()
        listener.gone.set()
        await asyncio.wait_for(task, 10)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of the stream is a hundredth here."""
    monkeypatch.setattr(stream, "_LOOK", 0.002)
    monkeypatch.setattr(stream, "_REST", 0.01)


async def test_a_snapshot_is_made_once_for_all_who_listen(filled: Filled) -> None:
    """The same content has the same id and is made once; new content waits until a second has passed."""
    now = 100.0
    await filled.registered("spring")
    snapshots, channel = Snapshots(filled.bench.desk, lambda: now), Channel(None)
    assert snapshots.look(channel)
    first, event = channel.name, channel.event
    await filled.numbers("spring", 5)
    assert not snapshots.look(channel)
    assert channel.event is event
    now += stream._REST
    assert snapshots.look(channel)
    assert channel.name != first
    head, kind, content, *_ = channel.event.decode().split("\n")
    assert (head, kind) == (f"id: {channel.name}", "event: campaigns")
    assert json.loads(content.removeprefix("data: "))[0]["counts"]["requested"] == 5


async def test_a_change_elsewhere_is_no_snapshot(filled: Filled) -> None:
    """A campaign's stream says nothing when another campaign moves, or when a record changes nothing."""
    now = 100.0
    await filled.registered("spring", "autumn")
    await filled.numbers("spring", 1)
    snapshots, channel = Snapshots(filled.bench.desk, lambda: now), Channel("spring")
    assert snapshots.look(channel)
    now += 5
    await filled.numbers("autumn", 7)
    assert not snapshots.look(channel)
    await filled.numbers("spring", 1)
    assert not snapshots.look(channel)
    await filled.numbers("spring", 2, version=3)
    assert snapshots.look(channel)


async def test_listeners_get_the_first_snapshot_at_once_and_each_change(filled: Filled) -> None:
    """List and single campaign, each by its own event; one id an answer, and ids are equal for equal content."""
    await filled.registered("spring")
    await filled.numbers("spring", 1)
    async with (
        listening(filled) as one,
        listening(filled) as two,
        listening(filled, path="/v1/stream?campaign=spring") as three,
    ):
        await eventually(lambda: [len(each.events) for each in (one, two, three)] == [1, 1, 1], what="the first")
        await filled.numbers("spring", 2, version=2)
        await eventually(lambda: [len(each.events) for each in (one, two, three)] == [2, 2, 2], what="the second")
        assert one.events == two.events
        assert [each["event"] for each in three.events] == ["campaign", "campaign"]
        assert three.events[1]["data"]["counts"]["requested"] == 2
        assert one.got[1] == b"retry: 2000\n\n"


async def test_a_stream_goes_on_where_it_was_left(filled: Filled) -> None:
    """With Last-Event-ID the same content is not told again, only the next one; another id gets it at once."""
    await filled.registered("spring")
    await filled.numbers("spring", 1)
    async with listening(filled) as first:
        await eventually(lambda: first.events, what="a snapshot")
    known = first.events[0]["id"]
    async with listening(filled, seen=known) as again, listening(filled, seen="another") as other:
        await eventually(lambda: other.events, what="a snapshot")
        assert other.events == first.events
        await filled.numbers("spring", 2, version=2)
        await eventually(lambda: again.events, what="the next snapshot")
        assert again.events[0]["data"][0]["counts"]["requested"] == 2


async def test_a_slow_reader_costs_one_snapshot(filled: Filled) -> None:
    """Who takes nothing for a while then gets the one that was under way and the latest, nothing in between."""
    await filled.registered("spring")
    await filled.numbers("spring", 1)
    async with listening(filled) as quick, listening(filled) as slow:
        await eventually(lambda: slow.events and quick.events, what="both have the first")
        slow.gate.clear()
        for version in range(2, 30):
            await filled.numbers("spring", version, version=version)
            await quick.has(version)
        slow.gate.set()
        await slow.has(29)
        assert len(slow.events) <= 3
        assert len(quick.events) == 29


async def test_a_stream_is_not_compressed_nor_tagged_nor_stored(filled: Filled) -> None:
    """Compression would hold events back; the rest of the head is that of every answer."""
    await filled.registered(*(f"campaign-{number}" for number in range(50)))
    async with listening(filled) as listener:
        await eventually(lambda: listener.events, what="a snapshot")
        assert listener.head["content-type"] == "text/event-stream; charset=utf-8"
        assert {"content-encoding", "content-length", "etag"}.isdisjoint(listener.head)
        assert listener.head["cache-control"] == "no-store"


async def test_a_quiet_stream_still_beats(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments show that it lives when nothing changes."""
    monkeypatch.setattr(stream, "_HEARTBEAT", 0.03)
    async with listening(filled) as listener:
        await eventually(lambda: listener.got.count(b": still here\n\n") >= 2, what="two heartbeats")


async def test_who_has_left_costs_nothing(filled: Filled) -> None:
    """Without listeners there is no channel and no task that looks; the next one starts both again."""
    snapshots: Snapshots = filled.bench.app.state.snapshots
    for _ in range(2):
        async with listening(filled) as listener:
            await eventually(lambda: listener.events, what="a snapshot")
            looking = snapshots._looking
            assert looking is not None
        await eventually(looking.done, what="nobody looks any more")
        assert not snapshots._channels


async def test_the_end_of_the_api_ends_streams(filled: Filled) -> None:
    """Each is told its end, so that clients come back to another process instead of waiting."""
    async with listening(filled) as listener:
        await eventually(lambda: listener.events, what="a snapshot")
        filled.bench.desk.life.stop.set()
        await eventually(lambda: listener.got[-1] == b"", what="the end")


async def test_one_campaign_that_cannot_be_shown_ends_no_stream(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is logged by its type alone, and the stream goes on once it is mended."""
    await filled.registered("spring")
    async with listening(filled) as listener:
        await eventually(lambda: listener.events, what="a snapshot")
        with monkeypatch.context() as broken:
            broken.setattr("sendledger.edges.api.board.campaign_summary", lambda *_: 1 / 0)
            await filled.numbers("spring", 1)
            await asyncio.sleep(0.05)
        await filled.numbers("spring", 2, version=2)
        await eventually(lambda: len(listener.events) == 2, what="the next snapshot")
