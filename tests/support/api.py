"""The API in tests: one in this process on a real broker, and a client that says what it wants to see."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiokafka import TopicPartition
from pydantic import SecretStr

from sendledger.config import Settings
from sendledger.edges.api import serve
from sendledger.edges.kafka import consumer
from sendledger.life import Life
from sendledger.setting_types import ApiToken
from sendledger_schemas.envelope import Event, decode
from sendledger_schemas.topics import TOPICS
from tests.support.kafka import eventually
from tests.support.receiver import free_port

READ = "canary-read-token-AAAAAAAAAAAAAA"
SEND = "canary-send-token-AAAAAAAAAAAAAA"
ADMIN = "canary-admin-token-AAAAAAAAAAAAA"
TOKENS = (
    ApiToken(scope="read", token=SecretStr(READ)),
    ApiToken(scope="send", token=SecretStr(SEND)),
    ApiToken(scope="admin", token=SecretStr(ADMIN)),
)
NUMBER = "15551234888"
TEXT = "Hello Jerry – canary text"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The last part of a problem's type; it has to be a problem."""
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.json["type"]).rpartition(":")[2]


@dataclass(kw_only=True)
class ApiClient:
    """Who calls an API that listens where the settings say."""

    settings: Settings
    session: aiohttp.ClientSession
    answers: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.settings.api_port}"

    async def call(self, method: str, path: str, *, token: str | None = ADMIN, **over: Any) -> Answer:
        """One request; what came back is kept for tests that look for what must not be in it."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **over.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **over) as response:
            body = await response.read()
            self.answers.append(body)
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)

    async def get(self, path: str, **over: Any) -> Answer:
        """GET."""
        return await self.call("GET", path, **over)

    async def post(self, path: str, body: Any = None, **over: Any) -> Answer:
        """POST of JSON."""
        return await self.call("POST", path, json=body, **over)

    async def submit(self, campaign: str, recipients: Sequence[Any], *, key: str | None = None, **over: Any) -> Answer:
        """POST messages as JSON."""
        body = {"sender": "60856", "text": TEXT, "recipients": list(recipients), **over}
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call("POST", f"/v1/campaigns/{campaign}/messages", json=body, headers=headers)

    async def upload(self, campaign: str, file: bytes, *, key: str | None = None, **fields: str) -> Answer:
        """POST messages as a form with a CSV file."""
        form = aiohttp.FormData()
        for name, value in {"sender": "60856", "text": TEXT, **fields}.items():
            form.add_field(name, value)
        form.add_field("file", file, filename="people.csv", content_type="text/csv")
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call("POST", f"/v1/campaigns/{campaign}/messages", data=form, headers=headers)


@dataclass(kw_only=True)
class RunningApi(ApiClient):
    """An API that runs in this process."""

    life: Life
    task: asyncio.Task[None]


@contextlib.asynccontextmanager
async def running_api(settings: Settings, **over: Any) -> AsyncIterator[RunningApi]:
    """An API on a free port, ready. It must end cleanly."""
    given = settings.model_copy(update={"api_port": free_port(), "api_tokens": TOKENS, **over})
    life = Life()
    task = asyncio.create_task(serve(given, life))
    try:
        await eventually(lambda: life.ready.is_set() or task.done(), what="the API is ready")
        if task.done():
            task.result()
        async with aiohttp.ClientSession() as session:
            yield RunningApi(settings=given, session=session, life=life, task=task)
    finally:
        life.stop.set()
        await task


async def records(settings: Settings, topic: str) -> list[Any]:
    """All records of a topic, partition after partition."""
    places = [TopicPartition(topic, p) for p in range(settings.partitions if TOPICS[topic].keyed else 1)]
    found: list[Any] = []
    async with consumer(settings.kafka) as reader:
        reader.assign(places)
        ends = await reader.end_offsets(places)
        await reader.seek_to_beginning(*places)
        for place in places:
            while await reader.position(place) < ends[place]:
                for batch in (await reader.getmany(place, timeout_ms=500)).values():
                    found.extend(batch)
    return found


async def events(settings: Settings, topic: str) -> list[Event]:
    """All events of a topic, tombstones left out."""
    return [decode(record.value) for record in await records(settings, topic) if record.value is not None]
