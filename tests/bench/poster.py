"""HTTP load at a fixed pace: what is due is posted, whether or not what was posted before is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_OK = b"HTTP/1.1 200 "
_END = b"\r\n\r\n"
_NAP = 0.001


class _Connection(asyncio.Protocol):
    """One kept connection, one request at a time. Answers have no body: the head's end is theirs."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._number = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def post(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(_END):
            self._poster.answered(self, self._number, ok=data.startswith(_OK))

    def close(self) -> None:
        self._transport.close()


class Poster:
    """Posts to one address. `answers`: number → when its 200 came (`time.monotonic`); `began`: when 0 was due."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._free: deque[_Connection] = deque()
        self._all: list[_Connection] = []
        self._due: deque[tuple[int, bytes]] = deque()
        self._answered = asyncio.Event()
        self.answers: dict[int, float] = {}
        self.refused = 0
        self.most_waiting = 0
        self.began = 0.0

    async def connect(self, connections: int) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
            self._all.append(made)
            self._free.append(made)

    async def run(self, count: int, rate: float, body: Callable[[int], bytes]) -> None:
        """Post bodies 0 … count − 1 at this pace and wait until each is answered."""
        self.began = time.monotonic()
        number = 0
        while number < count:
            while number < count and time.monotonic() >= self.began + number / rate:
                self._due.append((number, self._request(body(number))))
                number += 1
            self._send()
            await asyncio.sleep(_NAP)
        while len(self.answers) + self.refused < count:
            self._answered.clear()
            await asyncio.wait_for(self._answered.wait(), 30)

    def late(self, number: int, rate: float) -> float:
        """Seconds from when a postback was due, not from its sending, to its 200. Errors: KeyError without one."""
        return self.answers[number] - (self.began + number / rate)

    def _request(self, body: bytes) -> bytes:
        return f"POST {self._path} HTTP/1.1\r\nHost: r\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def _send(self) -> None:
        self.most_waiting = max(self.most_waiting, len(self._due))
        while self._due and self._free:
            self._free.popleft().post(*self._due.popleft())

    def answered(self, connection: _Connection, number: int, *, ok: bool) -> None:
        """An answer came."""
        if ok:
            self.answers[number] = time.monotonic()
        else:
            self.refused += 1
        self._free.append(connection)
        self._send()
        self._answered.set()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._all:
            connection.close()
