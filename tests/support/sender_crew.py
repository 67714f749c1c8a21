"""Senders that are processes of their own, armed to kill or pause themselves, and requests that keep coming."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.config import Settings
from sendledger_schemas.requests import SendRequested
from tests.support.kafka import eventually
from tests.support.sender import START, post, request
from tests.support.sender_process import kill, spawn
from tests.support.sender_truth import Ours, read_ours

CRASH_MARGIN = 3.0
"""Seconds: dead claims are found soon. A claim that lives is then perhaps taken for dead, which must do no harm."""
_MANY_A_RECIPIENT = 10


@dataclass
class Member:
    """One process. `arm`: its failpoint, or nothing."""

    arm: str
    process: asyncio.subprocess.Process

    @property
    def worker(self) -> str:
        """How its claims name it."""
        return f"{socket.gethostname()}-{self.process.pid}"

    @property
    def has_struck(self) -> bool:
        """Whether its failpoint has killed it or stopped it."""
        return self.is_stopped if ":stop" in self.arm else self.process.returncode == -signal.SIGKILL

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    async def end(self) -> int:
        """Ask it to stop, and wait for that; its exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 40)


@dataclass
class Crew:
    """The senders of one test, each with a data directory of its own, and the requests that were made."""

    settings: Settings
    members: list[Member] = field(default_factory=list)
    requests: list[SendRequested] = field(default_factory=list)

    async def start(self, *arms: str) -> list[Member]:
        """Start one for each, side by side; they are ready when this returns, unless a failpoint struck before."""
        started = await asyncio.gather(*(self._start(len(self.members) + n, arm) for n, arm in enumerate(arms)))
        self.members += started
        return started

    async def _start(self, number: int, arm: str) -> Member:
        own = self.settings.model_copy(update={"data_dir": self.settings.data_dir / f"member-{number}"})
        return Member(arm, await spawn(own, arm, crash_margin=CRASH_MARGIN))

    async def ask(self, count: int) -> None:
        """Put more requests on the log; of ten, one goes to a number that others go to, too."""
        first = len(self.requests)
        rows = range(first, first + count)
        more = [request(row, to=str(START + (row if row % _MANY_A_RECIPIENT else row % 50))) for row in rows]
        await post(self.settings, more)
        self.requests += more

    async def ask_until(self, fact: Callable[[], bool], what: str, *, count: int = 20, timeout: float = 90) -> None:
        """Put requests on the log again and again until something has happened to the members."""

        async def happened() -> bool:
            if fact():
                return True
            await self.ask(count)
            return False

        await eventually(happened, timeout, what)

    async def all_ended(self, timeout: float = 90) -> Ours:
        """Wait until each request is at its end, or in doubt; the log by then."""

        async def ours() -> Ours | None:
            found = await read_ours(self.settings)
            return found if len(found.messages) == len(self.requests) and not found.under_way() else None

        try:
            done: Ours = await eventually(ours, timeout, "an end or a doubt of each message")
        except AssertionError:
            found = await read_ours(self.settings)
            raise AssertionError(f"{found.buckets()} of {len(self.requests)}\n{self.told()}") from None
        return done

    def told(self) -> str:
        """The last lines of each member's log."""
        logs = sorted(self.settings.data_dir.glob("member-*/sender.log"))
        return "\n".join(f"--- {log.parent.name}\n" + "\n".join(log.read_text().splitlines()[-12:]) for log in logs)


def wake(members: Iterable[Member]) -> None:
    """Let stopped ones go on."""
    for member in members:
        member.process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def crew_of(settings: Settings) -> AsyncIterator[Crew]:
    """A crew, killed at the end."""
    crew = Crew(settings)
    try:
        yield crew
    finally:
        for member in crew.members:
            await kill(member.process)
