"""One POST on one of aiohttp's connections: the request in one piece, the answer as aiohttp's parser reads it.

`ClientSession.post` makes each request's headers anew in a dozen steps, writes the body in a task of its own and wraps
connection, request and answer in an object each: half of what a call costs. All of ours differ in nothing but the body.
So this goes to the layer below it: aiohttp's pool (names, connections, TLS), its protocol and its parser. It leans on
the inside of aiohttp, whose version is pinned; tests hold the bytes against those of `ClientSession.post`, and every
way in which a call can end against a table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import aiohttp
from aiohttp import hdrs
from aiohttp.client_exceptions import NonHttpUrlClientError
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy
from yarl import URL

from sendledger.edges.failpoints import Failpoint

MOST_ANSWER = 64 * 1024
KEEP_ALIVE = 15.0
"""Seconds for which an idle connection is used again: shorter than servers' own, or they close it under our request."""

_NO_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=None)  # the caller has a deadline for all of it
_PRELIMINARY = frozenset(range(100, 200)) - {101}


class Answer(NamedTuple):
    """What came back; `body` None: longer than an answer may be."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes | None


class Exchange:
    """POSTs to one address. `headers`: besides those that aiohttp sends with everything. `strike`: see `failpoints`.

    `concurrency`: connections at most. To be closed by its owner.
    """

    def __init__(self, url: URL, headers: dict[str, str], *, concurrency: int, strike: Failpoint | None) -> None:
        self._url, self._strike, self._most_kept = url, strike, concurrency
        self._connector = aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=KEEP_ALIVE)
        self._head = _head(url, headers)
        self._target: aiohttp.ClientRequest | None = None

    async def close(self) -> None:
        """Give all connections back."""
        await self._connector.close()

    async def connect(self) -> Connection:
        """A connection, kept or new. Errors: aiohttp.ClientError, OSError, ValueError; nothing was written."""
        if self._target is None:
            if self._url.scheme not in self._connector.allowed_protocol_schema_set:
                raise NonHttpUrlClientError(self._url)
            self._target = _Target(hdrs.METH_POST, self._url)
        for _ in range(self._most_kept):
            connection = await self._connector.connect(self._target, [], _NO_LIMITS)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()  # something came while it was idle: it would be taken for our answer
        return await self._connector.connect(self._target, [], _NO_LIMITS)

    async def post(self, body: bytes, connection: Connection) -> Answer:
        """Write, and read the answer; the connection is given back, or closed where it is good for nothing more.

        Errors: aiohttp.ClientError, OSError.
        """
        try:
            await self._write(connection, body)
            answer = await _answer(connection)
        except BaseException:
            connection.close()
            raise
        if answer.body is None:
            connection.close()  # the rest of it is not wanted
        else:
            connection.release()
        return answer

    async def _write(self, connection: Connection, body: bytes) -> None:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        raw = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        if self._strike is None:
            transport.write(raw)  # smaller than any socket's buffer
            return
        half = len(raw) - len(body) // 2
        transport.write(raw[:half])
        await self._strike.on_its_way("request_half_written")
        transport.write(raw[half:])
        await self._strike.on_its_way("request_written")


class _Target(aiohttp.ClientRequest):
    """Where a connection leads: one for all calls, as it stands for their address only."""

    key: Any = None

    @property
    def connection_key(self) -> Any:
        """Made once."""
        self.key = self.key or super().connection_key
        return self.key


def _head(url: URL, headers: dict[str, str]) -> bytes:
    """What stands before the length of the body, as aiohttp would write it."""
    lines = {hdrs.HOST: url.host_port_subcomponent, **headers, hdrs.ACCEPT: "*/*"}
    if url.raw_user or url.raw_password:
        lines[hdrs.AUTHORIZATION] = aiohttp.encode_basic_auth(url.user or "", url.password or "")
    named = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {url.raw_path_qs} HTTP/1.1\r\n{named}{hdrs.CONTENT_LENGTH}: ".encode()


async def _answer(connection: Connection) -> Answer:
    protocol = connection.protocol
    assert protocol is not None  # noqa: S101 — it was written to a moment ago
    while True:
        message, content = await protocol.read()
        if message.code not in _PRELIMINARY:
            return Answer(message.code, message.headers, await _bounded(content))


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """The whole answer, or None if it is longer than anything that an answer may be."""
    chunks, size = [], 0
    while chunk := await content.readany():
        size += len(chunk)
        if size > MOST_ANSWER:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
