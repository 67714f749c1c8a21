"""The simulator in tests: one in this process, a caller that sees the bytes, and a receiver that answers as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from sendledger.simulator.desk import Rules
from sendledger.simulator.options import Options
from sendledger.simulator.postbacks import Rule
from sendledger.simulator.profile import Profile
from sendledger.simulator.server import Simulator
from sendledger.wire.sendsms import FORM_CONTENT_TYPE, SendSms, encode_form
from tests.support.processes import until

TO = "15551234888"
AT_ONCE: dict[str, Any] = {"latency_ms": (0, 0), "sent_after": (0, 0), "receipt_after": (0, 0)}
HANG_UP = -1
SILENCE = 0


def request(to: str = TO, *, text: str = "Hello", ref: str | None = "77676", key: str = "key") -> SendSms:
    """A call as a sender would make it."""
    return SendSms(api_key=key, to=to, sender="60856", text=text, campaign_ref=ref)


@dataclass(frozen=True)
class Seen:
    """What came back on the wire until the connection's end. `reset`: it ended with RST."""

    raw: bytes
    reset: bool

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        """Status line and fields, in lower case."""
        return self.raw.partition(b"\r\n\r\n")[0].lower()

    @property
    def body(self) -> bytes:
        """All after the head."""
        return self.raw.partition(b"\r\n\r\n")[2]


def http_post(body: bytes, content_type: str = FORM_CONTENT_TYPE, path: str = "/") -> bytes:
    """The bytes of a POST that asks for the connection's end."""
    head = f"POST {path} HTTP/1.1\r\nHost: provider\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def exchange(url: str, sent: bytes, *, seconds: float = 10) -> Seen:
    """Sends bytes, reads until the end. Raises TimeoutError if the end does not come in time."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    raw, reset = b"", False
    try:
        writer.write(sent)
        async with asyncio.timeout(seconds):
            while part := await reader.read(2**20):
                raw += part
    except ConnectionResetError:
        reset = True
    finally:
        writer.transport.abort()
    return Seen(raw, reset)


async def submit(url: str, call: SendSms | None = None, *, seconds: float = 10) -> Seen:
    """One call by POST."""
    return await exchange(url, http_post(encode_form(call or request())), seconds=seconds)


@dataclass
class Sink:
    """A receiver. `answer(n, body)`: the status for the n-th postback (1, 2, …), or HANG_UP, or SILENCE."""

    answer: Callable[[int, bytes], int] = lambda *_: 200
    bodies: list[bytes] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    url: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    most_at_once: int = 0
    now: int = 0

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Takes one postback; waits at the gate, so that a test can hold it."""
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            body = await http.read()
            self.bodies.append(body)
            self.types.append(http.headers.get("Content-Type", ""))
            status = self.answer(len(self.bodies), body)
            await self.gate.wait()
            if status == SILENCE:
                await asyncio.Event().wait()
            if status == HANG_UP and http.transport is not None:
                http.transport.abort()
            return web.Response(status=200 if status < 100 else status)
        finally:
            self.now -= 1


@contextlib.asynccontextmanager
async def sink(answer: Callable[[int, bytes], int] | None = None, *, gate_open: bool = True) -> AsyncIterator[Sink]:
    """A receiver on a free port."""
    it = Sink(answer) if answer else Sink()
    if gate_open:
        it.gate.set()
    runner = web.ServerRunner(web.Server(it.handle, handler_cancellation=True), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}/postbacks/canary-token"
    try:
        yield it
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def simulator(
    directory: Path,
    *,
    callback_url: str | None = None,
    rules: Rules | None = None,
    rule: Rule | None = None,
    scale: float = 0,
    **profile: Any,
) -> AsyncIterator[Simulator]:
    """A simulator in this process that does everything at once unless told otherwise."""
    options = Options(
        ledger=directory / "ledger.jsonl",
        profile=Profile(**(AT_ONCE | profile)),
        rules=rules or Rules(scale=scale),
        rule=rule or Rule(),
        callback_url=callback_url,
    )
    async with Simulator(options) as it:
        yield it


async def quiet(it: Simulator) -> None:
    """Waits until no postback is pending."""
    await until(lambda: it.status()["quiet"], "the simulator is quiet")
