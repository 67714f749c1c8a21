"""A small process between the program and its broker, so that no JVM is ever left behind.

The program holds the other end of this process's standard input and never writes. When the program ends, in whatever
way, the kernel closes that end: the guard then stops the broker cleanly. When the guard itself is killed, the kernel
kills the broker (PR_SET_PDEATHSIG, which is tied to the thread that forked: here there is only one). It starts in
about 50 ms and imports nothing of the program.

Usage: python -m sendledger.edges.broker_guard COMMAND…    (exit code: the command's)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LONGEST_STOP = 15.0  # seconds for a controlled shutdown before the broker is killed; it recovers its log either way


def _die_with(guard: int) -> None:
    """In the child, before exec: end with the guard, also if it died a moment ago."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)


def _wait_for_an_end(broker: subprocess.Popen[bytes]) -> None:
    """Return when the program is gone or a signal told to stop (the pipe reads as closed), or the broker is gone."""
    with_pidfd = [sys.stdin.fileno(), os.pidfd_open(broker.pid)]
    select.select(with_pidfd, [], [])


def _stop(broker: subprocess.Popen[bytes]) -> int:
    """Ask, wait, then kill. Returns the broker's exit code."""
    if broker.poll() is None:
        broker.terminate()
    try:
        return broker.wait(_LONGEST_STOP)
    except subprocess.TimeoutExpired:
        broker.kill()
        return broker.wait()


def main(command: list[str]) -> int:
    """Run `command` until it ends or the program does. File descriptors that the guard was given pass on to it."""
    guard = os.getpid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _told_to_stop)
    broker = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        close_fds=False,  # the data directory's lock goes on to the broker: it holds as long as any of them lives
        preexec_fn=lambda: _die_with(guard),  # noqa: PLW1509 — one thread only, so nothing can deadlock
    )
    with contextlib.suppress(InterruptedError):
        _wait_for_an_end(broker)
    return _stop(broker)


def _told_to_stop(number: int, _frame: object) -> None:
    raise InterruptedError(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
