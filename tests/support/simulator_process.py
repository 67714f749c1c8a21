"""The simulator as a process of its own, with a ledger on disk."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import kill

AT_ONCE = ("--latency-ms", "0-0", "--sent-after", "0", "--receipt-after", "0", "--time-scale", "0")


@dataclass
class Running:
    """A simulator in a process of its own."""

    process: Process
    url: str
    ledger: Path


@contextlib.asynccontextmanager
async def running(directory: Path, *argv: str) -> AsyncIterator[Running]:
    """Started and listening; killed at the end if it still runs."""
    ledger = directory / "ledger.jsonl"
    command = (sys.executable, "-m", "sendledger.simulator", "--ledger", str(ledger), *AT_ONCE, *argv)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:"), line
        yield Running(process, line.removeprefix("listening on ").strip(), ledger)
    finally:
        if process.returncode is None:
            kill(process.pid)
        await process.communicate()
