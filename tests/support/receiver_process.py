"""One receiver as a process of its own, to be killed: `python -m tests.support.receiver_process`.

Its settings come from the environment, as the program's do. SIGTERM asks for the end; the exit code is 3 if records
are left in the spool. `--answer-first` breaks it on purpose: 200 before anything is durable; `--old-decoder` is one of
before v2: it can read no JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from sendledger.config import Settings, load
from sendledger.edges import postback_records
from sendledger.edges.logging import configure
from sendledger.edges.receiver import SpoolNotEmpty, serve
from sendledger.edges.receiver_writer import Fate, Writer
from sendledger.edges.record import Record
from sendledger.life import Life
from sendledger.wire.postbacks import Notification, Undecodable, decode_postback
from tests.support.kafka import eventually

BROKEN = "--answer-first"
OLD_DECODER = "--old-decoder"
SPOOL_LEFT = 3
_ROOT = Path(__file__).parents[2]


class ReceiverProcess:
    """A running one."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
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
        return await self.ended()

    def told(self) -> str:
        """All that it logged so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give a process these settings."""
    assert settings.recipient_pepper
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{_ROOT}:{_ROOT / 'streams'}:{_ROOT / 'schemas'}",
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "",
        "SENDLEDGER_RECIPIENT_PEPPER": settings.recipient_pepper.get_secret_value(),
        "SENDLEDGER_POSTBACK_TOKENS": ",".join(token.get_secret_value() for token in settings.postback_tokens),
        "SENDLEDGER_RECEIVER_PORT": str(settings.receiver_port),
        "SENDLEDGER_RECEIVER_NAME": settings.receiver_name,
        "SENDLEDGER_DATA_DIR": str(settings.data_dir),
        "SENDLEDGER_PARTITIONS": str(settings.partitions),
    }


@contextlib.asynccontextmanager
async def receiver_process(settings: Settings, *options: str) -> AsyncIterator[ReceiverProcess]:
    """Start one and wait until it listens; killed at the end if it still runs."""
    log = settings.data_dir / f"receiver-{settings.receiver_port}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.receiver_process",
            *options,
            env=environment(settings),
            stdout=output,
            stderr=output,
        )
    receiver = ReceiverProcess(process, log)
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
    honest = Writer.write

    def write(self: Writer, record: Record) -> asyncio.Future[Fate]:
        honest(self, record)
        told: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        told.set_result(Fate.KAFKA)
        return told

    Writer.write = write  # type: ignore[method-assign]


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
        await serve(settings, life)
    except SpoolNotEmpty:
        return SPOOL_LEFT
    return 0


if __name__ == "__main__":
    if BROKEN in sys.argv:
        answer_first()
    if OLD_DECODER in sys.argv:
        read_no_json()
    sys.exit(uvloop.run(main()))
