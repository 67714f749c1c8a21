"""The program as its users run it: `sendledger …` as processes, with ports and a data directory of the test's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sendledger.config import Settings
from sendledger.demo.ports import free_run
from sendledger.edges import token_file
from tests.support.processes import until

COMMAND = (sys.executable, "-m", "sendledger")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(data_dir: Path, **over: str) -> dict[str, str]:
    """An environment with nothing of ours in it but ports, the data directory and `over` (without SENDLEDGER_)."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SENDLEDGER_", "KAFKA_"))}
    first = free_run(7)
    ours = {
        "DATA_DIR": str(data_dir),
        "METRICS_PORT": str(first),
        "API_PORT": str(first + 5),
        "RECEIVER_PORT": str(first + 6),
        **over,
    }
    return {**plain, **{f"SENDLEDGER_{name}": value for name, value in ours.items()}}


async def sendledger(*arguments: str, env: Mapping[str, str], directory: Path, timeout: float = 120.0) -> Ended:
    """Run one command to its end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=dict(env),
        cwd=directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        process.kill()
        raise
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def cli(settings: Settings, *arguments: str) -> Ended:
    """Run one command on a test's Kafka; it has to succeed."""
    assert settings.kafka.bootstrap_servers is not None
    env = environment(settings.data_dir / "cli", RECIPIENT_PEPPER=settings.pepper().decode())
    env["KAFKA_BOOTSTRAP_SERVERS"] = settings.kafka.bootstrap_servers
    ended = await sendledger(*arguments, env=env, directory=settings.data_dir)
    assert ended.code == 0, ended.err
    return ended


@dataclass
class Program:
    """A running `sendledger …`; its output goes to `<directory>/<name>.out` and `.err`."""

    name: str
    directory: Path
    process: asyncio.subprocess.Process

    @property
    def out(self) -> str:
        """What it said so far."""
        return (self.directory / f"{self.name}.out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it complained about or logged so far."""
        return (self.directory / f"{self.name}.err").read_text(encoding="utf-8")

    async def stop(self, number: int = signal.SIGTERM, *, timeout: float = 60.0) -> int:
        """Send a signal and wait; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), timeout)


@asynccontextmanager
async def running(name: str, *arguments: str, env: Mapping[str, str], directory: Path) -> AsyncIterator[Program]:
    """A command that runs while the context lasts."""
    with (directory / f"{name}.out").open("wb") as out, (directory / f"{name}.err").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, env=dict(env), cwd=directory, stdout=out, stderr=err
        )
    program = Program(name, directory, process)
    try:
        yield program
    finally:
        await program.stop()


class Api:
    """The HTTP API of a running instance."""

    def __init__(self, env: Mapping[str, str], token: str | None = None) -> None:
        self._base = f"http://127.0.0.1:{env['SENDLEDGER_API_PORT']}"
        self._data_dir = Path(env["SENDLEDGER_DATA_DIR"])
        self._token = token

    @property
    def token(self) -> str:
        """The one that was given, or one made as `sendledger token admin` makes it."""
        if self._token is None:
            self._token = token_file.make(self._data_dir, "admin")
        return self._token

    async def call(self, method: str, route: str, **options: Any) -> tuple[int, str]:
        """Status and body."""
        headers = {"Authorization": f"Bearer {self.token}"} if route.startswith("/v1/") else {}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.request(method, self._base + route, headers=headers, **options) as answer,
        ):
            return answer.status, await answer.text()

    async def get(self, route: str) -> Any:
        """The JSON of an answer that has to be 200."""
        status, body = await self.call("GET", route)
        assert status == 200, f"GET {route}: {status} {body}"
        return json.loads(body)

    async def ready(self, *, timeout: float = 60.0) -> None:
        """Wait until /readyz says 200."""
        seen = [0]

        async def ask() -> None:
            while seen[0] != 200:
                try:
                    seen[0], _ = await self.call("GET", "/readyz")
                except aiohttp.ClientError:
                    seen[0] = 0
                await asyncio.sleep(0.1)

        asking = asyncio.create_task(ask())
        try:
            await until(lambda: seen[0] == 200, "/readyz is 200", timeout=timeout)
        finally:
            asking.cancel()

    async def counts(self, campaign_id: str) -> dict[str, int]:
        """A campaign's counts."""
        found: dict[str, int] = (await self.get(f"/v1/campaigns/{campaign_id}"))["counts"]
        return found

    async def until_counts(self, campaign_id: str, *, timeout: float = 30.0, **wanted: int) -> None:
        """Wait until these of a campaign's counts are as wanted."""
        found: dict[str, int] = {}
        async with asyncio.timeout(timeout):
            while True:
                found = await self.counts(campaign_id)
                if all(found[name] == count for name, count in wanted.items()):
                    return
                await asyncio.sleep(0.1)
