"""Many records at once: in order, each acknowledged, and batches of one's own only where they pay."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import NotEnoughReplicasError
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.publisher import Outgoing, publish

ROOM = 20
"""Records that fit into a batch of the producer below."""


class _Batch:
    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_more: Any) -> object | None:
        if len(self.values) == ROOM:
            return None
        self.values.append(value)
        return object()


class Scripted:
    """A producer that keeps what it is given; `fails`: the partition whose acknowledgement is an error."""

    def __init__(self, fails: int | None = None) -> None:
        self.fails = fails
        self.log: dict[tuple[str, int], list[bytes]] = {}
        self.batches = 0

    def create_batch(self) -> _Batch:
        """An empty one."""
        return _Batch()

    async def send(
        self, topic: str, value: bytes, _key: bytes, partition: int, **_more: object
    ) -> asyncio.Future[object]:
        """One record."""
        return self._take(topic, partition, [value])

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> asyncio.Future[object]:
        """A whole batch."""
        self.batches += 1
        return self._take(topic, partition, batch.values)

    def _take(self, topic: str, partition: int, values: list[bytes]) -> asyncio.Future[object]:
        self.log.setdefault((topic, partition), []).extend(values)
        flight: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if partition == self.fails:
            flight.set_exception(NotEnoughReplicasError())
        else:
            flight.set_result(None)
        return flight


def published(records: list[Outgoing], fails: int | None = None) -> Scripted:
    """Publish them."""
    producer = Scripted(fails)
    asyncio.run(publish(cast("AIOKafkaProducer", producer), records))
    return producer


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=150))
def test_each_partition_gets_its_records_in_order(places: list[tuple[str, int]]) -> None:
    """Few or many, in one batch or several: nothing is lost, doubled or overtaken."""
    records = [Outgoing(topic, partition, b"k", b"%d" % n) for n, (topic, partition) in enumerate(places)]
    wanted: dict[tuple[str, int], list[bytes]] = {}
    for record in records:
        wanted.setdefault((record.topic, record.partition), []).append(record.value)
    assert published(records).log == wanted


@pytest.mark.parametrize("count", [1, 200])
def test_an_error_is_raised(count: int) -> None:
    """Of one record as of many: nothing counts as written that was not acknowledged."""
    records = [Outgoing("t", partition, b"k", b"v") for partition in (0, 1) for _ in range(count)]
    with pytest.raises(NotEnoughReplicasError):
        published(records, fails=1)


def test_a_few_records_can_share_a_batch_with_those_of_others() -> None:
    """They go one by one, for the producer to join; where there are many, batches are made of them."""
    assert published([Outgoing("t", 0, b"k", b"v")] * 3).batches == 0
    assert published([Outgoing("t", 0, b"k", b"v")] * 50).batches == 3
