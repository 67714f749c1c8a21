"""Answers on the wire: the one that the page promises, and each misbehaviour."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from sendledger.simulator.desk import Decision
from sendledger.simulator.profile import Misbehaviour, Profile
from sendledger.wire.provider_side import encode_failure, encode_success

_XML = {"Content-Type": "text/xml; charset=utf-8"}
_HTML = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"
_CHUNK = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def give(
    http: web.BaseRequest, decision: Decision, profile: Profile, stopping: asyncio.Event
) -> web.StreamResponse:
    """The answer to a call that was decided; what takes long ends when `stopping` is set."""
    body = decision.body
    match decision.plan.misbehaviour:
        case None | Misbehaviour.UNKNOWN_CODE:
            return web.Response(body=body, headers=_XML)
        case Misbehaviour.HANG_BEFORE | Misbehaviour.HANG_AFTER:
            await _hang(http, profile.hang_seconds, stopping)
            return _reset(http)
        case Misbehaviour.RESET_BEFORE | Misbehaviour.RESET_AFTER:
            return _reset(http)
        case Misbehaviour.CUT_SHORT:
            return await _cut_short(http, body)
        case Misbehaviour.HUGE:
            return await _stream(http, _padded(body, profile.huge_bytes, stopping))
        case Misbehaviour.DRIP:
            return await _stream(http, _dripping(body, profile.drip_seconds, stopping))
        case kind:
            return _AT_ONCE[kind](decision, profile)


def _html(status: int) -> Callable[[Decision, Profile], web.Response]:
    return lambda *_: web.Response(status=status, body=_HTML, content_type="text/html")


def _too_many(_: Decision, profile: Profile) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": str(profile.retry_after)})


def _moved(*_: object) -> web.Response:
    # To here, so that a caller who follows it is found out: the ledger has the path of each call.
    return web.Response(status=301, headers={"Location": "/moved"})


def _truncated(decision: Decision, _: Profile) -> web.Response:
    return web.Response(body=decision.body[: len(decision.body) * 2 // 3], headers=_XML)


def _broken(decision: Decision, _: Profile) -> web.Response:
    answer = decision.body or encode_failure("E100", "invalid request", decision.submission.to)
    return web.Response(body=answer.replace(b"</STATUS>", b"</STATE>"), headers=_XML)


def _empty(*_: object) -> web.Response:
    return web.Response(body=b"", headers=_XML)


def _no_tracking_id(decision: Decision, _: Profile) -> web.Response:
    return web.Response(body=encode_success("", decision.submission.to or ""), headers=_XML)


def _other_to(decision: Decision, _: Profile) -> web.Response:
    to = decision.submission.to or "0"
    other = to[:-1] + str((int(to[-1]) + 1) % 10)
    return web.Response(body=encode_success(decision.submission.tracking_id or "", other), headers=_XML)


_AT_ONCE: dict[Misbehaviour, Callable[[Decision, Profile], web.Response]] = {
    Misbehaviour.HTTP_500: _html(500),
    Misbehaviour.HTTP_502: _html(502),
    Misbehaviour.HTTP_503: _html(503),
    Misbehaviour.HTTP_429: _too_many,
    Misbehaviour.HTTP_301: _moved,
    Misbehaviour.HTML: _html(200),
    Misbehaviour.TRUNCATED: _truncated,
    Misbehaviour.BROKEN: _broken,
    Misbehaviour.EMPTY: _empty,
    Misbehaviour.NO_TRACKING_ID: _no_tracking_id,
    Misbehaviour.OTHER_TO: _other_to,
}


async def _hang(http: web.BaseRequest, seconds: float, stopping: asyncio.Event) -> None:
    """Silence until the caller goes away, the simulator stops, or the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0 and http.transport is not None and not stopping.is_set():
        await _pause(min(1.0, left), stopping)


def _reset(http: web.BaseRequest) -> web.Response:
    """Closes the connection with RST, not FIN, as a crashing server's kernel does."""
    transport = http.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()


async def _cut_short(http: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """Promises the whole length and ends the connection in the middle."""
    answer = web.StreamResponse(headers=_XML | {"Content-Length": str(len(body))})
    await answer.prepare(http)
    await answer.write(body[: len(body) // 2])
    if http.transport is not None:
        http.transport.close()
    return answer


async def _stream(http: web.BaseRequest, parts: AsyncIterator[bytes]) -> web.StreamResponse:
    answer = web.StreamResponse(headers=_XML)
    await answer.prepare(http)
    async for part in parts:
        await answer.write(part)
    await answer.write_eof()
    return answer


async def _padded(body: bytes, size: int, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """The right answer, with blanks in front of its end."""
    end = body.rindex(b"<")
    yield body[:end]
    for _ in range(size // _CHUNK):
        if stopping.is_set():
            return
        yield b" " * _CHUNK
    yield body[end:]


async def _dripping(body: bytes, seconds: float, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    for place in range(len(body)):
        yield body[place : place + 1]
        await _pause(seconds, stopping)
        if stopping.is_set():
            return


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
