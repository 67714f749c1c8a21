"""ASGI around the whole application: limits on bodies, the last answer to any error, safe headers, metrics."""

from __future__ import annotations

import asyncio
import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sendledger.edges.api.problems import Problem

log = structlog.get_logger()

LARGEST_SUBMISSION = 32 * 1024 * 1024
LARGEST_ORDER = 64 * 1024
BODY_PAUSE = 20.0  # seconds between two pieces of a body
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Guard:
    """The outermost layer. An unexpected error becomes a 500 without any detail; the log gets its type and place."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "sendledger_api_requests_total",
            "HTTP requests answered by the API.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "sendledger_api_request_seconds",
            "Time until the head of an answer was sent.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status: int | None = None

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in _HEADERS if h[0] not in present)]
                self._count(scope, status, time.monotonic() - began)
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:  # noqa: BLE001 — the last place where anything can be answered
            # no traceback: it ends with the exception's text, which may quote what was sent (P7)
            kind = type(error).__name__
            log.error("request failed", error=kind, place=_place(error), route=_route(scope))  # noqa: TRY400
            if status is None:
                problem = Problem(500, "internal", "an error of Sendledger's own; its log says more")
                await problem.answer()(scope, receive, send_safely)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, _route(scope), str(status)).inc()
        self._seconds.labels(_route(scope)).observe(seconds)


class BodyLimit:
    """Stops a body that is too large: before it is read if its length is told, else as it comes. And one that stops."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the body through up to its limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = LARGEST_SUBMISSION if scope["path"].endswith("/messages") else LARGEST_ORDER
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not told.isdigit() or int(told) > limit:
            await _too_large(limit).answer()(scope, receive, send)
            return
        read, whole = 0, False

        async def receive_limited() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()  # what comes now is that the client leaves: no matter when
            try:
                async with asyncio.timeout(BODY_PAUSE):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            whole = not message.get("more_body")
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_limited, send)


def _too_large(limit: int) -> Problem:
    return Problem(413, "content-too-large", f"at most {limit} bytes", headers={"Connection": "close"})


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _place(error: BaseException) -> str:
    # the file and line only: messages and values of an exception may hold what was sent (P7)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
