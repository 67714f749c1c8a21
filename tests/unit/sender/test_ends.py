"""Every way in which a call can end, and what follows: end → event → bucket → whether it is ever tried again.

Each row is a real call to a server that misbehaves byte by byte; its outcome becomes an event, the event is folded, and
the message's bucket and the sender's next decision are read off. The same table stands in ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast, response_to
from sendledger.domain.message import Message
from sendledger.domain.sending import SECOND, Circumstances, Done, Due, Wait, decide
from sendledger.domain.settled import bucket, known
from sendledger_schemas.registry import Data
from sendledger_schemas.responses import ErrorClass, UnansweredReason
from tests.support import raw_provider as raw
from tests.support import story
from tests.support.calling import KEY, TEXT, call
from tests.support.raw_provider import OK, TO, Script, Server, answer
from tests.support.story import at
from tests.unit.sender.test_sending import NOON, WEEK, given

ARCHITECTURE = Path(__file__).parents[3] / "ARCHITECTURE.md"
BEGIN, END = "<!-- ends: checked by tests/unit/sender/test_ends.py -->\n", "<!-- /ends -->"
OTHER = "15550000000"
HTML = "<html><body>hello</body></html>"
MOVED = "Location: /elsewhere"
CLOSE = "Connection: close"
SOON = 1.0  # seconds; a busy machine may take a good part of them for the way to the server
DATE = "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"
Place = Callable[[], AbstractAsyncContextManager[Server]]


class End(NamedTuple):
    """One row. `again`: what `decide` says; `requests`: how many whole ones came, of `times` calls in a row."""

    name: str
    server: Place
    outcome: Outcome
    event: str
    bucket: str
    again: str
    requests: int = 1
    times: int = 1
    timeout: float = 5.0


def failure(code: str, info: str = "", to: str = TO) -> str:
    """The page's Failure."""
    return (
        f"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE>"
        f"<ERRORINFO>{info}</ERRORINFO><TO>{to}</TO></RESPONSE>"
    )


def says(*words: str) -> Place:
    """A server that answers so: body, status line, fields."""
    return partial(raw.serving, answer(*words))


def does(script: Script) -> Place:
    """A server that takes the request and then does this."""
    return partial(raw.serving, script)


def unread(script: Script) -> Place:
    """A server that does this with the connection before it has read a byte."""
    return partial(raw.serving, script, reads=False)


def over_tls(plain: Place) -> Place:
    """The same server, called over TLS, of which it knows nothing."""
    return lambda: raw.called_over_tls(plain())


def kept(*scripts: Script) -> Place:
    """A server that does one after the other, on one connection if that lasts."""

    def begin() -> AbstractAsyncContextManager[Server]:
        left = iter(scripts)

        async def following(writer: asyncio.StreamWriter) -> None:
            await next(left)(writer)

        return raw.serving(following)

    return begin


def taken(name: str, server: Place, requests: int = 1) -> End:
    """The provider has it."""
    return End(name, server, Taken("SMS_12345"), "SendAccepted", "accepted", "never", requests, requests)


def refused(name: str, code: str, of: ErrorClass, status: str = "200 OK") -> End:
    """The provider does not want it; what it echoes is masked."""
    server = says(failure(code, f"bad {TO} {TEXT} {KEY}"), status)
    return End(name, server, Refused(code, "bad # *** ***", of), f"SendRejected ({code})", "rejected", "never")


def too_fast(name: str, code: str, server: Place, after: float | None = None) -> End:
    """Provably not taken."""
    return End(name, server, TooFast(code, after), f"SendThrottled ({code})", "queued", f"after {after or 1:g} s")


def never_began(name: str, reason: str, server: Place, timeout: float = 5.0) -> End:
    """No byte of the request left this machine."""
    outcome = NeverBegan(reason, unreachable=True)
    return End(name, server, outcome, f"SendNotSent ({reason})", "queued", "after 1 s", 0, 1, timeout)


def doubt(  # noqa: PLR0917 — columns of the table
    name: str,
    reason: UnansweredReason,
    detail: str,
    server: Place,
    requests: int = 1,
    times: int = 1,
    timeout: float = 5.0,
) -> End:
    """No usable answer: perhaps sent, perhaps not."""
    outcome, event = NoAnswer(reason, detail), f"SendUnanswered ({reason})"
    return End(name, server, outcome, event, "in_doubt", "never", requests, times, timeout)


E120 = "<ERRORCODE>E120</ERRORCODE>"
STALE_CLOSED = kept(answer(), raw.hang_up, answer()), 2, 2
STALE_RESET = kept(answer(), raw.reset, answer()), 2, 2
TLS_REFUSAL = partial(raw.serving, answer(), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n")
ENDS: list[End] = [
    taken("Success with a TRACKINGID", says(OK)),
    taken("Success with blanks in its values", says(OK.replace("Success", " Success ").replace(TO, f"{TO} "))),
    taken("Success, and the server closes each time", does(raw.then_closed(answer(OK, "200 OK", CLOSE))), 3),
    refused("Failure: the message", "E110", "message"),
    refused("Failure: the campaign", "E714", "campaign"),
    refused("Failure: the account, with HTTP 400", "E713", "account", "400 Bad Request"),
    refused("Failure: our request", "E108", "bug"),
    refused("Failure: an unknown ERRORCODE", "E999", "unknown"),
    too_fast("Failure: too fast", "E120", says(failure("E120"))),
    too_fast("429", "HTTP_429", says("", "429 Too Many Requests")),
    too_fast("429 with Retry-After: 7", "HTTP_429", says("", "429 Too Many", "Retry-After: 7"), 7.0),
    too_fast("429 with a date in Retry-After", "HTTP_429", says("", "429 Too Many", DATE)),
    never_began("connection refused", "refused", raw.nobody),
    never_began("connect time-out", "connect_timeout", raw.crowded, SOON),
    never_began("the name is not found (DNS)", "dns", raw.nowhere),
    never_began("TLS: a certificate that nobody vouches for", "tls", raw.unvouched),
    never_began("TLS: the server speaks none", "tls", over_tls(TLS_REFUSAL)),
    never_began("TLS: reset in the handshake", "refused", over_tls(unread(raw.reset))),
    never_began("TLS: the handshake never ends", "connect_timeout", over_tls(unread(raw.hang)), SOON),
    doubt("read time-out, the request not taken", "timeout", "", unread(raw.hang), 0, timeout=SOON),
    doubt("read time-out, the request taken", "timeout", "", does(raw.hang), timeout=SOON),
    doubt("the answer drips until the deadline", "timeout", "", does(raw.drip), timeout=SOON),
    doubt("reset, the request not taken", "reset", "ClientOSError", unread(raw.reset), 0),
    doubt("reset, the request taken", "reset", "ClientOSError", does(raw.reset)),
    doubt("closed without an answer", "reset", "ServerDisconnectedError", does(raw.hang_up)),
    doubt("a kept connection, closed under the request", "reset", "ServerDisconnectedError", *STALE_CLOSED),
    doubt("a kept connection, reset under the request", "reset", "ClientOSError", *STALE_RESET),
    doubt("500", "http_5xx", "http_500", says("", "500 Internal Server Error")),
    doubt("502 with HTML", "http_5xx", "http_502", says(HTML, "502 Bad Gateway")),
    doubt("503", "http_5xx", "http_503", says("", "503 Unavailable")),
    doubt("503 that says Success", "http_5xx", "http_503", says(OK, "503 Unavailable")),
    doubt("503 that says too fast", "http_5xx", "http_503", says(failure("E120"), "503 Unavailable")),
    doubt("301 to elsewhere", "unreadable", "http_301", says("", "301 Moved", MOVED)),
    doubt("307 to elsewhere", "unreadable", "http_307", says("", "307 Temporary", MOVED)),
    doubt("404 that says Success", "unreadable", "http_404", says(OK, "404 Not Found")),
    doubt("429 that says Success", "unreadable", "contradictory", says(OK, "429 Too Many Requests")),
    doubt("200 with HTML", "unreadable", "html", says(HTML)),
    doubt("truncated XML", "unreadable", "broken", says(OK[:40])),
    doubt("broken XML", "unreadable", "broken", says(OK.replace("</STATUS>", "</STATE>"))),
    doubt("an empty body", "unreadable", "empty", says("")),
    doubt("Success without TRACKINGID", "unreadable", "no_tracking_id", says(OK.replace("SMS_12345", ""))),
    doubt("Success with an ERRORCODE", "unreadable", "contradictory", says(OK.replace("<TO>", f"{E120}<TO>"))),
    doubt("Success for another TO", "unreadable", "other_recipient", says(OK.replace(TO, OTHER))),
    doubt("Failure for another TO", "unreadable", "other_recipient", says(failure("E120", to=OTHER))),
    doubt("a compressed answer", "unreadable", "http_200", says(OK, "200 OK", "Content-Encoding: gzip")),
    doubt("less body than announced", "unreadable", "ClientPayloadError", does(answer(OK, length=len(OK) + 5))),
    doubt("an answer of 100 MB", "unreadable", "http_200", does(raw.flood)),
    doubt("a head of 100 MB", "unreadable", "ClientResponseError", does(raw.endless_head)),
    doubt("no HTTP", "unreadable", "ClientResponseError", does(raw.garbage)),
]


@pytest.mark.parametrize("end", ENDS, ids=[end.name for end in ENDS])
async def test_each_way_a_call_can_end(end: End, caplog: pytest.LogCaptureFixture) -> None:
    """The outcome, its event, the bucket and what is done next; neither key, number nor text leaves its place."""
    caplog.set_level(logging.DEBUG)
    async with end.server() as server:
        found = await call(server.url, timeout=end.timeout, times=end.times)
    assert _plain(found) == end.outcome
    assert len(server.requests) == end.requests
    response = response_to(given(*TRIED), 1, found, ended=at(0), seconds=0.2)
    ended = given(*TRIED, response)
    assert (_told(response), bucket(known(ended)), _again(ended)) == (end.event, end.bucket, end.again)
    for canary in (KEY, TO, TEXT):
        assert canary not in repr(found) + response.model_dump_json() + caplog.text


def test_the_table_in_the_documentation_is_this_one() -> None:
    """Who reads ARCHITECTURE.md reads what is tested."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0]
    rows = [f"| {end.name} | {end.event} | `{end.bucket}` | {end.again} |\n" for end in ENDS]
    expected = "".join(["| how the call ends | event | bucket | tried again |\n|---|---|---|---|\n", *rows])
    assert shown == expected, f"ARCHITECTURE.md must say between its two marks:\n{expected}"


def test_only_what_provably_did_not_go_out_is_tried_again() -> None:
    """P1, read off the table: a row that is tried again is a throttle, or no byte of its request was read."""
    again = {end.name: end for end in ENDS if end.again != "never"}
    assert {name for name, end in again.items() if not isinstance(end.outcome, (TooFast, NeverBegan))} == set()
    assert {name for name, end in again.items() if isinstance(end.outcome, NeverBegan) and end.requests} == set()
    assert {end.again for end in ENDS if end.bucket != "queued"} == {"never"}


TRIED: list[Data] = [story.requested(), story.started()]


def _plain(outcome: Outcome) -> Outcome:
    """Which words the XML parser has for broken input is the parser's business."""
    match outcome:
        case NoAnswer(reason="unreadable", detail=detail) if detail.startswith(("broken", "truncated")):
            return NoAnswer("unreadable", "broken")
        case _:
            return outcome


def _told(response: Data) -> str:
    said = next((value for name in ("reason", "error_code") if (value := getattr(response, name, None))), None)
    return type(response).__name__ + (f" ({said})" if said else "")


def _again(message: Message) -> str:
    """What the sender decides when the end has come, and what at the time that it names then, or ever."""
    around = Circumstances("open")
    match decide(message, around, WEEK, NOON):
        case Wait(until=until):
            assert decide(message, around, WEEK, until - 1) == Wait(until)
            assert decide(message, around, WEEK, until) == Due(2)
            return f"after {(until - NOON) / SECOND:g} s"
        case decision:
            assert decision == Done()
            assert decide(message, around, WEEK, NOON + WEEK - 1) == Done()
            assert decide(message, around, WEEK, NOON + WEEK) == Done()
            return "never"
