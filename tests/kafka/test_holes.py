"""What gets lost on its way comes all the same, on a real broker, also if nothing comes behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from sendledger.agents.driver import BatchApp
from sendledger.agents.fetched import Batch
from sendledger.agents.transport import BatchConsumer
from sendledger.config import Settings
from sendledger.edges.kafka import admin
from tests.support.driving import Notebook, numbered, reading
from tests.support.folding import write
from tests.support.kafka import eventually


@pytest.mark.parametrize("packed", [True, False])
async def test_a_lost_tail_is_read_again(
    shared_kafka: Settings,
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,  # noqa: FBT001 — a parameter
) -> None:
    """The last batches of all partitions get lost, and nothing is written behind them."""
    kept = BatchApp._take
    lost: list[TopicPartition] = []

    async def forgetful(self: BatchApp, batch: Batch) -> None:
        if batch.next == 50 and batch.tp not in lost:
            lost.append(batch.tp)
        else:
            await kept(self, batch)

    monkeypatch.setattr(BatchApp, "_take", forgetful)
    await write(shared_kafka, numbered(50))
    owner = Notebook()
    async with reading(shared_kafka, owner, packed=packed) as app:
        await eventually(lambda: owner.count == 50 * 16)
        assert (app.holes.mended, len(lost)) == (16, 16)
    assert all(notes == list(range(50)) for notes in owner.notes.values())


@pytest.fixture
async def one(shared_kafka: Settings) -> AsyncIterator[str]:
    """A topic of one partition, so that one of two workers has none; with 20 records."""
    name = "one-partition"
    async with admin(shared_kafka.kafka) as client:
        await client.create_topics([NewTopic(name, 1, 1)])
        await write(shared_kafka, numbered(20, name, partitions=1))
        yield name
        await client.delete_topics([name])


async def test_faust_clears_nothing_that_was_read_for_us(
    shared_kafka: Settings, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that had no partition inherits one: nothing of it comes until Faust has cleared its queues."""
    kept, too_early = BatchConsumer.perform_seek, []

    async def and_then_wait(self: BatchConsumer) -> None:
        await kept(self)
        with contextlib.suppress(TimeoutError):  # for longer than Faust sleeps without a partition
            await asyncio.wait_for(asyncio.Event().wait(), 2.0)
        too_early.append(owners[heir].count)

    owners, ends = (Notebook(), Notebook()), (AsyncExitStack(), AsyncExitStack())
    async with ends[0], ends[1]:
        apps = [
            await end.enter_async_context(reading(shared_kafka, owner, one))
            for end, owner in zip(ends, owners, strict=True)
        ]
        await eventually(lambda: sorted(len(app.done) for app in apps if app.ready.is_set()) == [0, 1])
        heir = 1 if apps[0].done else 0
        monkeypatch.setattr(BatchConsumer, "perform_seek", and_then_wait)
        await ends[1 - heir].aclose()
        await eventually(lambda: owners[heir].count == 20)
        assert (too_early, apps[heir].holes.mended) == ([0], 0)
    assert owners[heir].notes == {TopicPartition(one, 0): list(range(20))}
