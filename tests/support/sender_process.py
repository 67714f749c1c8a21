"""A sender as a process of its own, for tests that kill it: `python -m tests.support.sender_process`, settings in JSON.

The settings come on standard input, so that no secret stands on a command line; a line is printed once it is ready.
What it logs goes to `sender.log` in its data directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from sendledger.agents.sender import serve
from sendledger.config import KafkaSettings, Settings
from sendledger.domain import sending as rules
from sendledger.life import Life

_ROOT = Path(__file__).parents[2]
_PASSED_ON = {"provider_url", "send_rate", "provider_timeout", "partitions", "sender_concurrency", "session_timeout"}


def dump(settings: Settings, crash_margin: float | None) -> bytes:
    """The settings as one line that `load` reads."""
    plain: dict[str, Any] = {
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "data_dir": str(settings.data_dir),
        "recipient_pepper": settings.pepper().decode(),
        "provider_api_key": settings.provider_api_key.get_secret_value() if settings.provider_api_key else "",
        "crash_margin": crash_margin,
        **settings.model_dump(include=_PASSED_ON),
    }
    return json.dumps(plain).encode() + b"\n"


def load(raw: str) -> Settings:
    """The settings of such a line; its margin holds in this process from now on."""
    given: dict[str, Any] = json.loads(raw)
    if (margin := given.pop("crash_margin")) is not None:
        rules.CRASH_MARGIN = int(margin * rules.SECOND)  # type: ignore[misc]  # final for everybody but tests
    given["kafka"] = KafkaSettings(bootstrap_servers=given.pop("bootstrap_servers"))
    given |= {name: SecretStr(given[name]) for name in ("recipient_pepper", "provider_api_key")}
    return Settings(**{**given, "data_dir": Path(given["data_dir"]), "embedded_broker": True})


async def spawn(
    settings: Settings, failpoint: str = "", *, crash_margin: float | None = None
) -> asyncio.subprocess.Process:
    """Start one; it is ready when this returns, unless the failpoint struck before.

    `crash_margin`: seconds beyond a call's deadline until a claim without an answer is dead, instead of the usual.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "sender.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.sender_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=_ROOT,
            env={**os.environ, "SENDLEDGER_FAILPOINT": failpoint},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(dump(settings, crash_margin))
    await process.stdin.drain()
    await process.stdout.readline()
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    """End it the hard way, if it still lives."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


async def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Be a sender until SIGTERM; `ready` is called once, also if it never becomes that. Errors: what ends it."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    life = Life()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.stop.set)
    role = asyncio.create_task(serve(settings, life))
    told = asyncio.create_task(life.ready.wait())
    await asyncio.wait({role, told}, return_when=asyncio.FIRST_COMPLETED)
    ready()
    await role


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(load(sys.stdin.readline()), _say_ready))
