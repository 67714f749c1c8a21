"""A worker that is alive and consumes nothing: it ends itself with an error, and its supervisor brings it back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process

import pytest

from sendledger.config import Settings
from sendledger.edges.supervisor import Program, Supervisor
from tests.support.chaos import Crew, Log, Scale, caught_up, crew_of, cursors
from tests.support.chaos_load import Load
from tests.support.chaos_truth import judge
from tests.support.kafka import eventually

SCALE = Scale()
BLOCKS = {"fetch": "StalledError", "batch": "StalledError", "loop": "Timeout"}
"""What stands still, and what the worker's last words are."""
TOGETHER = tuple(BLOCKS)
PATIENCE = {} if SCALE.long else {"patience": "5"}


def program(crew: Crew, slot: int, block: str) -> Program:
    """A fold that SIGUSR1 blocks."""
    return Program(
        f"fold-{slot}",
        (sys.executable, "-m", "tests.support.chaos_worker", "fold"),
        crew.environment(slot, block=block, **PATIENCE),
        crew.settings.data_dir / f"fold-{slot}.log",
        crew.directory(slot),
    )


def process_of(supervisor: Supervisor, slot: int) -> Process:
    """What runs in a slot now."""
    process = supervisor._children[f"fold-{slot}"].process
    assert process is not None
    return process


@pytest.mark.parametrize("blocks", [*zip(BLOCKS), TOGETHER] if SCALE.long else [TOGETHER], ids="+".join)
async def test_who_consumes_nothing_is_ended_and_comes_back(shared_kafka: Settings, blocks: tuple[str, ...]) -> None:
    """Nothing is fetched, a batch does not end, the loop does not turn: exit code 1, a restart, and right numbers."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    log, slots = Log(shared_kafka, Load(SCALE.seed, shared_kafka.partitions)), dict(enumerate(blocks, 1))
    async with crew_of(shared_kafka) as crew:
        crew.start(0, "merge")
        supervisor = Supervisor()
        try:
            for slot, block in slots.items():
                await supervisor.start(program(crew, slot, block))
            for slot in slots:
                await eventually(lambda slot=slot: cursors(crew.metrics(slot)), 60, "it reads")  # type: ignore[misc]
            first = {slot: process_of(supervisor, slot) for slot in slots}
            for process in first.values():
                os.kill(process.pid, signal.SIGUSR1)
            await log.write(3_000)
            codes = await asyncio.wait_for(asyncio.gather(*(process.wait() for process in first.values())), 200)
            assert set(codes) == {1}
            await log.finish()
            await caught_up(crew, log, beside=[crew.metrics(slot) for slot in slots])
            await judge(shared_kafka, compacts=False)
            assert all(supervisor.restarts(f"fold-{slot}") for slot in slots)
        finally:
            await supervisor.stop_all()
    for slot, block in slots.items():
        assert BLOCKS[block] in (shared_kafka.data_dir / f"fold-{slot}.log").read_text()
