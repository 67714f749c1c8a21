"""The broker stands still, or is killed, while workers fold and are killed too: afterwards every number is right."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendledger.edges import embedded_kafka, system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from tests.support.chaos import Crew, Log, Scale, Worker, crew_of, cursors
from tests.support.chaos_load import Load
from tests.support.exactness import exact
from tests.support.kafka import broker, eventually, settings_on
from tests.support.processes import alive, descendants

SCALE = Scale()
SLOTS = (0, 1)
SILENCE = "the ends of the log cannot be asked for"  # what a worker says after 10 s without an answer, every 15 s


@contextlib.asynccontextmanager
async def supervised(crew: Crew) -> AsyncIterator[list[int]]:
    """Start again whoever ends, as the supervisor does; the list is of their exit codes."""
    codes: list[int] = []

    def mend(worker: Worker) -> None:
        code = worker.process.poll()
        if code is not None:
            codes.append(code)
            crew.start(worker.slot, worker.role)

    async def keep() -> None:
        while True:
            for worker in list(crew.now.values()):
                mend(worker)
            await asyncio.sleep(0.2)

    keeping = asyncio.create_task(keep())
    try:
        yield codes
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def jvm(kafka: EmbeddedKafka) -> int:
    """The process of the broker."""
    assert kafka._guard is not None
    (pid,) = [p for p in descendants(kafka._guard.pid) if b"kafka.Kafka" in Path(f"/proc/{p}/cmdline").read_bytes()]
    return pid


def said(crew: Crew, slot: int) -> int:
    """How often a worker has missed the broker."""
    return (crew.settings.data_dir / f"fold-{slot}.log").read_text(encoding="utf-8").count(SILENCE)


async def everybody_reads(crew: Crew) -> None:
    """Wait until each worker has partitions."""

    async def shared() -> bool:
        return all([await cursors(crew.now["fold", slot].metrics) for slot in SLOTS])

    await eventually(shared, 60, "every worker has partitions")


async def stand_still(kafka: EmbeddedKafka, crew: Crew) -> None:
    """Stop the broker for longer than a session and a request live, and kill a worker inside; it starts again there."""
    heard, pid = said(crew, 1), jvm(kafka)
    os.kill(pid, signal.SIGSTOP)
    try:
        crew.now["fold", 0].process.kill()
        # In the short form beyond the session (6 s) and the watchdog's question (10 s); in the long one beyond the
        # clients' request time-out (40 s) too.
        misses = SCALE.rounds(1, 3)
        await eventually(lambda: said(crew, 1) >= heard + misses, 30 * misses, "the other worker misses the broker")
    finally:
        os.kill(pid, signal.SIGCONT)


async def kill_and_restart(kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill -9 the broker, wait for its end, start it again on the same files and ports."""
    port, pid = int(kafka.bootstrap_servers.rpartition(":")[2]), jvm(kafka)
    (other,) = embedded_kafka._free_ports(1)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not alive(pid))
    await kafka.stop()
    with monkeypatch.context() as patch:
        patch.setattr(embedded_kafka, "_free_ports", lambda _: [port, other])
        await kafka.start()


async def test_the_broker_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP with a worker killed inside, then kill -9: workers go on, or end with a code and start again."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    async with broker(tmp_path) as kafka:
        settings = settings_on(kafka.bootstrap_servers, tmp_path, session_timeout=6.0)
        await topics.create(settings)
        await system_record.confirm(settings)
        log = Log(settings, Load(SCALE.seed, settings.partitions))
        async with crew_of(settings, memory="small", fetch="24000", slow="0.02") as crew, supervised(crew) as codes:
            crew.start(0, "merge")
            for slot in SLOTS:
                crew.start(slot)
            for _ in range(SCALE.rounds(1, 3)):
                await everybody_reads(crew)
                before = await log.published()
                await log.write(2_000)
                await log.something_more(before)
                await stand_still(kafka, crew)
                await log.write(1_000)
                await exact(settings)
                await everybody_reads(crew)
                before = await log.published()
                await log.write(2_000)
                await log.something_more(before)
                await kill_and_restart(kafka, monkeypatch)
                await log.finish()
                await exact(settings)
            assert {code for code in codes if code not in {1, -signal.SIGKILL}} == set()
