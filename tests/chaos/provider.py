"""The simulator as the rounds use it: switched, asked how quickly it hears, ended and started again at its address."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.chaos.plan import ALWAYS, CALM
from tests.support.processes import kill
from tests.support.simulator_process import AT_ONCE

_ASK_EVERY = 0.1


@dataclass
class Provider:
    """One simulator, with all its lives in one ledger. `heard`: start and end of each question for its status."""

    ledger: Path
    seed: int
    client: aiohttp.ClientSession
    url: str = ""
    heard: list[tuple[float, float]] = field(default_factory=list)
    _process: Process | None = None

    async def start(self) -> None:
        """Listen, at the same address as before if there was one; calm."""
        port = str(urlsplit(self.url).port) if self.url else "0"
        command = ("-m", "sendledger.simulator", "--ledger", str(self.ledger), "--port", port, "--seed", str(self.seed))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *command, *AT_ONCE, stdout=PIPE, stderr=DEVNULL
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:"), line
        self.url = line.removeprefix("listening on ").strip()
        await self.switch(CALM)

    async def end(self, *, hard: bool) -> None:
        """End it: with -9, or as an operator does."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if hard:
            kill(process.pid)
        else:
            process.terminate()
        await process.communicate()

    async def switch(self, changes: dict[str, Any]) -> None:
        """What holds from now on; nothing if nobody listens: who starts it says so anew."""
        with contextlib.suppress(aiohttp.ClientError):
            async with self.client.post(f"{self.url}switch", json=ALWAYS | changes) as answer:
                assert answer.status == 200, await answer.text()

    async def listen(self) -> None:
        """Ask it again and again how long it takes to hear what is said; until cancelled."""
        while True:
            began = time.monotonic()
            with contextlib.suppress(aiohttp.ClientError):
                async with self.client.get(f"{self.url}status") as answer:
                    await answer.read()
                self.heard.append((began, time.monotonic()))
            await asyncio.sleep(_ASK_EVERY)

    def lateness(self, moment: float) -> float:
        """How long, at most, a call of that moment had lain unheard: the longest question in the second before it."""
        return max((end - began for began, end in self.heard if end > moment - 1.0 and began < moment), default=0.0)


@contextlib.asynccontextmanager
async def provider(directory: Path, seed: int) -> AsyncIterator[Provider]:
    """Started; killed at the end."""
    async with aiohttp.ClientSession() as client:
        it = Provider(directory / "ledger.jsonl", seed, client)
        await it.start()
        listening = asyncio.create_task(it.listen())
        try:
            yield it
        finally:
            listening.cancel()
            await it.end(hard=True)
