"""Every way a call can end, against a server that misbehaves byte by byte; and what a call never does."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast
from sendledger.edges.provider import MOST_ANSWER, Call, Provider
from sendledger_schemas.requests import SendRequested
from tests.support.processes import until
from tests.support.raw_provider import OK, TO, Script, answer, drip, flood, garbage, hang, reset, serving

KEY = "canary-key-7f3a9"
TEXT = "canary text for Jerry"
REQUEST = SendRequested(message_id="m", campaign_id="c", recipient_id="r", to=TO, sender="60856", text=TEXT)


def failure(code: str, info: str = "", to: str = TO) -> str:
    """The page's Failure."""
    return (
        f"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE>"
        f"<ERRORINFO>{info}</ERRORINFO><TO>{to}</TO></RESPONSE>"
    )


async def call(url: str, *, timeout: float = 5.0, times: int = 1) -> Outcome:
    """The outcome of the last of some calls, one after the other."""
    async with Provider(url, SecretStr(KEY), timeout=timeout, concurrency=4) as provider:
        prepared = provider.prepare(REQUEST)
        assert isinstance(prepared, Call)
        outcome: Outcome = NeverBegan("no call")
        for _ in range(times):
            outcome = await provider.call(prepared)
        return outcome


ENDS: list[tuple[str, Script, Outcome]] = [
    ("success", answer(), Taken("SMS_12345")),
    ("success with blanks", answer(OK.replace("Success", " Success ").replace(TO, f"{TO} ")), Taken("SMS_12345")),
    ("rejected", answer(failure("E110", f"bad {TO} {TEXT} {KEY}")), Refused("E110", "bad # *** ***", "message")),
    ("rejected, HTTP 400", answer(failure("E713"), "400 Bad Request"), Refused("E713", "", "account")),
    ("campaign's code", answer(failure("E714")), Refused("E714", "", "campaign")),
    ("unknown code", answer(failure("E999")), Refused("E999", "", "unknown")),
    ("throttled", answer(failure("E120")), TooFast("E120")),
    ("429", answer("", "429 Too Many Requests"), TooFast("HTTP_429")),
    ("429 that says when", answer("", "429 Too Many", "Retry-After: 7"), TooFast("HTTP_429", 7.0)),
    ("429 with a date", answer("", "429 Too Many", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), TooFast("HTTP_429")),
    ("429 that took it", answer(OK, "429 Too Many Requests"), NoAnswer("unreadable", "contradictory")),
    ("500", answer("", "500 Internal Server Error"), NoAnswer("http_5xx", "http_500")),
    ("502 with HTML", answer("<html>", "502 Bad Gateway"), NoAnswer("http_5xx", "http_502")),
    ("503 that says success", answer(OK, "503 Unavailable"), NoAnswer("http_5xx", "http_503")),
    ("301", answer("", "301 Moved", "Location: http://127.0.0.1:9/"), NoAnswer("unreadable", "http_301")),
    ("307", answer("", "307 Temporary", "Location: /elsewhere"), NoAnswer("unreadable", "http_307")),
    ("404 that says success", answer(OK, "404 Not Found"), NoAnswer("unreadable", "http_404")),
    ("HTML", answer("<html><body>hello</body></html>"), NoAnswer("unreadable", "html")),
    ("truncated XML", answer(OK[:40]), NoAnswer("unreadable", "broken")),
    ("empty body", answer(""), NoAnswer("unreadable", "empty")),
    ("no TRACKINGID", answer(OK.replace("SMS_12345", "")), NoAnswer("unreadable", "no_tracking_id")),
    ("another TO", answer(OK.replace(TO, "15550000000")), NoAnswer("unreadable", "other_recipient")),
    ("a failure for another TO", answer(failure("E120", to="15550000000")), NoAnswer("unreadable", "other_recipient")),
    ("compressed", answer(OK, "200 OK", "Content-Encoding: gzip"), NoAnswer("unreadable", "http_200")),
    ("too short a body", answer(OK, length=len(OK) + 5), NoAnswer("unreadable", "ClientPayloadError")),
    ("reset", reset, NoAnswer("reset", "ServerDisconnectedError")),
    ("no HTTP", garbage, NoAnswer("unreadable", "ClientResponseError")),
    ("flood", flood, NoAnswer("unreadable", "http_200")),
]


@pytest.mark.parametrize(("script", "outcome"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
async def test_each_way_a_call_can_end(script: Script, outcome: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    """End → outcome; one request each; and neither key, number nor text in the outcome or in any log."""
    caplog.set_level(logging.DEBUG)
    async with serving(script) as server:
        found = await call(server.url)
    if isinstance(found, NoAnswer) and isinstance(outcome, NoAnswer) and outcome.detail in ("broken", "empty"):
        found = NoAnswer(found.reason, outcome.detail)  # which words the parser has for it is the parser's business
    assert found == outcome
    assert len(server.requests) == 1
    for canary in (KEY, TO, TEXT):
        assert canary not in repr(found) + caplog.text


@pytest.mark.parametrize("script", [hang, drip])
async def test_a_call_has_a_total_deadline(script: Script) -> None:
    """A provider that is silent, and one that drips, end as a time-out: in doubt, not sent again."""
    async with serving(script) as server:
        assert await call(server.url, timeout=0.2) == NoAnswer("timeout")


async def test_a_refused_connection_sent_nothing() -> None:
    """Nobody listens: provably not sent, and the way to the provider is broken."""
    async with serving(answer()) as server:
        pass
    assert await call(server.url) == NeverBegan("refused", unreachable=True)


async def test_a_name_that_does_not_resolve_sent_nothing() -> None:
    """A failing name lookup is told apart from a refused connection."""
    assert await call("http://provider.invalid/") == NeverBegan("dns", unreachable=True)


async def test_a_failing_tls_handshake_sent_nothing() -> None:
    """A server that speaks no TLS where TLS is due gets not a byte of the request."""
    async with serving(answer(), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        found = await call(server.url.replace("http://", "https://"), timeout=2.0)
    assert found == NeverBegan("tls", unreachable=True)
    assert server.requests == []


async def test_a_handshake_that_never_ends_sent_nothing() -> None:
    """Until the connection stands, a time-out is a connect time-out: no byte of the request left."""
    async with serving(hang) as server:
        found = await call(server.url.replace("http://", "https://"), timeout=0.3)
    assert found == NeverBegan("connect_timeout", unreachable=True)


async def test_a_stale_kept_connection_is_not_repeated() -> None:
    """The server takes the second request on a kept connection and hangs up: in doubt, and asked exactly once."""
    scripts = iter([answer(), reset, answer()])

    async def script(writer: asyncio.StreamWriter) -> None:
        await next(scripts)(writer)

    async with serving(script) as server:
        assert await call(server.url, times=2) == NoAnswer("reset", "ServerDisconnectedError")
        assert (len(server.requests), server.connections) == (2, 1)


async def test_connections_are_kept() -> None:
    """Ten calls one after the other need one connection."""
    async with serving(answer()) as server:
        assert await call(server.url, times=10) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (10, 1)


async def test_a_connection_closed_while_idle_costs_nothing() -> None:
    """A server that closes after each answer is simply connected to again."""

    async def once(writer: asyncio.StreamWriter) -> None:
        await answer(OK, "200 OK", "Connection: close")(writer)
        writer.close()

    async with serving(once) as server:
        assert await call(server.url, times=3) == Taken("SMS_12345")
        assert (len(server.requests), server.connections) == (3, 3)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes to the provider and to nobody whom a variable names."""
    async with serving(answer()) as server, serving(answer()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert await call(server.url) == Taken("SMS_12345")
        assert proxy.requests == []


async def test_a_flood_is_cut_at_the_cap() -> None:
    """Of an endless answer no more than the cap and what sockets buffer is ever read."""
    async with serving(flood) as server:
        await call(server.url)
        await until(lambda: all(writer.is_closing() for writer in server.writers), "the connection is given up")
    assert MOST_ANSWER == 65536


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
