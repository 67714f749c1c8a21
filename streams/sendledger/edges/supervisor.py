"""Starts programs as child processes, restarts those that end, and stops them in the order that it is told.

Children get a session of their own: Ctrl-C on the terminal reaches only the supervisor, which then stops them in
order. They end with the supervisor (edges/parent.py), also when it is killed with -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from sendledger.edges.parent import PARENT_VARIABLE

WRONG_SETTINGS = 2
"""The exit code of a program whose settings are wrong: no restart can mend that."""
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STEADY_AFTER = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Program:
    """What to run: `environment` is the whole of it; `output`: a file for stdout and stderr (None: the parent's)."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    output: Path | None = None
    directory: Path | None = None


class GaveUpError(Exception):
    """It makes no sense to go on: a program refused its settings, or what all depend on has ended."""


def delay_after(failures: int) -> float:
    """Seconds to wait before the restart that follows the n-th failure in a row: doubling from 0.5 s up to 30 s."""
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 16)))


@dataclass
class _Child:
    program: Program
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    stopping: bool = False
    restarts: int = 0


class Supervisor:
    """The children of one process. `gave_up` is set to a GaveUpError when it makes no sense to go on."""

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}
        self._watches: list[asyncio.Task[None]] = []
        self.gave_up: asyncio.Future[GaveUpError] = asyncio.get_running_loop().create_future()

    def depend_on(self, name: str, ended: Coroutine[Any, Any, object]) -> None:
        """Give up when `ended` returns: what it waits for is needed by all, and is not ours to start again."""

        async def watch() -> None:
            await ended
            self._give_up(f"{name} has ended")

        self._watches.append(asyncio.create_task(watch(), name=f"watch of {name}"))

    async def start(self, program: Program) -> None:
        """Start the program and keep it running until it is stopped."""
        child = self._children[program.name] = _Child(program)
        await self._spawn(child)
        child.keeper = asyncio.create_task(self._keep(child), name=f"keeper of {program.name}")

    def pid(self, name: str) -> int | None:
        """The process id of a running child; None while it is down."""
        process = self._children[name].process
        return process.pid if process is not None and process.returncode is None else None

    def restarts(self, name: str) -> int:
        """How many times the program was started again."""
        return self._children[name].restarts

    def kill(self, name: str) -> int | None:
        """SIGKILL, as a crash would; the program is started again. Returns the killed process's id."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    async def stop(self, name: str, *, grace: float = 20.0) -> None:
        """SIGTERM and wait; SIGKILL when `grace` seconds are over."""
        child = self._children.get(name)
        if child is None or child.stopping:
            return
        child.stopping = True
        if child.process is not None and child.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
            try:
                await asyncio.wait_for(child.process.wait(), grace)
            except TimeoutError:
                log.warning("did not stop in time, killed", program=name, grace_seconds=grace)
                child.process.kill()
                await child.process.wait()
        if child.keeper is not None:
            child.keeper.cancel()
            await asyncio.gather(child.keeper, return_exceptions=True)

    async def stop_all(self, order: tuple[str, ...] = ()) -> None:
        """Stop those of `order` one after the other, then the rest, the youngest first."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        rest = [name for name in reversed(self._children) if name not in order]
        for name in (*order, *rest):
            await self.stop(name)

    def _give_up(self, reason: str) -> None:
        if not self.gave_up.done():
            self.gave_up.set_result(GaveUpError(reason))

    async def _spawn(self, child: _Child) -> None:
        program = child.program
        environment = {**program.environment, PARENT_VARIABLE: str(os.getpid())}
        with contextlib.ExitStack() as files:
            output: IO[bytes] | None = None
            if program.output is not None:
                output = files.enter_context(program.output.open("ab"))
            child.process = await asyncio.create_subprocess_exec(
                *program.command,
                env=environment,
                cwd=program.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _keep(self, child: _Child) -> None:
        failures = 0
        while child.process is not None:
            began = time.monotonic()
            code = await child.process.wait()
            if child.stopping:
                return
            if code == WRONG_SETTINGS:
                self._give_up(f"{child.program.name} refused its settings (exit code 2)")
                return
            failures = 1 if time.monotonic() - began > _STEADY_AFTER else failures + 1
            delay = delay_after(failures)
            log.warning("ended, starting it again", program=child.program.name, exit_code=code, delay_seconds=delay)
            await asyncio.sleep(delay)
            child.restarts += 1
            await self._spawn(child)
