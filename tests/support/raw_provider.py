"""A provider made of bytes: a listening socket that answers by a script, also with what is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

TO = "15551234888"
OK = f"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>SMS_12345</TRACKINGID><TO>{TO}</TO></RESPONSE>"

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A listening socket: what came in, whole requests only, and on how many connections."""

    script: Script
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    greeting: bytes = b""
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def end(self) -> None:
        """Tear down what is left."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read request after request of one connection; each gets the script."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            if self.greeting:
                await reader.read(1)
                writer.write(self.greeting)
                writer.close()
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self.script(writer)


@contextlib.asynccontextmanager
async def serving(script: Script, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """The server on a free port of this machine. `greeting`: what it says at once, before it hangs up."""
    it = Server(script, greeting=greeting)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    it.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/send"
    try:
        yield it
    finally:
        server.close()
        await it.end()
        await server.wait_closed()


def answer(body: str | bytes = OK, status: str = "200 OK", *fields: str, length: int | None = None) -> Script:
    """An answer as a whole. `length`: what Content-Length says."""
    raw = body.encode() if isinstance(body, str) else body

    async def script(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw) if length is None else length}", *fields]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
        await writer.drain()
        if length is not None:
            writer.close()

    return script


async def reset(writer: asyncio.StreamWriter) -> None:
    """The connection is torn down behind the request."""
    writer.transport.abort()


async def hang(writer: asyncio.StreamWriter) -> None:
    """Nothing comes."""
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"<")
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter) -> None:
    """A hundred megabytes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(1600):
            writer.write(b" " * 65536)
            await writer.drain()


async def garbage(writer: asyncio.StreamWriter) -> None:
    """No HTTP at all."""
    writer.write(b"\x00\xff\x00 hello\r\n\r\n")
    writer.close()
