"""Writes many records at once: one batch for each topic partition, all acknowledged before it returns.

aiokafka makes a future a record in `send`; where thousands go at a time, filling its batches oneself is several times
cheaper. But it sends one batch a partition at a time, and never joins two: where several tasks write a few records each
to the same partition, batches of their own would queue up (measured: 30 ms instead of 8), and `send` joins them.
The producer has to wait for all in-sync replicas (`edges.kafka.producer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from sendledger.edges.record_batch import PackedBatch

MAX_BATCH_BYTES = 768 * 1024
"""For the producer's `max_batch_size`: below the broker's max.message.bytes (1 MiB)."""

_FEW = 8  # records for one partition that go by `send`


class Outgoing(NamedTuple):
    """One record and where it goes."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012 — never changed; a tuple would be refused by aiokafka


async def publish(
    producer: AIOKafkaProducer, records: Iterable[Outgoing], ready: Iterable[tuple[str, int, PackedBatch]] = ()
) -> None:
    """Write the records, those of one topic partition in their order. Returns once all are acknowledged.

    `ready`: batches that are made already, as (topic, partition, batch); they go first.
    Errors: KafkaError; some of the records may then be on the log.
    """
    acknowledgements: list[Any] = [
        await producer.send_batch(batch, topic, partition=partition) for topic, partition, batch in ready
    ]
    places: dict[tuple[str, int], list[Outgoing]] = {}
    for record in records:
        places.setdefault((record.topic, record.partition), []).append(record)
    for (topic, partition), group in places.items():
        if len(group) <= _FEW:
            sent = [await producer.send(topic, value, key, partition, headers=more) for _, _, key, value, more in group]
        else:
            made = _batches(producer, group)
            sent = [await producer.send_batch(batch, topic, partition=partition) for batch in made]
        acknowledgements += sent
    await asyncio.gather(*acknowledgements)


def _batches(producer: AIOKafkaProducer, group: Iterable[Outgoing]) -> Iterator[Any]:
    batch = producer.create_batch()
    for topic, _, key, value, headers in group:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is not None:
            continue
        yield batch
        batch = producer.create_batch()
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            raise ValueError(f"a record for {topic} is larger than a batch")
    yield batch
