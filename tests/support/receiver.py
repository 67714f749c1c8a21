"""The receiver in tests: its settings, one in this process, and a client that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from sendledger.config import KafkaSettings, Settings
from sendledger.edges.kafka import consumer
from sendledger.edges.receiver import serve
from sendledger.life import Life
from sendledger_schemas.topics import POSTBACKS

TOKEN = "canary-token-AAAAAAAAAAAAAAAAAAAA"
SECOND_TOKEN = "canary-token-BBBBBBBBBBBBBBBBBBBB"
PEPPER = "canary-pepper-0123456789abcdef"
NUMBER = "15551234888"
SAMPLES = Path(__file__).parents[2] / "schemas" / "samples"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_for(directory: Path, bootstrap_servers: str | None = None, **over: Any) -> Settings:
    """Settings of a receiver on a free port; without `bootstrap_servers` its Kafka is a port where nobody listens."""
    given: dict[str, Any] = {
        "kafka": KafkaSettings(bootstrap_servers=bootstrap_servers or f"127.0.0.1:{free_port()}"),
        "recipient_pepper": SecretStr(PEPPER),
        "postback_tokens": (SecretStr(TOKEN), SecretStr(SECOND_TOKEN)),
        "receiver_port": free_port(),
        "receiver_name": "receiver-1",
        "data_dir": directory,
        **over,
    }
    return Settings(**given)


def with_receiver(settings: Settings, **over: Any) -> Settings:
    """The same installation with a receiver on a port of its own."""
    fields = {name: getattr(settings, name) for name in type(settings).model_fields}
    given = {**fields, "postback_tokens": (SecretStr(TOKEN),), "receiver_port": free_port(), "receiver_name": "r-1"}
    return Settings(**{**given, **over})


async def records_of(kafka: KafkaSettings, topic: str) -> list[ConsumerRecord]:
    """All that stands on a topic now."""
    reader = consumer(kafka)
    await reader.start()
    try:
        places = [TopicPartition(topic, number) for number in range(8 if topic == POSTBACKS else 1)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        found: list[ConsumerRecord] = []
        while any([await reader.position(place) < ends[place] for place in places]):
            for batch in (await reader.getmany(timeout_ms=200)).values():
                found += batch
        return found
    finally:
        await reader.stop()


def receipt(number: int, to: str = NUMBER) -> bytes:
    """A delivery receipt in the page's form, different for each number."""
    return (
        f'<NOTIFICATION id="{number}" created=" 2011-07-26 10:22:27.146582-04">\n<ORIGIN>SMS_MT</ORIGIN>\n'
        f"<CODE>N201</CODE>\n<BODY>\n<HISTORYID>{236990 + number}</HISTORYID>\n<TO>{to}</TO>\n"
        f'<TRACKINGID>SMS_{number}</TRACKINGID>\n<STATUS PROTOCOL="4" STATUS="0"/>\n'
        f"<TIMESTAMP>2011-07-26 10:22:25.262743-04</TIMESTAMP>\n</BODY>\n</NOTIFICATION>\n"
    ).encode()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Running:
    """A receiver that runs in this process."""

    settings: Settings
    life: Life
    task: asyncio.Task[None]

    @property
    def registry(self) -> CollectorRegistry:
        """Its metrics."""
        return self.life.registry

    def metric(self, name: str, **labels: str) -> float:
        """One sample; 0 if it was never counted."""
        return self.registry.get_sample_value(name, labels) or 0.0

    async def post(self, body: bytes, path: str = f"/postbacks/{TOKEN}", **headers: str) -> Answer:
        """One well-behaved POST on a connection of its own."""
        return await post(self.settings.receiver_port, body, path, **headers)

    async def raw(self, sent: bytes, *, seconds: float = 20.0) -> bytes:
        """Whatever comes back for these bytes until the connection ends."""
        return await raw(self.settings.receiver_port, sent, seconds=seconds)

    async def stop(self) -> BaseException | None:
        """Ask for the end and wait for it; what it ended with."""
        self.life.stop.set()
        (ended,) = await asyncio.gather(self.task, return_exceptions=True)
        return ended


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A receiver, listening; stopped at the end, whatever is left in its spool."""
    life = Life()
    task = asyncio.create_task(serve(settings, life), name="receiver under test")
    ready = asyncio.create_task(life.ready.wait())
    await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED, timeout=20)
    ready.cancel()
    if task.done():
        await task
    it = Running(settings, life, task)
    try:
        yield it
    finally:
        await it.stop()


async def raw(port: int, sent: bytes, *, seconds: float = 20.0) -> bytes:
    """Send bytes on a fresh connection; what comes back until its end, or within `seconds` of silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(65536), seconds):
                got += chunk
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return got


def request(body: bytes, path: str = f"/postbacks/{TOKEN}", method: str = "POST", **headers: str) -> bytes:
    """One request that asks for the connection's end."""
    named = {"Host": "receiver", "Connection": "close", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def parse(answer: bytes) -> Answer:
    """The first answer in these bytes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body)


async def post(port: int, body: bytes, path: str = f"/postbacks/{TOKEN}", **headers: str) -> Answer:
    """One POST."""
    return parse(await raw(port, request(body, path, **headers)))
