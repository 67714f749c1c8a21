"""What a call never does: repeat, follow, ask a proxy, read without end, or show what it carries (ends: test_ends)."""

from __future__ import annotations

import tracemalloc
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from sendledger.domain.call_ends import NeverBegan, Refused, Taken
from sendledger.edges.provider import Call, Provider
from sendledger.edges.provider_exchange import MOST_ANSWER
from tests.support.calling import KEY, REQUEST, TEXT, call
from tests.support.processes import until
from tests.support.raw_provider import OK, TO, Script, answer, endless_head, flood, serving, then_closed


async def test_connections_are_kept() -> None:
    """Ten calls one after the other need one connection."""
    async with serving(answer()) as server:
        assert await call(server.url, times=10) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (10, 1)


async def test_a_connection_closed_while_idle_costs_nothing() -> None:
    """A server that closes after each answer is simply connected to again."""
    async with serving(then_closed(answer(OK, "200 OK", "Connection: close"))) as server:
        assert await call(server.url, times=3) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (3, 3)


async def test_an_objection_that_came_up_while_it_connected_holds_the_call_back() -> None:
    """Connections take time, and processes are stopped: no byte is written, and the connection serves the next."""
    objections = ["paused", None]
    async with (
        serving(answer()) as server,
        Provider(server.url, SecretStr(KEY), timeout=5.0, concurrency=4) as provider,
    ):
        prepared = provider.prepare(REQUEST)
        assert isinstance(prepared, Call)
        asked_at: list[int] = []

        def objection() -> str | None:
            asked_at.append(len(server.requests))
            return objections.pop(0)

        assert await provider.call(prepared, objection) == NeverBegan("paused")
        assert await provider.call(prepared, objection) == Taken("SMS_12345")
    assert (len(server.requests), server.connections, asked_at) == (1, 1, [0, 0])


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes to the provider and to nobody whom a variable names."""
    async with serving(answer()) as server, serving(answer()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert await call(server.url) == Taken("SMS_12345")
        assert proxy.requests == []


@pytest.mark.parametrize("script", [flood, endless_head])
async def test_a_flood_is_cut_at_the_cap(script: Script) -> None:
    """Of a hundred megabytes no more is held than some times the cap, and the connection is given up at once."""
    async with serving(script) as server:
        tracemalloc.start()
        try:
            await call(server.url)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await until(lambda: all(writer.is_closing() for writer in server.writers), "the connection is given up")
    assert MOST_ANSWER == 65536
    assert most < 2_000_000


async def test_the_request_is_the_pages_own_form() -> None:
    """POST, one form field `xml`, the key in the body and nowhere else."""
    async with serving(answer()) as server:
        await call(server.url)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /send HTTP/1.1\r\n")
    assert b"application/x-www-form-urlencoded" in head
    assert KEY.encode() not in head
    (document,) = parse_qs(body.decode())["xml"]
    assert document == (
        f"<REQUEST><ACTION>sendSMS</ACTION><API_KEY>{KEY}</API_KEY><TO>{TO}</TO><FROM>60856</FROM>"
        f"<TEXT>{TEXT}</TEXT></REQUEST>"
    )


@pytest.mark.parametrize("over", [{"text": "bad \x00"}, {"sender": "  "}])
async def test_what_cannot_be_written_down_is_our_own_bug(over: dict[str, Any]) -> None:
    """Refused before a byte is sent, naming the field and not its value."""
    async with Provider("http://127.0.0.1:9/", SecretStr(KEY), timeout=1, concurrency=1) as provider:
        prepared = provider.prepare(REQUEST.model_copy(update=over))
    assert isinstance(prepared, Refused)
    assert (prepared.error_class, prepared.error_code) == ("bug", "UNSENDABLE")
    assert "bad" not in prepared.error_info


async def test_a_prepared_call_does_not_show_what_it_carries() -> None:
    """`repr` of a call has neither the key nor the number nor the text."""
    async with Provider("http://127.0.0.1:9/", SecretStr(KEY), timeout=1, concurrency=1) as provider:
        shown = repr(provider.prepare(REQUEST)) + repr(vars(provider))
    for canary in (KEY, TO, TEXT):
        assert canary not in shown
