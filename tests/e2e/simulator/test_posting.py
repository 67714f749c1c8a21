"""The small client against servers that speak HTTP in all the ways that matter to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sendledger.simulator.posting import Poster, UnreadableAnswer
from tests.support.processes import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Script:
    """A server that gives the same bytes for each request and counts its connections."""

    def __init__(self, answer: bytes, *, close: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.connections = 0
        self.open = 0
        self.requests: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answer)
                if self.close:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.open -= 1


@contextlib.asynccontextmanager
async def script(answer: bytes, *, close: bool = False) -> AsyncIterator[tuple[Script, Poster]]:
    """A scripted server and a client for it."""
    it = Script(answer, close=close)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    poster = Poster(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a/b?c=d")
    async with server:
        try:
            yield it, poster
        finally:
            poster.close()
            await until(lambda: not it.open, "all connections are closed")


async def test_the_bytes_of_a_post() -> None:
    """Path, query, host, type, length and body are what was asked for."""
    async with script(ANSWER) as (server, poster):
        assert await poster.post(b"<X/>", "text/xml") == 200
    (sent,) = server.requests
    assert sent.startswith(b"POST /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:")
    assert sent.endswith(b"Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<X/>")


async def test_a_connection_serves_again() -> None:
    """Answers with a length leave the connection open, and it is used again."""
    async with script(ANSWER) as (server, poster):
        assert [await poster.post(b"x", "text/xml") for _ in range(5)] == [200] * 5
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
async def test_other_answers_count_but_end_the_connection(answer: bytes) -> None:
    """The status is all that matters; a connection in an unclear state is never used again."""
    async with script(answer) as (server, poster):
        assert [await poster.post(b"x", "text/xml") for _ in range(2)] == [200, 200]
    assert server.connections == 2


async def test_a_server_that_closes_costs_nothing() -> None:
    """A connection that the other side closed meanwhile is noticed before it is used."""
    async with script(ANSWER, close=True) as (server, poster):
        assert await poster.post(b"x", "text/xml") == 200
        await until(poster._idle[-1][1].reader.at_eof, "the end was noticed")
        assert await poster.post(b"x", "text/xml") == 200
    assert server.connections == 2


@pytest.mark.parametrize("answer", [b"220 mail.example.org ESMTP\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 200_000])
async def test_what_is_no_http(answer: bytes) -> None:
    """Another protocol is an error that says so."""
    async with script(answer) as (_, poster):
        with pytest.raises(UnreadableAnswer):
            await poster.post(b"x", "text/xml")


async def test_a_server_that_hangs_up() -> None:
    """No answer at all is a reset."""
    async with script(b"", close=True) as (_, poster):
        with pytest.raises(ConnectionResetError):
            await poster.post(b"x", "text/xml")
