"""A small HTTP/1.1 client that does one thing: POST a body over kept-alive connections and read the status.

aiohttp's client costs as much time as all the rest of the simulator together; the provider must not be the bottleneck.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_IDLE = 2.0
_HEAD_END = b"\r\n\r\n"
_SMALL_ANSWER = 64 * 1024


class UnreadableAnswer(Exception):  # it is about the answer
    """What came back is not HTTP."""


@dataclass(frozen=True, slots=True)
class _Connection:
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)


class Poster:
    """POSTs to one URL, http or https. The URL may hold a token: it is never shown."""

    def __init__(self, url: str) -> None:
        """Raises ValueError if this is no http address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _wrong_url() from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise _wrong_url()
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = port or (443 if self._tls else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = f"POST {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n".encode("ascii")
        self._idle: deque[tuple[float, _Connection]] = deque()

    async def post(self, body: bytes, content_type: str) -> int:
        """The HTTP status of the answer.

        Raises:
            OSError: refused or reset. UnreadableAnswer: something else than HTTP came back.
        """
        connection = self._reusable() or await self._connect()
        try:
            head = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.writer.write(self._head + head.encode("ascii") + body)
            status, kept = await _read_answer(connection.reader)
        except BaseException:
            connection.writer.transport.abort()
            raise
        if kept:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.writer.close()
        return status

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop()[1].writer.close()

    def _reusable(self) -> _Connection | None:
        # The newest first; old ones may just be closed by the other side, which would cost a postback its try.
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return None

    async def _connect(self) -> _Connection:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=_SMALL_ANSWER)
        return _Connection(reader, writer)


def _wrong_url() -> ValueError:
    return ValueError("callback URL: expected http://host:port/path")


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the connection may serve again."""
    try:
        head = await reader.readuntil(_HEAD_END)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    except asyncio.LimitOverrunError as error:
        raise UnreadableAnswer from error
    if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
        raise UnreadableAnswer
    status = int(head[9:12])
    fields = _fields(head)
    length = fields.get(b"content-length", b"")
    if fields.get(b"connection", b"").lower() == b"close" or not length.isdigit() or int(length) > _SMALL_ANSWER:
        return status, False  # the status is all that matters: what else comes is not waited for
    try:
        await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        return status, False
    return status, True


def _fields(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
