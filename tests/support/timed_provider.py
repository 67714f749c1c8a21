"""A provider that accepts everything and writes down when: a process of its own, so that no test holds it up.

`python -m tests.support.timed_provider FILE`: one line a call: earliest, latest, TO. The times are of the machine's
monotonic clock; `earliest` is when the sockets were last looked at and the call was not there yet. A provider that was
held up itself would otherwise see calls at once that came one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import selectors
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.support.processes import until

_ROOT = Path(__file__).parents[2]
_TO = re.compile(rb"TO%3E(\d+)%3C")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Came:
    """One call: it came between these two times (monotonic seconds)."""

    earliest: float
    latest: float
    to: str


def most_in_a_second(calls: list[Came]) -> int:
    """The greatest number of calls that surely came within one second."""
    came = sorted(calls, key=lambda call: call.earliest)
    most = 0
    for number, first in enumerate(came):
        within = 0
        for call in came[number:]:
            if call.earliest >= first.earliest + 1.0:
                break
            within += call.latest < first.earliest + 1.0
        most = max(most, within)
    return most


@dataclass
class TimedProvider:
    """A running one."""

    url: str
    file: Path

    def calls(self) -> list[Came]:
        """What has come so far."""
        whole = self.file.read_text(encoding="ascii").rpartition("\n")[0]
        rows = [line.split() for line in whole.splitlines()]
        return [Came(float(earliest), float(latest), to) for earliest, latest, to in rows]

    async def more(self, count: int) -> None:
        """Wait for so many more calls."""
        known = len(self.calls())
        await until(lambda: len(self.calls()) >= known + count, f"{count} more calls")


@contextlib.asynccontextmanager
async def timed_provider(directory: Path) -> AsyncIterator[TimedProvider]:
    """A provider on a free port."""
    file = directory / "calls.txt"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.timed_provider", str(file)), stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        await until(file.exists, "the provider writes")
        yield TimedProvider(url, file)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


class _Looks(selectors.DefaultSelector):
    """Knows when it was last looked at the sockets, and before."""

    def __init__(self) -> None:
        super().__init__()
        self.before = self.last = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(timeout)
        self.before, self.last = self.last, time.monotonic()
        return found


class _Line(asyncio.Protocol):
    def __init__(self, looks: _Looks, out: TextIO) -> None:
        self._looks, self._out = looks, out
        self._known = b""
        self._number = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._known += data
        head, end, rest = self._known.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(rest) < int(length[1]):
            return
        self._known = rest[int(length[1]) :]
        found = _TO.search(rest)
        to = "" if found is None else found[1].decode()
        self._number += 1
        self._out.write(f"{self._looks.before:.6f} {self._looks.last:.6f} {to}\n")
        tracking = f"{id(self)}_{self._number}"
        body = f"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>{tracking}</TRACKINGID><TO>{to}</TO></RESPONSE>"
        head_out = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write((head_out + body).encode())


async def _serve(looks: _Looks, file: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    with file.open("w", buffering=1, encoding="ascii") as out:
        server = await loop.create_server(lambda: _Line(looks, out), "127.0.0.1", 0)
        sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/\n")
        sys.stdout.flush()
        await stop.wait()
        server.close()


if __name__ == "__main__":
    _looks = _Looks()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_looks)) as _runner:
        _runner.run(_serve(_looks, Path(sys.argv[1])))
