"""One role as a process of its own, for tests that kill it: `python -m tests.support.role fold <settings as JSON>`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sendledger.config import KafkaSettings, Settings
from sendledger.life import Life
from sendledger.wiring import Role, serve_of

_ROOT = Path(__file__).parents[2]


async def run(role: Role, settings: Settings) -> None:
    """Serve until SIGTERM."""
    life = Life()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.stop.set)
    await serve_of(role)(settings, life)


def spawn(role: Role, settings: Settings, slot: int = 0) -> subprocess.Popen[bytes]:
    """Start a role; its output goes to `<data_dir>/<role>-<slot>.log`."""
    given = {
        "kafka": {"bootstrap_servers": settings.kafka.bootstrap_servers},
        "data_dir": str(settings.data_dir),
        "session_timeout": settings.session_timeout,
        "fold_slot": slot,
    }
    command = [sys.executable, "-m", "tests.support.role", role, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with (settings.data_dir / f"{role}-{slot}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


@contextmanager
def spawned(role: Role, settings: Settings, *slots: int) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Workers by slot; whatever is in the dict at the end is ended."""
    workers = {slot: spawn(role, settings, slot) for slot in slots}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.kill()
        for worker in workers.values():
            worker.wait(10)


if __name__ == "__main__":
    values = json.loads(sys.argv[2])
    values["kafka"] = KafkaSettings(**values["kafka"])
    asyncio.run(run(sys.argv[1], Settings(**values)))  # type: ignore[arg-type]  # a role's name
