"""The deadman ends a process that hangs, and no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, time
from sendledger.edges import deadman

async def clings():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def work():
    {work}

try:
    asyncio.run(deadman.guarded(work(), turns_within=1.5, ends_within=1.5))
finally:
    deadman.disarm()
{after}
"""
ENDS = {
    "good": ("await asyncio.sleep(0)", "", 0),
    "turns for longer than it may stand still": ("await asyncio.sleep(2.5)", "", 0),
    "goes on after the loop has ended": ("await asyncio.sleep(0)", "time.sleep(2.5)", 0),
    "an error": ("raise OSError('canary')", "", 1),
    "stands still": ("time.sleep(30)", "", 1),
    "has a task that does not let go": (
        "global kept; kept = asyncio.create_task(clings()); await asyncio.sleep(0)",
        "",
        1,
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_only_what_hangs_is_ended(case: str) -> None:
    """Exit code 1 and the place where it hung, long before it would have ended by itself; else nothing is different."""
    work, after, code = ENDS[case]
    program = PROGRAM.format(work=work, after=after)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=25, check=False)
    assert ended.returncode == code
    assert ("Timeout" in ended.stderr) == (case in {"stands still", "has a task that does not let go"})
