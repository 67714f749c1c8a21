"""The provider's API over HTTP: one POST a call, and how it ended as a value (DESIGN §6, rule 6 and classification).

Nothing here repeats a call: no redirect is followed, no proxy is taken from the environment, aiohttp itself repeats
only idempotent methods on a stale connection and POST is none (tested). A call has a total deadline, its answer a cap.
The key and the text are only ever in the body of the request; no exception leaves `call`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from pydantic import SecretStr
from yarl import URL

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast
from sendledger.edges.failpoints import Failpoint
from sendledger.wire import sendsms
from sendledger.wire.sendsms import FORM_CONTENT_TYPE, SendSms, UnsendableRequest, decode_response, encode_form
from sendledger_schemas.requests import SendRequested

MOST_ANSWER = 64 * 1024
KEEP_ALIVE = 15.0
"""Seconds for which an idle connection is used again: shorter than servers' own, or they close it under our request."""

_THROTTLED, _SERVER_FAULTS = 429, 500
_SUCCESSES, _REDIRECTS = range(200, 300), range(300, 400)


Objection = Callable[[], str | None]
"""Why a call must not be made, asked when its connection is there; None: it may."""


class _HeldBackError(Exception):
    """There was an objection; its reason."""


@dataclass(slots=True)
class _Line:
    """Whether the call got a connection: from then on a byte may have left this machine. `objection`: see `call`."""

    objection: Objection
    open: bool = False


_line: ContextVar[_Line] = ContextVar("line")  # of the call that this task makes


@dataclass(frozen=True, slots=True)
class Call:
    """One request, written down and ready to go. Key, number and text stay out of `repr`."""

    body: bytes = field(repr=False)
    to: str = field(repr=False)
    text: str = field(repr=False)


class Provider:
    """A client with its own pool of connections; an async context manager.

    `timeout`: seconds for a whole call. `concurrency`: connections at most; callers keep to it. `strike`: see
    `failpoints`.
    """

    def __init__(
        self, url: str, api_key: SecretStr, *, timeout: float, concurrency: int, strike: Failpoint | None = None
    ) -> None:
        self._url = URL(url)
        self._key = api_key
        self._timeout = timeout
        self._concurrency = concurrency
        armed = strike is not None and strike.is_armed("request_half_written", "request_written")
        self._strike = strike if armed else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=self._concurrency, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"Content-Type": FORM_CONTENT_TYPE, "Accept-Encoding": "identity", "User-Agent": "sendledger"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def prepare(self, request: SendRequested) -> Call | Refused:
        """Write a request down; what cannot be written is refused here, as our own bug, before any byte is sent."""
        sms = SendSms(
            api_key=self._key.get_secret_value(),
            to=request.to,
            sender=request.sender,
            text=request.text,
            operator_id=request.operator_id,
            campaign_ref=request.campaign_ref,
        )
        try:
            return Call(encode_form(sms), request.to, request.text)
        except UnsendableRequest as fault:
            return Refused("UNSENDABLE", str(fault), "bug")

    async def call(self, call: Call, objection: Objection = lambda: None) -> Outcome:
        """Make the call, once. Never raises but for cancellation.

        A connection may take its time, or the process be stopped meanwhile: what is right may be wrong by then. So
        `objection` is asked behind it, with the request not written; an answer is why the call never began.
        """
        assert self._session is not None, "use the provider as a context manager"  # noqa: S101 — a programmer's error
        line = _Line(objection)
        _line.set(line)
        data = aiohttp.BytesPayload(call.body) if self._strike is None else _Watched(call.body, self._strike)
        try:
            async with self._session.post(self._url, data=data, allow_redirects=False) as response:
                body = await _bounded(response.content)
                if body is None:
                    response.close()  # the rest of it is not wanted, and the connection not worth keeping
                return self._outcome(call, response, body)
        except _HeldBackError as held:
            return NeverBegan(str(held))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return _failed(error, line)

    def _outcome(self, call: Call, response: aiohttp.ClientResponse, body: bytes | None) -> Outcome:
        answer = self._read(call, response, body)
        status = response.status
        if status == _THROTTLED:
            if isinstance(answer, sendsms.Accepted):
                return NoAnswer("unreadable", "contradictory")
            return TooFast("HTTP_429", _seconds(response.headers.get("Retry-After")))
        if status >= _SERVER_FAULTS:
            return NoAnswer("http_5xx", f"http_{status}")
        if status in _REDIRECTS:
            return NoAnswer("unreadable", f"http_{status}")
        match answer:
            case sendsms.Accepted(tracking_id=tracking_id) if status in _SUCCESSES:
                return Taken(tracking_id)
            case sendsms.Failed(error_code=code, error_info=info, error_class=error_class):
                return Refused(code, info, error_class.name)
            case sendsms.Throttled(error_code=code):
                return TooFast(code)
            case sendsms.Unreadable(reason=reason):
                return NoAnswer("unreadable", reason)
            case _:
                return NoAnswer("unreadable", f"http_{status}")

    def _read(self, call: Call, response: aiohttp.ClientResponse, body: bytes | None) -> sendsms.Answer | None:
        if body is None or response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return None
        return decode_response(body, call.to, strike=(self._key.get_secret_value(), call.text))


class _Connector(aiohttp.TCPConnector):
    """Tells the call that it has its connection: aiohttp's traces tell it, too, at a sixth of a call's cost."""

    async def connect(self, *asked: Any, **named: Any) -> Connection:
        connection = await super().connect(*asked, **named)
        line = _line.get()
        if (reason := line.objection()) is not None:
            connection.release()
            raise _HeldBackError(reason)
        line.open = True
        return connection


class _Watched(aiohttp.BytesPayload):
    """The same bytes in two halves, with a failpoint behind each."""

    def __init__(self, body: bytes, strike: Failpoint) -> None:
        super().__init__(body)
        self._strike = strike

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 — it is the body's own
        half = len(self._value) // 2
        await writer.write(self._value[:half])
        await self._strike.on_its_way("request_half_written")
        await writer.write(self._value[half:])
        await self._strike.on_its_way("request_written")


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """The whole answer, or None if it is longer than anything that an answer may be."""
    chunks, size = [], 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MOST_ANSWER:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _failed(error: Exception, line: _Line) -> Outcome:
    """A call without an answer. Only what failed before there was a connection provably sent nothing."""
    if not line.open:
        return NeverBegan(_why_not(error), unreachable=True)
    if isinstance(error, TimeoutError):
        return NoAnswer("timeout")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError)):
        return NoAnswer("unreadable", type(error).__name__)
    return NoAnswer("reset", type(error).__name__)


def _why_not(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case TimeoutError() | asyncio.CancelledError():
            return "connect_timeout"
        case aiohttp.InvalidURL():
            return "url"
        case OSError(errno=errno) if errno is not None:
            return "refused"
        case _:
            return "unreachable"


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; a date is not worth trusting another clock for."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None  # noqa: PLR2004 — 11 days
