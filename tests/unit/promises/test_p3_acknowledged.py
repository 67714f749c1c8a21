"""P3: of what was handed to Kafka only that counts as durable whose acknowledgement came, in time and without error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import NotEnoughReplicasError

from sendledger.edges.receiver_kafka import KafkaLink
from sendledger.edges.record import Record


class _Batch:
    def append(self, **_fields: Any) -> object:
        """There is room."""
        return object()


class Scripted:
    """A producer whose flights end as told, by partition; what is not told of never ends."""

    def __init__(self, ends: dict[int, object]) -> None:
        self.ends = ends

    def create_batch(self) -> _Batch:
        """A batch with room for all."""
        return _Batch()

    async def send_batch(self, _batch: _Batch, _topic: str, *, partition: int) -> asyncio.Future[object]:
        """A flight."""
        flight: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        match self.ends.get(partition):
            case None:
                pass
            case Exception() as error:
                flight.set_exception(error)
            case "cancelled":
                flight.cancel()
            case position:
                flight.set_result(position)
        return flight


async def acknowledged(ends: dict[int, object]) -> set[int]:
    """Which of four records, one a partition, count as durable."""
    make = cast("Callable[[], AIOKafkaProducer]", lambda: None)
    link = KafkaLink(make, {}, cast("Callable[[], Awaitable[None]]", None))
    link._producers = [cast("AIOKafkaProducer", Scripted(ends))]
    return await link.send([Record("t", number, b"k", b"v") for number in range(4)], seconds=0.05)


@pytest.mark.parametrize(
    ("ends", "durable"),
    [
        ({0: 7, 1: 8, 2: 9, 3: 10}, {0, 1, 2, 3}),
        ({0: 7, 1: NotEnoughReplicasError(), 2: 9, 3: 10}, {0, 2, 3}),
        ({0: 7, 1: "cancelled", 3: NotEnoughReplicasError()}, {0}),
        ({}, set()),
    ],
)
async def test_only_an_acknowledgement_makes_durable(ends: dict[int, object], durable: set[int]) -> None:
    """P3: an error, a cancelled flight and silence are no acknowledgement; the others of the round keep theirs."""
    assert await acknowledged(ends) == durable
