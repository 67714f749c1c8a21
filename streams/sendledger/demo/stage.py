"""What a demo plays on: a temporary directory, the simulator, and an instance that knows nobody else.

Order, and why: settings (ports and secrets, which both sides need) → simulator (the sender needs its address, and it
the receiver's) → instance. The end is the other way round: the simulator still answers while the sender finishes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sendledger import up
from sendledger.config import Settings, load
from sendledger.demo.ports import free_run
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.edges.supervisor import Program, Supervisor
from sendledger.simulator.control import is_loopback

_API_KEY = "demo-key-that-only-the-simulator-knows"
_SIMULATOR_START = 30.0
_POLL = 0.05
# A usual day with everything in it; seconds of the provider pass fifty times faster, so that "ten minutes late" is
# twelve seconds. Throttles come from a limit that the account's rate exceeds a little, not by chance: each one halves
# the pace. A TRACKINGID that nobody was given (--stray) is ambiguous beside a doubt, so not together with kills.
_PROVIDER = (
    "--preset", "mixed", "--time-scale", "0.02", "--foreign", "0.003", "--garbled", "0.003",
    "--error", "E110=0.01", "--error", "E628=0.005", "--error", "E715=0.005",
)  # fmt: skip
_STRAYS = ("--stray", "0.003")
_LIMIT, _BURST = 0.9, 0.1  # of the rate, and of a second's messages


class StageError(Exception):
    """The stage could not be set; the message says why."""


@dataclass(frozen=True)
class Stage:
    """Where everything is. `ledger`: the simulator's file; `simulator`: its address."""

    directory: Path
    ledger: Path
    simulator: str
    instance: up.Instance
    actors: Supervisor

    @property
    def settings(self) -> Settings:
        """The instance's settings."""
        return self.instance.settings

    @property
    def token(self) -> str:
        """The admin token that its first start made: nowhere else but in this process."""
        assert self.instance.token is not None  # noqa: S101 — a stage's data directory is new
        return self.instance.token.get_secret_value()


def environment_of(
    data_dir: Path, *, rate: float, simulator: str | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The children's environment: of the surroundings nothing that names a Kafka, a provider or a directory."""
    ours = {name: value for name, value in inherited.items() if not name.startswith(("KAFKA_", "SENDLEDGER_"))}
    first = free_run(7)
    over = {
        "DATA_DIR": str(data_dir),
        "METRICS_PORT": str(first),
        "API_PORT": str(first + 5),
        "RECEIVER_PORT": str(first + 6),
        "SEND_RATE": f"{rate:g}",
        "PROVIDER_TIMEOUT": "5",
        "RECEIVER_NAME": "demo",
        "PROVIDER_API_KEY_FILE": str(data_dir / "provider-key"),
    }
    if simulator is not None:
        over["PROVIDER_URL"] = simulator
    return {**ours, **{f"SENDLEDGER_{name}": value for name, value in over.items()}}


@asynccontextmanager
async def stage(directory: Path, *, seed: int, rate: float, strays: bool, tell: up.Tell) -> AsyncIterator[Stage]:
    """The stage while the context lasts. Errors: StageError, and those of `up.running`."""
    data_dir, logs = directory / "data", directory / "logs"
    for folder in (data_dir, logs):
        folder.mkdir(mode=0o700)
    (data_dir / "provider-key").touch(mode=0o600)
    (data_dir / "provider-key").write_text(_API_KEY, encoding="utf-8")
    environment = environment_of(data_dir, rate=rate, simulator=None, inherited=os.environ)
    settings = with_kept_secrets(load(environment, env_file=None))
    actors = Supervisor()
    try:
        tell("starting the simulated provider")
        options = (
            "--rate",
            f"{rate * _LIMIT:g}",
            "--burst",
            f"{max(1, rate * _BURST):g}",
            *(_STRAYS if strays else ()),
        )
        await actors.start(_simulator(directory, settings, environment, (*options, "--seed", str(seed))))
        address = await _address(directory / "simulator.url")
        environment["SENDLEDGER_PROVIDER_URL"] = address
        around = up.Surroundings(environment, directory, logs)
        playing = load(environment, env_file=None)
        async with up.running(playing, up.START_ORDER, around, tell) as instance:
            yield Stage(directory, directory / "ledger.jsonl", address.rstrip("/"), instance, actors)
    finally:
        await actors.stop_all()


def _simulator(
    directory: Path, settings: Settings, environment: Mapping[str, str], options: tuple[str, ...]
) -> Program:
    callback = directory / "data" / "callback-url"
    callback.touch(mode=0o600)
    token = settings.postback_tokens[0].get_secret_value()
    callback.write_text(f"http://{settings.receiver_host}:{settings.receiver_port}/postbacks/{token}", encoding="utf-8")
    command = (
        *(sys.executable, "-m", "sendledger", "simulator", *_PROVIDER, *options),
        *("--ledger", str(directory / "ledger.jsonl")),
        *("--address-file", str(directory / "simulator.url"), "--callback-url-file", str(callback)),
        *("--api-key-file", str(directory / "data" / "provider-key")),
    )
    return Program("simulator", command, environment, directory / "logs" / "simulator.log", directory)


async def _address(file: Path) -> str:
    end = time.monotonic() + _SIMULATOR_START
    while (address := _read(file)) is None:
        if time.monotonic() > end:
            raise StageError(f"the simulator did not start within {_SIMULATOR_START:g} s")
        await asyncio.sleep(_POLL)
    host = address.removeprefix("http://").partition(":")[0]
    if not address.startswith("http://") or not is_loopback(host):
        raise StageError("a demo talks only to its own simulator on this machine")
    return address


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8").strip() if file.exists() else None
