"""The receiver's own server with nothing behind it, as a process: `python -m tests.bench.empty_server PORT`.

uvicorn, uvloop and httptools with the receiver's settings and limits; the handler reads the body and answers 200.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import uvloop

from sendledger.edges import receiver_http

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


async def empty(_scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Take one body, answer 200."""
    await receive()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")], "trailers": False}
    )
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def main(port: int) -> None:
    """Serve until the process is ended."""
    await receiver_http.make_server(empty).serve(sockets=[receiver_http.bind("127.0.0.1", port)])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
