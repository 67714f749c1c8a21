"""The receiver's HTTP, as a bare ASGI handler: who may come in, how much, and what each is answered (DESIGN §7).

| request | answer |
|---|---|
| whom the door does not admit (receiver_door.py) | 404, always the same, before a byte of the body is read |
| more than 64 KiB | 413, not read to its end |
| a Content-Encoding | 415: nothing is ever unpacked |
| durable on Kafka or in the spool, readable or not | 200 |
| durable nowhere | 503: the provider tries again |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from sendledger.edges.postback_records import Kept, Odd
from sendledger.edges.receiver_door import Door
from sendledger.edges.receiver_metrics import Outcome, ReceiverMetrics
from sendledger.edges.receiver_waiting import Fate, tell_bug
from sendledger.edges.receiver_writer import Writer

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGIReceiveCallable,
        ASGISendCallable,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
        HTTPScope,
        Scope,
    )

MAX_BODY = 64 * 1024
_LENGTH_DIGITS = 20
_MOST_TOLD = 50  # kinds of unannounced codes: who has a token could make up any number of them

log = structlog.get_logger()


class _Refused(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome: Outcome = outcome


_STATUS: dict[Outcome, int] = {
    "kafka": 200,
    "spool": 200,
    "not_found": 404,
    "too_large": 413,
    "encoded": 415,
    "unavailable": 503,
}
_EMPTY: list[tuple[bytes, bytes]] = [(b"content-length", b"0")]
_LAST: list[tuple[bytes, bytes]] = [*_EMPTY, (b"connection", b"close")]
_FATES: dict[Fate, Outcome] = {Fate.KAFKA: "kafka", Fate.SPOOL: "spool", Fate.NOWHERE: "unavailable"}


def _starts(headers: list[tuple[bytes, bytes]]) -> dict[Outcome, HTTPResponseStartEvent]:
    return {
        outcome: {"type": "http.response.start", "status": status, "headers": headers, "trailers": False}
        for outcome, status in _STATUS.items()
    }


# No body: the status says it all, and one write costs half of two. Made once: the server reads them only.
_STAY, _CLOSE = _starts(_EMPTY), _starts(_LAST)
_END: HTTPResponseBodyEvent = {"type": "http.response.body", "body": b"", "more_body": False}


class ReceiverApp:
    """The handler. `clock` tells the time of arrival, UTC."""

    def __init__(
        self,
        *,
        door: Door,
        writer: Writer,
        metrics: ReceiverMetrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._door = door
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self._told: set[Odd] = set()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            outcome = await self._handle(scope, receive)
        except _Refused as refused:
            outcome = refused.outcome
        except Exception as error:  # noqa: BLE001 — a bug of ours must cost the provider a retry, never a receipt
            tell_bug(error)
            outcome = "unavailable"
        self._metrics.count(outcome)
        if outcome != "gone":
            await send(_CLOSE[outcome] if _must_close(scope, outcome) else _STAY[outcome])
            await send(_END)

    async def _handle(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> Outcome:
        if not self._door.admits(scope):
            return "not_found"
        for name, value in scope["headers"]:
            if name == b"content-length" and _too_long(value):
                return "too_large"
            if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return "encoded"
        body = await _read(receive)
        started = time.perf_counter()
        waiting = self._writer.post(body, self._clock())
        fate = await waiting.fate
        if fate is not Fate.NOWHERE:
            self._metrics.took(time.perf_counter() - started)
            if waiting.kept is not None:  # else it is an ordinary one
                self._count(waiting.kept)
        return _FATES[fate]

    def _count(self, kept: Kept) -> None:
        if kept.reason is not None:
            self._metrics.dead_letter(kept.reason)
        if kept.odd is not None:
            self._tell(kept.odd)

    def _tell(self, odd: Odd) -> None:
        """Count it, and log each kind once: an unknown code is data, and somebody has to hear of it."""
        self._metrics.odd(odd.what)
        if odd not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(odd)
            log.warning("postback with something unannounced", what=odd.what, origin=odd.origin, code=odd.code)


async def _read(receive: ASGIReceiveCallable) -> bytes:
    """The whole body, at most 64 KiB. How long it may take is the connection's business (receiver_http.py)."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refused("gone")
        body = body + message["body"] if body else message["body"]
        if len(body) > MAX_BODY:
            raise _Refused("too_large")
        if not message["more_body"]:
            return body


def _too_long(length: bytes) -> bool:
    return not length.isdigit() or len(length) > _LENGTH_DIGITS or int(length) > MAX_BODY


def _must_close(scope: HTTPScope, outcome: Outcome) -> bool:
    """Whether the connection ends with this answer: yes where a long body, or one without end, would follow it."""
    match outcome:
        case "kafka" | "spool" | "unavailable" | "gone":
            return False
        case "too_large" | "encoded":
            return True
        case "not_found":
            return any(
                name == b"transfer-encoding" or (name == b"content-length" and _too_long(value))
                for name, value in scope["headers"]
            )
