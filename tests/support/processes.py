"""Processes in tests: started with a known id, waited for by facts, stopped by that id and never by a name."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def descendants(pid: int) -> set[int]:
    """The ids of all living processes below `pid`."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return {child for child in found if alive(child)}


async def until(fact: Callable[[], object], what: str, *, timeout: float = 30.0) -> None:
    """Wait until `fact()` is true. Errors: AssertionError that says what did not come true."""
    end = time.monotonic() + timeout
    while not fact():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        await asyncio.sleep(0.02)


def kill(pid: int) -> None:
    """SIGKILL to one process of ours."""
    os.kill(pid, signal.SIGKILL)


def processes_about(path: Path) -> dict[int, str]:
    """Living processes whose command line or environment names a path: what a test may have left behind."""
    needle, found = str(path).encode(), dict[int, str]()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if (needle in command or needle in environment) and alive(int(entry.name)):
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found
