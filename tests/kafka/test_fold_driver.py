"""The batch driver on a real broker: every record once, in order, from one's own cursors; what cannot be, ends it."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

from sendledger.agents import watchdog
from sendledger.agents.alignment import NotColocatedError
from sendledger.agents.driver import BatchApp
from sendledger.agents.fetched import Batch
from sendledger.agents.transport import LogChangedError
from sendledger.config import Settings
from sendledger.edges.kafka import admin, connection, consumer
from sendledger.edges.position_metrics import Seen
from sendledger_schemas.topics import API_RESPONSES, CAMPAIGNS, SEND_REQUESTS
from tests.support.driving import TOPICS, Notebook, numbered, reading
from tests.support.folding import write
from tests.support.kafka import eventually


async def test_every_record_once_and_in_order(shared_kafka: Settings) -> None:
    """All records of all partitions, without a gap or a repeat."""
    await write(shared_kafka, numbered(500))
    owner = Notebook()
    async with reading(shared_kafka, owner):
        await eventually(lambda: owner.count == 500 * 16)
        await write(shared_kafka, numbered(10))
        await eventually(lambda: owner.count == 510 * 16)
    assert all(notes == list(range(510)) for notes in owner.notes.values())


async def test_committed_offsets_are_only_a_hint(shared_kafka: Settings) -> None:
    """What the group has committed is told to those who watch, and is never where reading starts."""
    await write(shared_kafka, numbered(20))
    first = TopicPartition(SEND_REQUESTS, 0)
    async with consumer(shared_kafka.kafka, group_id="driver-test") as liar:
        liar.assign([first])
        await liar.commit({first: OffsetAndMetadata(15, "")})
    owner = Notebook({first: 5})
    async with reading(shared_kafka, owner):
        await eventually(lambda: owner.count == 20 * 16 - 5)
        async with consumer(shared_kafka.kafka, group_id="driver-test") as watcher:
            watcher.assign([first])

            async def told() -> bool:
                return bool(await watcher.committed(first) == 20)

            await eventually(told, what="the cursor is committed as a hint")
    assert owner.notes[first] == list(range(5, 20))


async def test_a_hole_is_mended(shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that get lost between the fetcher and us, as at a rebalance, are read again from the cursor."""
    lost: list[Batch] = []
    kept = BatchApp._take

    async def forgetful(self: BatchApp, batch: Batch) -> None:
        if len(lost) < 3:
            lost.append(batch)
        else:
            await kept(self, batch)

    monkeypatch.setattr(BatchApp, "_take", forgetful)
    owner = Notebook()
    await write(shared_kafka, numbered(50))
    async with reading(shared_kafka, owner) as app:
        await eventually(lambda: len(lost) == 3)
        await write(shared_kafka, numbered(1))  # a hole shows when something comes behind it
        await eventually(lambda: owner.count == 51 * 16)
        assert app.holes.mended >= 1
    assert all(notes == list(range(51)) for notes in owner.notes.values())


async def test_a_cut_behind_the_cursor_ends_it(shared_kafka: Settings) -> None:
    """Retention that takes records which were not read yet is an error, not a quiet jump."""
    await write(shared_kafka, numbered(20))
    owner = Notebook()
    owner.gate.clear()
    tp = TopicPartition(SEND_REQUESTS, 0)

    async def cut() -> None:
        async with reading(shared_kafka, owner) as app:
            await write(shared_kafka, numbered(40))
            async with admin(shared_kafka.kafka) as client:
                await client.delete_records({tp: RecordsToDelete(before_offset=60)})
            await app._consumer.seek_all({tp: 60})  # as if the fetcher had jumped there
            app.holes.expected[tp] = app._consumer._thread.chain[tp][0], 20
            await write(shared_kafka, numbered(1))
            owner.gate.set()
            await eventually(app._failed.done)

    with pytest.raises(LogChangedError, match="was cut at 60"):
        await cut()


async def test_an_error_of_the_owner_ends_it(shared_kafka: Settings) -> None:
    """Faust would acknowledge and go on; here the error comes out of `run`, and nothing after it is handed on."""
    await write(shared_kafka, numbered(20))
    owner = Notebook()
    owner.error = OSError("no space left on device")
    with pytest.raises(OSError, match="no space"):
        async with reading(shared_kafka, owner) as app:
            await eventually(app._failed.done)
    assert owner.count == 0


async def test_topics_with_different_partitions_are_refused(shared_kafka: Settings) -> None:
    """Topics whose partitions cannot be on one worker together stop it at the assignment."""
    with pytest.raises(NotColocatedError):
        async with reading(shared_kafka, Notebook(), SEND_REQUESTS, CAMPAIGNS) as app:
            await eventually(app._failed.done)


async def test_three_workers_share_out_whole_partitions(shared_kafka: Settings) -> None:
    """Faust's own assignor: the same partitions of every topic on one worker, with two and three workers too."""
    topics = (*TOPICS, API_RESPONSES)
    await write(shared_kafka, numbered(20, *topics))
    owners = [Notebook(), Notebook(), Notebook()]
    async with (
        reading(shared_kafka, owners[0], *topics) as one,
        reading(shared_kafka, owners[1], *topics) as two,
        reading(shared_kafka, owners[2], *topics) as three,
    ):
        apps = (one, two, three)

        def shared() -> bool:
            counts = [len(app.done) for app in apps]
            return sum(counts) == 24 and min(counts) > 0

        await eventually(shared, what="each worker has partitions")
        for app in apps:
            partitions = {tp.partition for tp in app.done}
            assert set(app.done) == {TopicPartition(topic, p) for topic in topics for p in partitions}
        await write(shared_kafka, numbered(5, *topics))
        ends = {TopicPartition(topic, p): 25 for topic in topics for p in range(8)}
        await eventually(lambda: {tp: at for app in apps for tp, at in app.done.items()} == ends)
    for owner in owners:
        assert all(notes == list(range(len(notes))) for notes in owner.notes.values())


async def test_the_watchdog_ends_a_worker_that_reads_nothing(shared_kafka: Settings) -> None:
    """Alive, assigned, something to read, and no step for longer than the patience."""
    owner = Notebook()
    owner.gate.clear()
    seen: list[Seen] = []

    async def stall() -> None:
        async with reading(shared_kafka, owner) as app:
            link = connection(shared_kafka.kafka)
            watching = asyncio.create_task(watchdog.watch(app, link, seen.append, every=0.1, patience=0.5))
            await eventually(lambda: seen)
            assert not app._failed.done()
            await write(shared_kafka, numbered(5))
            await eventually(app._failed.done)
            owner.gate.set()
            watching.cancel()

    with pytest.raises(watchdog.StalledError):
        await stall()
    places = [TopicPartition(topic, 0) for topic in TOPICS]
    assert any(sum(one.ends[p] - one.cursors[p] for p in places if p in one.ends) == 10 for one in seen)
    assert any(one.ages.keys() >= set(places) and all(0 <= age < 60 for age in one.ages.values()) for one in seen)
