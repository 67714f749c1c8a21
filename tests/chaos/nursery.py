"""Where senders come from: one process that has imported everything once, and forks a new sender for each line.

`python -m tests.chaos.nursery`. A line in: `{"settings": …, "arm": …, "log": FILE}`. Lines out: `born PID` (the answer
to that line), `ready PID`, `ended PID CODE` (as subprocess counts codes). A rival to three imports a second: a round
starts ten senders, and importing is nine tenths of what a start costs. Whoever is left dies with the nursery.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import json
import os
import random
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

from tests.support.sender_process import load, run

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Until standard input ends."""
    heard, told = socket.socketpair()
    for end in (heard, told):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told.fileno())
    alive: set[int] = set()
    rest = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(heard, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is heard:
                    heard.recv(4096)
                    _bury(alive)
                    continue
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, rest = (rest + read).split(b"\n")
                alive |= {_bear(json.loads(line)) for line in lines}


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # short, so whole, whoever else writes


def _bury(alive: set[int]) -> None:
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        alive.discard(pid)
        _say("ended", pid, os.waitstatus_to_exitcode(status))


def _bear(order: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        _say("born", pid)
        return pid
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os._exit(_live(order))


async def _be_a_sender(order: dict[str, Any]) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _say_where)
    await run(load(json.dumps(order["settings"])), lambda: _say("ready", os.getpid()))


def _say_where() -> None:
    """What each task waits for, into the log: of a sender that does not end."""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)


def _live(order: dict[str, Any]) -> int:
    """The life of a child; its exit code."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    faulthandler.register(signal.SIGUSR2, file=sys.stderr)
    os.environ["SENDLEDGER_FAILPOINT"] = order["arm"]
    random.seed()
    try:
        asyncio.run(_be_a_sender(order))
    except BaseException:  # noqa: BLE001 — what ends a process is its exit code and its last words
        traceback.print_exc()
        return 1
    else:
        return 0
    finally:
        sys.stderr.flush()


if __name__ == "__main__":
    main()
