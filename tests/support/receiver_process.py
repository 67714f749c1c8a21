"""One receiver as a process of its own, to be killed: `python -m tests.support.receiver_process`.

Its settings come from the environment, as the program's do. SIGTERM asks for the end; the exit code is 3 if records
are left in the spool. `--answer-first` breaks it on purpose: 200 before anything is durable; `--old-decoder` is one of
before v2: it can read no JSON. With `--short-absences` it beats each 0.2 s, and 3 s without a beat are an absence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import uvloop

from sendledger.config import Settings, load
from sendledger.edges import heartbeat, postback_records
from sendledger.edges.logging import configure
from sendledger.edges.metrics_server import serving
from sendledger.edges.receiver import SpoolNotEmpty, serve
from sendledger.edges.receiver_waiting import Fate, Waiting
from sendledger.edges.receiver_writer import Writer
from sendledger.life import Life
from sendledger.wire.postbacks import Notification, Undecodable, decode_postback
from tests.support.kafka import eventually
from tests.support.postback_checker import scraped
from tests.support.receiver import free_port

BROKEN = "--answer-first"
OLD_DECODER = "--old-decoder"
SHORT_ABSENCES = "--short-absences"
AWAY_SECONDS = 3.0
SPOOL_LEFT = 3
_ROOT = Path(__file__).parents[2]


class ReceiverProcess:
    """A running one."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, metrics_port: int) -> None:
        self._process = process
        self._log = log
        self.metrics_port = metrics_port
        self.pid = process.pid

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.wait_for(self._process.wait(), 40)

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        self._process.terminate()
        code = await self.ended()
        if code not in (0, SPOOL_LEFT):
            print(self.told()[-3000:])  # noqa: T201 — pytest shows it with the failure
        return code

    def memory_mb(self) -> float:
        """What it has in memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def metric(self, name: str) -> float:
        """One metric, the sum of its samples (`name` may have labels); NaN if it cannot be had."""
        return await scraped(self.metrics_port, name)

    async def reaches_kafka(self) -> None:
        """Wait until postbacks go to Kafka directly and nothing is left in the spool."""

        async def direct() -> bool:
            up, left = [await self.metric(f"sendledger_receiver_{name}") for name in ("kafka_up", "spool_records")]
            return (up, left) == (1, 0)

        await eventually(direct, timeout=90, what=f"Kafka is reached and the spool empty: {self._log}")

    def told(self) -> str:
        """All that it logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def environment(settings: Settings, metrics_port: int) -> dict[str, str]:
    """The variables that give a process these settings."""
    assert settings.recipient_pepper
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{_ROOT}:{_ROOT / 'streams'}:{_ROOT / 'schemas'}",
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "",
        "SENDLEDGER_RECIPIENT_PEPPER": settings.recipient_pepper.get_secret_value(),
        "SENDLEDGER_POSTBACK_TOKENS": ",".join(token.get_secret_value() for token in settings.postback_tokens),
        "SENDLEDGER_RECEIVER_PORT": str(settings.receiver_port),
        "SENDLEDGER_METRICS_PORT": str(metrics_port - 1),  # the receiver has the next one
        "SENDLEDGER_SPOOL_DIR": str(settings.spool_dir),
        "SENDLEDGER_SPOOL_MAX_MB": str(settings.spool_max_mb),
        "SENDLEDGER_RECEIVER_NAME": settings.receiver_name,
        "SENDLEDGER_DATA_DIR": str(settings.data_dir),
        "SENDLEDGER_PARTITIONS": str(settings.partitions),
    }


@contextlib.asynccontextmanager
async def receiver_process(settings: Settings, *options: str, **over: str) -> AsyncIterator[ReceiverProcess]:
    """Start one and wait until it listens; killed at the end if it still runs. `over`: more of its environment."""
    metrics_port = free_port()
    log = settings.data_dir / f"receiver-{settings.receiver_port}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.receiver_process",
            *options,
            env={**environment(settings, metrics_port), **over},
            stdout=output,
            stderr=output,
        )
    receiver = ReceiverProcess(process, log, metrics_port)
    before = receiver.told().count("receiver listens")
    try:
        await eventually(lambda: receiver.told().count("receiver listens") > before, what=f"listens: {log}")
        yield receiver
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def answer_first() -> None:
    """Break the promise: each record's fate is told before it is written."""
    honest = Writer._admit

    def admit(self: Writer, waiting: Waiting) -> None:
        waiting.tell(Fate.KAFKA)
        honest(self, waiting)

    Writer._admit = admit  # type: ignore[method-assign]


def read_no_json() -> None:
    """Decode as a version did that did not know v2."""

    def decode(raw: bytes) -> Notification | Undecodable:
        return Undecodable("broken") if raw.lstrip().startswith(b"{") else decode_postback(raw)

    vars(postback_records)["decode_postback"] = decode


async def main() -> int:
    """Run until SIGTERM."""
    settings = load(env_file=None)
    configure(role="receiver", level="DEBUG")
    life = Life()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.stop.set)
    try:
        async with serving("receiver", life, host="127.0.0.1", port=settings.metrics_port_of("receiver")):
            await serve(settings, life)
    except SpoolNotEmpty:
        return SPOOL_LEFT
    return 0


if __name__ == "__main__":
    if BROKEN in sys.argv:
        answer_first()
    if OLD_DECODER in sys.argv:
        read_no_json()
    if SHORT_ABSENCES in sys.argv:
        heartbeat.AWAY_AFTER, heartbeat.BEAT_SECONDS = timedelta(seconds=AWAY_SECONDS), 0.2
    sys.exit(uvloop.run(main()))
