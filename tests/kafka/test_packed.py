"""The batch driver with packed batches on a real broker: what is in them is wanted once, wherever reading begins."""

from __future__ import annotations

from aiokafka import TopicPartition

from sendledger.config import Settings
from tests.support.driving import TOPICS, Notebook, numbered, reading
from tests.support.folding import write
from tests.support.kafka import eventually

ALL = [TopicPartition(topic, partition) for topic in TOPICS for partition in range(8)]


async def test_every_record_once_and_in_order_packed(shared_kafka: Settings) -> None:
    """All records of all partitions, without a gap or a repeat, many to a batch, before and after a restart."""
    await write(shared_kafka, numbered(500))
    owner = Notebook()
    async with reading(shared_kafka, owner, packed=True):
        await eventually(lambda: owner.count == 500 * 16)
        await write(shared_kafka, numbered(10))
        await eventually(lambda: owner.count == 510 * 16)
    assert sum(batch.count for batch in owner.packed) == 510 * 16
    assert len(owner.packed) < 510 * 16 / 10
    await write(shared_kafka, numbered(10))
    async with reading(shared_kafka, owner, packed=True) as app:
        await eventually(lambda: owner.count == 520 * 16)
        assert app.holes.mended == 0
    assert owner.notes == {tp: list(range(520)) for tp in ALL}


async def test_a_cursor_in_the_middle_of_a_batch(shared_kafka: Settings) -> None:
    """The broker gives the batch whole: what comes before the cursor is there, and is not wanted again."""
    await write(shared_kafka, numbered(50))
    cursors = {tp: 1 + 3 * number for number, tp in enumerate(ALL)}
    owner = Notebook(cursors)
    async with reading(shared_kafka, owner, packed=True) as app:
        await eventually(lambda: owner.count == sum(50 - first for first in cursors.values()))
        assert app.holes.mended == 0
        assert app.done == dict.fromkeys(ALL, 50)
    assert owner.notes == {tp: list(range(first, 50)) for tp, first in cursors.items()}
    assert any(batch.base < batch.first for batch in owner.packed)
