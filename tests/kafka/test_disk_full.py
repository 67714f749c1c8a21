"""No space left for the state: the worker ends with a code and says so; with space all numbers are right."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendledger.agents import merge
from sendledger.config import Settings
from tests.support.chaos import Log, Scale, crew_of
from tests.support.chaos_load import Load
from tests.support.disk import Disk
from tests.support.exactness import exact
from tests.support.folding import role
from tests.support.kafka import eventually

SCALE = Scale()


@pytest.fixture
def disk(shared_kafka: Settings) -> Iterator[Disk]:
    """The disk of worker 0's states, full after a few megabytes. Skips where nothing can be mounted."""
    found = Disk(shared_kafka.data_dir / "worker-0" / "fold-0")
    if reason := found.mount("2m"):
        pytest.skip(f"NOT TESTED, a full disk: no small file system can be mounted here ({reason})")
    yield found
    found.unmount()


async def test_the_disk_of_the_state_is_full(shared_kafka: Settings, disk: Disk) -> None:
    """It ends with code 1 and names the disk, again at each start; with space it is current, from its state or anew."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    log = Log(shared_kafka, Load(SCALE.seed, shared_kafka.partitions))
    told = shared_kafka.data_dir / "fold-0.log"
    async with role(merge.serve, shared_kafka), crew_of(shared_kafka, memory="small") as crew:
        await log.write(6_000)
        worker = crew.start(0)

        async def ended() -> bool:
            if await log.published() >= log.events // 8:  # it has begun, and still has space
                await log.write(1_000)
            return not worker.alive

        await eventually(ended, 60, "the disk is full")
        assert await crew.end(0) == 1
        assert "No space left on device" in told.read_text(encoding="utf-8")
        before = len(told.read_text(encoding="utf-8"))
        fill(disk.path)
        assert await asyncio.to_thread(crew.start(0).process.wait, 30) == 1
        assert "No space left on device" in told.read_text(encoding="utf-8")[before:]
        await crew.end(0)
        disk.grow("256m")
        crew.start(0)
        await log.finish()
        await exact(shared_kafka)
        assert await crew.end(0, 15) == 0


def fill(path: Path) -> None:
    """Take the last free byte."""
    left = shutil.disk_usage(path).free
    (path / "ballast").write_bytes(bytes(left))
