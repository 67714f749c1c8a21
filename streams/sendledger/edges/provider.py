"""The provider's API over HTTP: one POST a call, and how it ended as a value (DESIGN §6, rule 6 and classification).

Nothing here repeats a call, follows a redirect or takes a proxy from the environment: what is beneath it makes one
exchange and knows of nothing else (`provider_exchange`; tested). A call has a total deadline, its answer a cap.
The key and the text are only ever in the body of the request; no exception leaves `call`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import SecretStr
from yarl import URL

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.provider_exchange import Answer, Exchange
from sendledger.wire import sendsms
from sendledger.wire.sendsms import FORM_CONTENT_TYPE, SendSms, UnsendableRequest, decode_response, encode_form

_HEADERS = {"Content-Type": FORM_CONTENT_TYPE, "Accept-Encoding": "identity", "User-Agent": "sendledger"}
_THROTTLED, _SERVER_FAULTS = 429, 500
_SUCCESSES, _REDIRECTS = range(200, 300), range(300, 400)


Objection = Callable[[], str | None]
"""Why a call must not be made, asked when its connection is there; None: it may."""


class Sendable(Protocol):
    """What a call needs of a `SendRequested`."""

    @property
    def to(self) -> str: ...  # noqa: D102
    @property
    def sender(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def operator_id(self) -> str | None: ...  # noqa: D102
    @property
    def campaign_ref(self) -> str | None: ...  # noqa: D102


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
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Self:
        self._exchange = Exchange(self._url, _HEADERS, concurrency=self._concurrency, strike=self._strike)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            await self._exchange.close()

    def prepare(self, request: Sendable) -> Call | Refused:
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
        assert self._exchange is not None, "use the provider as a context manager"  # noqa: S101 — a programmer's error
        connected = False
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._exchange.connect()
                if (reason := objection()) is not None:
                    connection.release()
                    return NeverBegan(reason)
                connected = True  # from here on a byte may have left this machine
                return self._outcome(call, await self._exchange.post(call.body, connection))
        except (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError) as error:
            return _failed(error) if connected else NeverBegan(_why_not(error), unreachable=True)

    def _outcome(self, call: Call, response: Answer) -> Outcome:
        answer = self._read(call, response)
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

    def _read(self, call: Call, response: Answer) -> sendsms.Answer | None:
        if response.body is None or response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return None
        return decode_response(response.body, call.to, strike=(self._key.get_secret_value(), call.text))


def _failed(error: Exception) -> Outcome:
    """A call that had its connection, and got no answer; what failed before that provably sent nothing."""
    if isinstance(error, TimeoutError):
        return NoAnswer("timeout")
    if isinstance(error, HttpProcessingError):  # the head of an answer
        return NoAnswer("unreadable", aiohttp.ClientResponseError.__name__)
    if isinstance(error, (aiohttp.ClientPayloadError, ValueError)):
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
