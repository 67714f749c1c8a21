"""A worker whose state is gone, spoiled, or of something else: it folds the log again, and no number is ever wrong."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.admin import DeleteGroupsRequest

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.edges.kafka import admin, consumer
from sendledger.edges.rocksdb import DamagedStoreError, StoreError
from sendledger.edges.state_store import StateStore
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import FOLD_SOURCES
from tests.support import damage
from tests.support.chaos import Scale
from tests.support.chaos_load import Load
from tests.support.exactness import exact, restarted
from tests.support.folding import role, write
from tests.support.kafka import eventually

SCALE = Scale()
SEEDS = [SCALE.seed + number for number in range(SCALE.rounds(1, 12))]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "Memory", damage.small)


@pytest.fixture
async def merging(shared_kafka: Settings) -> AsyncIterator[Settings]:
    """Settings of a system whose merge runs all the time."""
    async with role(merge.serve, shared_kafka):
        yield shared_kafka


async def ends_of(settings: Settings, partition: int) -> dict[str, int]:
    """The offset after the last record of each source topic."""
    async with consumer(settings.kafka) as asker:
        ends = await asker.end_offsets([TopicPartition(topic, partition) for topic in FOLD_SOURCES])
    return {place.topic: end for place, end in ends.items()}


async def forget_group(settings: Settings) -> None:
    """Delete the group of the fold with all its committed offsets."""
    async with admin(settings.kafka) as client:
        answer = await client._send_request(DeleteGroupsRequest([fold.GROUP]))
        assert answer.results == [(fold.GROUP, 0)]
        assert await client.list_consumer_group_offsets(fold.GROUP) == {}


async def test_group_offsets_are_deleted(merging: Settings) -> None:
    """Offsets that nobody has cost nothing and change nothing: the state has its own."""
    load = Load(SCALE.seed, merging.partitions)
    await write(merging, load.portion(1_500))
    async with role(fold.serve, merging):
        await exact(merging)
    await forget_group(merging)
    await write(merging, load.rest())
    async with role(fold.serve, merging):
        await exact(merging)


async def test_what_is_folded_reaches_the_disk_in_time(shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little it is and however long the worker runs: a kill -9 would find it, and retention cannot pass it."""
    monkeypatch.setattr(fold, "KEEP_EVERY", 0.2)
    await write(shared_kafka, Load(SCALE.seed, shared_kafka.partitions).portion(300))
    ends = [await ends_of(shared_kafka, partition) for partition in range(shared_kafka.partitions)]
    copy = shared_kafka.data_dir / "copy"

    def left() -> list[dict[str, int]]:
        """The cursors that a kill -9 would leave now; none where RocksDB replaces a file under the copy."""
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(shared_kafka.data_dir / "fold-0", copy)
            stores = [StateStore(copy / f"p{partition}", damage.small()) for partition in range(len(ends))]
        except (shutil.Error, StoreError):
            return []
        for store in stores:
            store.close()
        return [store.cursor for store in stores]

    async with role(fold.serve, shared_kafka):
        await eventually(lambda: left() == ends, what="all of it would survive")


async def test_state_of_something_else(merging: Settings) -> None:
    """Each partition gets a state that is not its own, and each of them says that it has folded everything.

    Of an older and of a newer fold_version, of another log, of another partition, of a log that went further, gone,
    and one that began and never got on.
    """
    load, slot = Load(SCALE.seed, merging.partitions), merging.data_dir / "fold-0"
    await write(merging, load.portion(1_500))
    async with role(fold.serve, merging):
        await exact(merging)
    early = Path(shutil.copytree(slot, merging.data_dir / "early"))
    await write(merging, load.portion(1_500))
    async with role(fold.serve, merging):
        await exact(merging)
    await write(merging, load.portion(1_500))
    ends = [await ends_of(merging, partition) for partition in range(merging.partitions)]
    others = dict.fromkeys(FOLD_SOURCES, "another-topic-id-22-ch")
    foreign: list[dict[str, Any]] = [
        {"fold_version": FOLD_VERSION - 1},
        {"fold_version": FOLD_VERSION + 1},
        {"topic_ids": others},
    ]
    for partition, over in enumerate(foreign):
        damage.restore(early / f"p{partition}", slot / f"p{partition}")
        damage.identify(slot / f"p{partition}", ends[partition], **over)
    damage.swap(slot / "p3", slot / "p4")
    damage.identify(slot / "p5", {topic: end + 1 for topic, end in ends[5].items()})
    shutil.rmtree(slot / "p6")
    shutil.rmtree(slot / "p7")
    (slot / "p7").mkdir()
    async with role(fold.serve, merging):
        await write(merging, load.rest())
        await exact(merging)


@pytest.mark.parametrize("seed", SEEDS)
async def test_files_of_the_state_are_spoiled(merging: Settings, seed: int) -> None:
    """Files deleted, emptied, cut or changed: the worker goes on, or ends with an error and then folds anew."""
    chance, load, slot = random.Random(seed), Load(seed, merging.partitions), merging.data_dir / "fold-0"
    await write(merging, load.portion(4_000))
    async with role(fold.serve, merging):
        await exact(merging)
    what = [damage.spoil(slot / f"p{partition}", chance) for partition in range(merging.partitions)]
    await write(merging, load.rest())
    goal: Callable[[], object] = lambda: exact(merging)  # noqa: E731
    errors = await restarted(fold.serve, merging, goal, allowed=(DamagedStoreError,))
    print(f"seed {seed}: {what}; the worker ended {len(errors)} times")  # noqa: T201
