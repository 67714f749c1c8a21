"""The exchange beneath aiohttp's client: the same bytes as its own, and no connection is used that is not clean."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from multidict import CIMultiDict
from pydantic import SecretStr
from yarl import URL

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Taken
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.provider import _HEADERS, Call, Provider
from sendledger.edges.provider_exchange import _head
from tests.support.calling import KEY, REQUEST, call
from tests.support.processes import until
from tests.support.raw_provider import OK, Script, answer, serving

ADDRESSES = (
    "http://provider.example/",
    "http://provider.example:8080/send",
    "https://provider.example/send?account=a%20b&x=%C3%A9",
    "https://provider.example:443/a/../b//c",
    "https://provider.example:8443",
    "http://[::1]:8080/send",
    "https://bücher.example/größe?ä=ö#part",
    "https://user:pa%3Ass%20word@provider.example/send",
    "https://user@provider.example/send",
)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_head_is_what_aiohttp_writes(address: str) -> None:
    """Line by line: request line, host, all headers, their order, and the length of the body."""
    url = URL(address)
    plain = aiohttp.ClientRequest(
        "POST",
        url,
        headers=CIMultiDict(_HEADERS),
        data=b"xml=1",
        loop=asyncio.get_running_loop(),
    )
    named = CIMultiDict(plain.headers)
    assert named.pop("Content-Length") == "5"
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    assert _head(url, _HEADERS).decode() == "".join(f"{line}\r\n" for line in lines) + "Content-Length: "


@pytest.mark.parametrize(
    "strike", [None, *(Failpoint(step, nth=99) for step in ("request_written", "request_half_written"))]
)
async def test_a_call_is_byte_for_byte_a_post_of_aiohttp(strike: Failpoint | None) -> None:
    """Also where a failpoint makes it go out in halves."""
    async with serving(answer()) as server:
        async with Provider(server.url, SecretStr(KEY), timeout=5.0, concurrency=4, strike=strike) as provider:
            prepared = provider.prepare(REQUEST)
            assert isinstance(prepared, Call)
            assert await provider.call(prepared) == Taken("SMS_12345")
        async with aiohttp.ClientSession(headers=_HEADERS) as session:
            response = await session.post(server.url, data=prepared.body)
            assert await response.text() == OK
        ours, theirs = server.requests
    assert sorted(ours.split(b"\r\n")) == sorted(theirs.split(b"\r\n"))


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2]
)
async def test_what_is_said_before_the_answer_is_not_the_answer(before: bytes) -> None:
    """Preliminary answers (RFC 9110, 15.2) are read over."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await answer()(writer)

    async with serving(script) as server:
        assert await call(server.url, times=2) == Taken("SMS_12345")
        assert server.connections == 1


def late(answered: asyncio.Event) -> Script:
    """The first answer waits."""
    waited = False

    async def script(writer: asyncio.StreamWriter) -> None:
        nonlocal waited
        if not waited:
            waited = True
            await answered.wait()
        await answer()(writer)

    return script


@pytest.mark.parametrize("ending", ["deadline", "cancelled"])
async def test_a_late_answer_is_nobody_elses(ending: str) -> None:
    """Whose call was given up is not waited for any more: its connection is closed, and the next call has its own."""
    answered = asyncio.Event()
    async with (
        serving(late(answered)) as server,
        Provider(server.url, SecretStr(KEY), timeout=0.5, concurrency=1) as provider,
    ):
        prepared = provider.prepare(REQUEST)
        assert isinstance(prepared, Call)
        first = asyncio.create_task(provider.call(prepared))
        if ending == "deadline":
            assert await first == NoAnswer("timeout")
        else:
            await until(lambda: server.requests, "the request is there")
            first.cancel()
            assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
        answered.set()
        assert await provider.call(prepared) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (2, 2)


async def test_what_came_unasked_is_nobodys_answer() -> None:
    """A server says something on an idle connection, as some do before they close it: the next call has a new one."""
    more = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        await answer()(writer)
        await more.wait()
        await answer(OK.replace("SMS_12345", "SMS_99999"))(writer)

    async with (
        serving(script) as server,
        Provider(server.url, SecretStr(KEY), timeout=5.0, concurrency=1) as provider,
    ):
        prepared = provider.prepare(REQUEST)
        assert isinstance(prepared, Call)
        assert await provider.call(prepared) == Taken("SMS_12345")
        ((kept,),) = provider._exchange._connector._conns.values()  # type: ignore[union-attr]
        more.set()
        await until(lambda: kept[0].should_close, "it has come")
        assert await provider.call(prepared) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.parametrize("scheme", ["ftp", "file", "ws+x"])
async def test_what_is_no_address_of_http_is_not_connected_to(scheme: str) -> None:
    """Not even where somebody listens there."""
    async with serving(answer()) as server:
        assert await call(server.url.replace("http", scheme)) == NeverBegan("unreachable", unreachable=True)
        assert server.connections == 0


async def test_an_address_without_a_host_is_called_nowhere() -> None:
    """The reason says what is wrong."""
    assert await call("/send") == NeverBegan("url", unreachable=True)
