"""A provider made of bytes: a listening socket that answers by a script, also with what is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import certificates

TO = "15551234888"
OK = f"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>SMS_12345</TRACKINGID><TO>{TO}</TO></RESPONSE>"

_MOST_WAITING = 4

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A listening socket: what came in, whole requests only, and on how many connections.

    `reads=False`: each connection gets the script at once, and what comes in stays unread.
    """

    script: Script
    reads: bool = True
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
            if not self.reads:
                await self.script(writer)
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self.script(writer)


@contextlib.asynccontextmanager
async def serving(
    script: Script, greeting: bytes = b"", *, reads: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """The server on a free port of this machine. `greeting`: what it says at once, before it hangs up."""
    it = Server(script, reads, greeting=greeting)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    it.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/send"
    try:
        yield it
    finally:
        server.close()
        await it.end()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def nobody() -> AsyncIterator[Server]:
    """A port on which nobody listens."""
    async with serving(hang) as it:
        pass
    yield it


@contextlib.asynccontextmanager
async def nowhere() -> AsyncIterator[Server]:
    """A name that no lookup finds (RFC 2606)."""
    yield Server(hang, url="http://provider.invalid/")


@contextlib.asynccontextmanager
async def crowded() -> AsyncIterator[Server]:
    """A port that answers no knock: the kernel drops them while as many wait as the listener allows."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting: list[socket.socket] = []
    try:
        while len(waiting) < _MOST_WAITING:
            knock = socket.socket()
            knock.setblocking(False)
            waiting.append(knock)
            with contextlib.suppress(BlockingIOError):
                knock.connect(listener.getsockname())
        yield Server(hang, url=f"http://127.0.0.1:{listener.getsockname()[1]}/send")
    finally:
        for one in (*waiting, listener):
            one.close()


@contextlib.asynccontextmanager
async def called_over_tls(plain: AbstractAsyncContextManager[Server]) -> AsyncIterator[Server]:
    """A server that is called over TLS, whatever it speaks."""
    async with plain as it:
        it.url = it.url.replace("http://", "https://")
        yield it


@contextlib.asynccontextmanager
async def unvouched() -> AsyncIterator[Server]:
    """A server with a certificate that no authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        context.load_cert_chain(certificates.unvouched(Path(directory)))
    async with serving(answer(), tls=context) as it:
        yield it


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


def then_closed(script: Script) -> Script:
    """What another script does, and then an orderly end of the connection, as the answer's head says."""

    async def closing(writer: asyncio.StreamWriter) -> None:
        await script(writer)
        writer.close()

    return closing


async def reset(writer: asyncio.StreamWriter) -> None:
    """The connection is torn down."""
    at_once = struct.pack("ii", 1, 0)  # no lingering: an RST, not an orderly end
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """The connection is closed in order."""
    writer.close()


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
    await _pour(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b" ")


async def endless_head(writer: asyncio.StreamWriter) -> None:
    """A hundred megabytes before the body begins."""
    await _pour(writer, b"HTTP/1.1 200 OK\r\nX-Long: ", b"x")


async def _pour(writer: asyncio.StreamWriter, first: bytes, byte: bytes) -> None:
    writer.write(first)
    with contextlib.suppress(ConnectionError):
        for _ in range(1600):
            writer.write(byte * 65536)
            await writer.drain()


async def garbage(writer: asyncio.StreamWriter) -> None:
    """No HTTP at all."""
    writer.write(b"\x00\xff\x00 hello\r\n\r\n")
    writer.close()
