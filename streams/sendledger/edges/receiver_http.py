"""The receiver's server: uvicorn on httptools, with limits on time and on the head that uvicorn does not have."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

REQUEST_SECONDS = 10
"""From a connection's start, or the first byte of a later request, until that request's last byte."""

KEEP_ALIVE_SECONDS = 75
MAX_HEAD = 16 * 1024
_GRACE_SECONDS = 8
SWEEP_SECONDS = 1.0
_BACKLOG = 2048


class LimitedProtocol(HttpToolsProtocol):
    """A connection that knows since when it owes us the rest of a request. A sweep closes those that are late."""

    owes_since: float | None = None
    in_head = True
    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection owes us a request."""
        self.owes_since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Refuse heads without end: the parser would gather them for ever."""
        if self.owes_since is None:
            self.owes_since = self.loop.time()
        self.head_bytes += len(data) if self.in_head else 0
        super().data_received(data)
        if self.in_head and self.head_bytes > MAX_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request that follows its predecessor without a pause is owed from here on."""
        if self.owes_since is None:
            self.owes_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What comes now is body, which the application counts."""
        self.in_head = False
        self.head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: the next one is owed only from its first byte on."""
        self.in_head = True
        self.owes_since = None
        super().on_message_complete()

    def shutdown(self) -> None:
        """At the end of the server, half a request is nobody's: only whole ones are worth waiting for."""
        if self.owes_since is not None:
            self.transport.abort()
        else:
            super().shutdown()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own (wiring). `listening` is set once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when it listens."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield

    async def sweep(self, on_late: Callable[[], None]) -> None:
        """Close the connections that owe us the rest of a request for too long; returns never."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            latest = loop.time() - REQUEST_SECONDS
            for connection in list(self.server_state.connections):
                if not isinstance(connection, LimitedProtocol):
                    continue
                if connection.owes_since is not None and connection.owes_since < latest:
                    connection.transport.abort()
                    on_late()


def bind(host: str, port: int) -> socket.socket:
    """A listening address. Errors: OSError, with the address in its text."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"the receiver cannot listen on {host}:{port}: {error.strerror}") from error


def make_server(app: ASGIApplication) -> Server:
    """The server for `app`. It logs no request: addresses hold a token (P8)."""
    options: dict[str, Any] = {
        "http": LimitedProtocol,
        "ws": "none",
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "log_level": "error",  # one warning for each malformed request would be a flood at a stranger's command
        "proxy_headers": False,
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
        "backlog": _BACKLOG,
    }
    return Server(uvicorn.Config(app, **options))
