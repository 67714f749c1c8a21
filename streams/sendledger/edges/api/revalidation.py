"""ETag and If-None-Match: who polls gets 304 without a body while the answer would be the same (RFC 9110 §8.8, §13).

The tag is a hash of the whole answer, so it changes if and only if something that is shown changes. It is weak: the
same answer may go out compressed or not.
"""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/v1/"
_DROPPED = ("content-length", "content-type")


class Revalidation:
    """ASGI, inside the compression: tags each 200 of a GET under /v1/ that comes as JSON in one piece."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        known = _tags(Headers(scope=scope).get("if-none-match", ""))
        head: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start" and _takes_a_tag(message):
                head = message  # held back until its body is here
                return
            if head is not None:
                start, head = head, None
                message = await _tag(start, message, known, send)
            await send(message)

        await self._app(scope, receive, tagged)


async def _tag(start: Message, body: Message, known: frozenset[str], send: Send) -> Message:
    """Send the head of the answer, with its tag; the body that goes with it."""
    if body.get("more_body"):
        await send(start)
        return body
    tag = f'"{hashlib.blake2b(body.get("body", b""), digest_size=12).hexdigest()}"'
    headers = MutableHeaders(raw=start["headers"])
    headers["ETag"] = f"W/{tag}"
    same = tag in known or "*" in known
    if same:
        start["status"] = 304
        for name in _DROPPED:
            if name in headers:
                del headers[name]
    await send(start)
    return {**body, "body": b""} if same else body


def _takes_a_tag(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == 200 and kind.startswith("application/json")  # noqa: PLR2004 — HTTP's OK


def _tags(header: str) -> frozenset[str]:
    """The tags that a client knows; weak and strong ones compare alike here (RFC 9110 §13.1.2)."""
    return frozenset(tag.strip().removeprefix("W/") for tag in header.split(",") if tag.strip())
