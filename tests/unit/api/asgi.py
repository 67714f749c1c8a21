"""One request straight into an ASGI application: no socket, no server."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message

from tests.support.api import Answer


async def ask(
    app: ASGIApp,
    method: str,
    url: str,
    *,
    token: str | None = None,
    body: bytes | list[bytes] = b"",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; a body as a list comes in these chunks, without a Content-Length."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    sent = {**({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    if isinstance(body, bytes) and "content-length" not in sent:
        sent["content-length"] = str(len(body))
    parts = urlsplit(url)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    got: list[Message] = []

    async def receive() -> Message:
        if not chunks:
            await asyncio.Event().wait()  # the client stays and says nothing more
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        got.append(message)

    await app(scope, receive, send)
    head = next(message for message in got if message["type"] == "http.response.start")
    content = b"".join(message.get("body", b"") for message in got)
    return Answer(head["status"], {k.decode().lower(): v.decode("latin-1") for k, v in head["headers"]}, content)
