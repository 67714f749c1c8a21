"""The guard between program and broker, with a cheap command in the broker's place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import alive, descendants, kill, until

_GUARD = [sys.executable, "-P", "-m", "sendledger.edges.broker_guard"]


@contextmanager
def guarded(*command: str, pass_fds: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A guard with a command that lives long; both are gone at the end, whatever the test found."""
    guard = subprocess.Popen([*_GUARD, *command], stdin=subprocess.PIPE, pass_fds=pass_fds)
    with guard:
        try:
            yield guard
        finally:
            for pid in (*descendants(guard.pid), guard.pid):
                with suppress(ProcessLookupError):
                    kill(pid)


async def child_of(guard: subprocess.Popen[bytes]) -> int:
    """The id of the guarded process once it runs."""
    await until(lambda: descendants(guard.pid), "the command runs")
    (pid,) = descendants(guard.pid)
    return pid


async def test_the_end_of_the_program_ends_the_command() -> None:
    """When the other end of the pipe closes, the command is stopped and the guard ends."""
    with guarded("sleep", "600") as guard:
        pid = await child_of(guard)
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(20) == -signal.SIGTERM % 256
        assert not alive(pid)


async def test_the_kernel_ends_the_command_when_the_guard_is_killed() -> None:
    """A kill -9 of the guard leaves nothing behind."""
    with guarded("sleep", "600") as guard:
        pid = await child_of(guard)
        kill(guard.pid)
        await until(lambda: not alive(pid), "the command is gone")


async def test_a_signal_to_the_guard_stops_the_command() -> None:
    """Whoever stops the guard by hand stops the broker too."""
    with guarded("sleep", "600") as guard:
        pid = await child_of(guard)
        guard.terminate()
        guard.wait(20)
        assert not alive(pid)


def test_the_command_s_own_end_is_passed_on() -> None:
    """The guard ends with its command and has its exit code."""
    with guarded(sys.executable, "-c", "raise SystemExit(7)") as guard:
        assert guard.wait(20) == 7


async def test_the_command_keeps_the_lock_that_the_guard_was_given(tmp_path: Path) -> None:
    """A file descriptor of the program goes on to the command, so that a lock on it holds as long as it lives."""
    file = tmp_path / "lock"
    with file.open("w", encoding="utf-8") as lock, guarded("sleep", "600", pass_fds=[lock.fileno()]) as guard:
        pid = await child_of(guard)
        await until(lambda: "sleep" in command_of(pid), "exec is done")
        assert Path(f"/proc/{pid}/fd/{lock.fileno()}").samefile(file)  # noqa: ASYNC240 — nothing waits beside it


def command_of(pid: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
