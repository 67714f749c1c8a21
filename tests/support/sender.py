"""A sender in tests: requests on the log, a provider that answers as told, the role itself, the journal read back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

from aiohttp import web
from aiokafka import TopicPartition
from pydantic import SecretStr

from sendledger.agents.sender import serve
from sendledger.config import Settings
from sendledger.edges.kafka import consumer, producer
from sendledger.life import Life
from sendledger_schemas.envelope import HEADERS, Event, decode, encode, event
from sendledger_schemas.ids import message_id, partition_of, recipient_id
from sendledger_schemas.registry import Data
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS, TOPICS
from tests.support.kafka import PEPPER, eventually

KEY = "canary-api-key-0123456789"
START = 15_550_000_000

Answer = Callable[[int, "Form"], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass(frozen=True)
class Form:
    """What a call carried."""

    to: str
    text: str
    sender: str


def accept(number: int, form: Form) -> web.Response:
    """The page's Success."""
    body = f"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>SMS_{number}</TRACKINGID><TO>{form.to}</TO></RESPONSE>"
    return web.Response(text=body, content_type="application/xml")


def refuse(code: str, info: str = "no") -> Answer:
    """The page's Failure."""

    def answer(_: int, form: Form) -> web.Response:
        body = (
            f"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE>"
            f"<ERRORINFO>{info}</ERRORINFO><TO>{form.to}</TO></RESPONSE>"
        )
        return web.Response(text=body, content_type="application/xml")

    return answer


@dataclass
class Desk:
    """The provider: real HTTP, scripted. `calls`: TO of each call, in the order of their arrival; `now`: at once."""

    answer: Answer = accept
    calls: list[str] = field(default_factory=list)
    url: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    now: dict[str, int] = field(default_factory=dict)
    most_for_one: int = 0

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """One call; waits at the gate."""
        document = ET.fromstring(parse_qs((await http.read()).decode())["xml"][0])  # noqa: S314 — our own request
        form = Form(*(document.findtext(name) or "" for name in ("TO", "TEXT", "FROM")))
        self.calls.append(form.to)
        self.now[form.to] = self.now.get(form.to, 0) + 1
        self.most_for_one = max(self.most_for_one, self.now[form.to])
        try:
            number = len(self.calls)
            await self.gate.wait()
            answer = self.answer(number, form)
            return await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.now[form.to] -= 1


@contextlib.asynccontextmanager
async def desk(answer: Answer = accept, *, open_gate: bool = True) -> AsyncIterator[Desk]:
    """A provider on a free port."""
    it = Desk(answer)
    if open_gate:
        it.gate.set()
    runner = web.ServerRunner(web.Server(it.handle), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield it
    finally:
        await runner.cleanup()


def sending(settings: Settings, url: str, **over: Any) -> Settings:
    """The settings of a sender to this provider."""
    given = {"provider_url": url, "provider_api_key": SecretStr(KEY), "send_rate": 5_000.0, "provider_timeout": 5.0}
    return settings.model_copy(update={**given, **over})


def request(row: int, *, campaign: str = "c", to: str | None = None, **over: Any) -> SendRequested:
    """The request of one row; recipients differ by row unless told otherwise."""
    digits = to or str(START + row)
    return SendRequested(
        message_id=message_id(campaign, "batch", row),
        campaign_id=campaign,
        recipient_id=recipient_id(PEPPER.encode(), digits),
        to=digits,
        sender="60856",
        text=f"Hello {row}",
        **over,
    )


async def write(settings: Settings, topic: str, *events: Data, keyed: bool = True) -> list[int]:
    """Write events as their writers do; their offsets."""
    sent = []
    async with producer(settings.kafka) as out:
        for number, data in enumerate(events):
            key = str(getattr(data, "recipient_id", None) or getattr(data, "campaign_id", ""))
            partition = partition_of(key, settings.partitions) if keyed else 0
            named = event(data, id=f"{topic}-{key}-{number}", source="tests", time=datetime.now(UTC))
            sent.append(await out.send(topic, encode(named), key=key.encode(), partition=partition, headers=HEADERS))
        return [(await one).offset for one in sent]


async def post(settings: Settings, requests: Sequence[SendRequested]) -> None:
    """Put requests on the log."""
    await write(settings, SEND_REQUESTS, *requests)


async def order(settings: Settings, topic: str, *events: Data) -> None:
    """Put orders on a log with one partition."""
    await write(settings, topic, *events, keyed=False)


@dataclass
class Running:
    """A sender in this process."""

    life: Life
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop it as a signal does; raises what ended it."""
        self.life.stop.set()
        await self.task


@contextlib.asynccontextmanager
async def sender(settings: Settings, *, ready: bool = True) -> AsyncIterator[Running]:
    """A sender that is ready, stopped at the end unless the test did that."""
    life = Life()
    running = Running(life, asyncio.create_task(serve(settings, life)))
    try:
        if ready:
            await eventually(lambda: life.ready.is_set() or running.task.done(), what="the sender is ready")
        yield running
    finally:
        if not running.task.done():
            life.stop.set()
        await running.task


@dataclass(frozen=True)
class Line:
    """One record of the journal."""

    topic: str
    partition: int
    offset: int
    event: Event

    @property
    def kind(self) -> str:
        """The last part of its type, as `send-accepted`."""
        return self.event.type.split(".")[1]

    @property
    def data(self) -> Any:
        """Its data."""
        return self.event.data


async def journal(settings: Settings, *topics: str) -> list[Line]:
    """All records of these topics (attempts and responses by default), topic by topic, each partition in order."""
    lines: list[Line] = []
    async with consumer(settings.kafka) as reader:
        for topic in topics or (SEND_ATTEMPTS, API_RESPONSES):
            count = settings.partitions if TOPICS[topic].keyed else 1
            places = [TopicPartition(topic, number) for number in range(count)]
            reader.assign(places)
            ends = await reader.end_offsets(places)
            await reader.seek_to_beginning(*places)
            for place in places:
                while await reader.position(place) < ends[place]:
                    found = (await reader.getmany(place, timeout_ms=1000)).get(place, [])
                    lines += [Line(topic, place.partition, one.offset, decode(one.value)) for one in found]
    return lines


async def ends(settings: Settings) -> list[Line]:
    """The responses."""
    return await journal(settings, API_RESPONSES)


async def answered(settings: Settings, count: int, timeout: float = 60.0) -> list[Line]:
    """Wait until there are so many responses; them."""

    async def enough() -> list[Line] | None:
        lines = await ends(settings)
        return lines if len(lines) >= count else None

    lines: list[Line] = await eventually(enough, timeout, f"{count} responses")
    return lines


def numbers(*rows: int) -> list[str]:
    """TO of these rows."""
    return [str(START + row) for row in rows]
