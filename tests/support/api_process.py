"""An API as a process of its own, for tests that kill it: `python -m tests.support.api_process`, settings in JSON.

The settings come on standard input, so that no secret stands on a command line; a line is printed once it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from sendledger.config import KafkaSettings, Settings
from sendledger.edges.api import serve
from sendledger.edges.logging import configure
from sendledger.life import Life
from tests.support.api import TOKENS, ApiClient
from tests.support.receiver import free_port

_ROOT = Path(__file__).parents[2]


@dataclass(kw_only=True)
class ApiProcess(ApiClient):
    """A running one, and its client."""

    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it the hard way, if it still lives."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def api_process(settings: Settings, name: str = "1", **over: Any) -> AsyncIterator[ApiProcess]:
    """One that is ready, with a data directory of its own; killed at the end."""
    given = settings.model_copy(update={"api_port": free_port(), "data_dir": settings.data_dir / name, **over})
    given.data_dir.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.api_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    async with aiohttp.ClientSession() as session:
        it = ApiProcess(settings=given, session=session, process=process)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(_dump(given))
            await process.stdin.drain()
            assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
            yield it
        finally:
            await it.kill()


def _dump(settings: Settings) -> bytes:
    plain: dict[str, Any] = {
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "data_dir": str(settings.data_dir),
        "recipient_pepper": settings.pepper().decode(),
        **settings.model_dump(include={"api_port", "partitions", "default_region"}),
    }
    return json.dumps(plain).encode() + b"\n"


def _load(raw: str) -> Settings:
    given: dict[str, Any] = json.loads(raw)
    given["kafka"] = KafkaSettings(bootstrap_servers=given.pop("bootstrap_servers"))
    given |= {"recipient_pepper": SecretStr(given["recipient_pepper"]), "api_tokens": TOKENS}
    return Settings(**{**given, "data_dir": Path(given["data_dir"]), "embedded_broker": True})


async def _main() -> None:
    configure(role="api", level="WARNING")  # on stderr: stdout is for the one line
    life = Life()
    role = asyncio.create_task(serve(_load(sys.stdin.readline()), life))
    ready = asyncio.create_task(life.ready.wait())
    await asyncio.wait({role, ready}, return_when=asyncio.FIRST_COMPLETED)
    sys.stdout.write("ready\n" if life.ready.is_set() else "ended\n")
    sys.stdout.flush()
    await role


if __name__ == "__main__":
    asyncio.run(_main())
