"""The senders of a round: born by the nursery, killed, stopped, woken, ended; and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.config import Settings
from tests.support.sender_process import dump

_ROOT = Path(__file__).parents[2]


@dataclass(eq=False)
class Hand:
    """One process. Times are of the monotonic clock. `ended`: its exit code; `told`: it was asked to stop."""

    pid: int
    number: int
    arm: str
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    ended: int | None = None
    told: bool = False
    killed: bool = False
    stopped_at: float | None = None
    sleeps: list[tuple[float, float]] = field(default_factory=list)

    @property
    def worker(self) -> str:
        """How its claims name it."""
        return f"{socket.gethostname()}-{self.pid}"

    @property
    def state(self) -> str:
        """The letter that the kernel has for its state; nothing if it is gone."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return stat.rpartition(")")[2].split()[0]

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it."""
        return self.state == "T"

    @property
    def was_struck(self) -> bool:
        """Whether it was killed or stopped, from outside or by its failpoint."""
        return self.ended == -signal.SIGKILL or bool(self.sleeps) or self.stopped_at is not None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it ended though nobody made it."""
        as_told = self.told and self.ended in (0, -signal.SIGTERM)  # the latter before it listens, or told twice
        return self.ended is not None and not as_told and not self._was_killed

    @property
    def _was_killed(self) -> bool:
        return self.ended == -signal.SIGKILL and (self.killed or ":kill" in self.arm)

    def send(self, number: signal.Signals) -> None:
        """A signal, if it lives."""
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """The hard way."""
        self.killed = True
        self.send(signal.SIGKILL)

    def say_where(self) -> None:
        """Let it write into its log what its tasks wait for, and where its threads are."""
        self.send(signal.SIGUSR1)
        self.send(signal.SIGUSR2)

    def stop(self) -> None:
        """Stop it where it is."""
        self.stopped_at = time.monotonic()
        self.send(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        now = time.monotonic()
        self.sleeps.append((self.stopped_at or now, now))
        self.stopped_at = None
        self.send(signal.SIGCONT)


class Nursery:
    """The process that forks senders. One order at a time; its children are known by their pids."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._hands: dict[int, Hand] = {}
        self._births: deque[tuple[asyncio.Future[Hand], int, str]] = deque()

    async def bear(self, settings: Settings, number: int, arm: str, *, crash_margin: float) -> Hand:
        """A new sender with this data directory; `ready` is set when it is, or never will be."""
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        order = {
            "settings": json.loads(dump(settings, crash_margin)),
            "arm": arm,
            "log": str(settings.data_dir / "sender.log"),
        }
        birth: asyncio.Future[Hand] = asyncio.get_running_loop().create_future()
        self._births.append((birth, number, arm))
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return await birth

    async def listen(self) -> None:
        """Hear what becomes of the children; until the nursery ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match line.decode().split():
                case ["born", pid]:
                    birth, number, arm = self._births.popleft()
                    hand = self._hands[int(pid)] = Hand(int(pid), number, arm)
                    birth.set_result(hand)
                case ["ready", pid]:
                    self._hands[int(pid)].ready.set()
                case ["ended", pid, code]:
                    hand = self._hands.pop(int(pid))
                    hand.ended = int(code)
                    hand.ready.set()
                    hand.gone.set()
                case other:
                    raise AssertionError(f"the nursery says {other}")


@contextlib.asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """A nursery; whoever lives at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.nursery", stdin=PIPE, stdout=PIPE, cwd=_ROOT
    )
    it = Nursery(process)
    listening = asyncio.create_task(it.listen())
    try:
        yield it
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening
