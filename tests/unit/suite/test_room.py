"""The tests' own lock: who is alone is alone, and comes to its turn."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.room import entered

_OTHER = """
import sys
from pathlib import Path
from tests.support.room import entered
with entered(Path(sys.argv[1]), alone=sys.argv[2] == "alone"):
    print("in", flush=True)
    sys.stdin.read()
"""
_ROOT = Path(__file__).parents[3]


def other(directory: Path, how: str) -> subprocess.Popen[str]:
    """Another process that wants in, and stays until its input ends."""
    command = [sys.executable, "-c", _OTHER, str(directory), how]
    return subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def left(process: subprocess.Popen[str]) -> None:
    """Let it go, and wait until it is gone."""
    process.communicate(timeout=30)


def told(process: subprocess.Popen[str]) -> str:
    """Wait until it is in."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_most_share_the_room(tmp_path: Path) -> None:
    """Nobody waits for one who does not need to be alone."""
    process = other(tmp_path, "shared")
    try:
        assert told(process) == "in"
        with entered(tmp_path, alone=False):
            assert process.poll() is None
    finally:
        left(process)


def test_who_is_alone_waits_and_is_waited_for(tmp_path: Path) -> None:
    """It comes in when the room is empty, before those who asked later."""
    order: list[str] = []
    process = other(tmp_path, "alone")
    assert told(process) == "in"

    def enter(name: str, *, alone: bool) -> None:
        with entered(tmp_path, alone=alone):
            order.append(name)

    threads = []
    for name, alone in (("alone", True), ("later", False)):
        threads.append(threading.Thread(target=enter, args=(name,), kwargs={"alone": alone}))
        threads[-1].start()
        until = time.monotonic() + 10
        while _waiting(tmp_path) < len(threads) and time.monotonic() < until:
            time.sleep(0.01)
    assert order == []
    left(process)
    for thread in threads:
        thread.join(30)
    assert order == ["alone", "later"]


def _waiting(directory: Path) -> int:
    """How many wait for one of the two files, as the kernel tells it."""
    inodes = {str((directory / name).stat().st_ino) for name in ("room", "door")}
    rows = [row.split() for row in Path("/proc/locks").read_text(encoding="utf-8").splitlines()]
    return sum(1 for row in rows if "->" in row and row[-3].split(":")[-1] in inodes)
