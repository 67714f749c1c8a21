"""Writes many records at once: one batch for each topic partition, all acknowledged before it returns.

aiokafka makes a future a record in `send`; where thousands go at a time, filling its batches oneself is several times
cheaper. The producer has to wait for all in-sync replicas (`edges.kafka.producer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

MAX_BATCH_BYTES = 768 * 1024
"""For the producer's `max_batch_size`: below the broker's max.message.bytes (1 MiB)."""


class Outgoing(NamedTuple):
    """One record and where it goes."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012 — never changed; a tuple would be refused by aiokafka


async def publish(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> None:
    """Write the records, those of one topic partition in their order. Returns once all are acknowledged.

    Errors: KafkaError; some of the records may then be on the log.
    """
    acknowledgements: list[Any] = []
    open_batches: dict[tuple[str, int], Any] = {}
    for topic, partition, key, value, headers in records:
        place = topic, partition
        batch = open_batches.get(place)
        if batch is not None and batch.append(timestamp=None, key=key, value=value, headers=headers) is not None:
            continue
        if batch is not None:
            acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
        batch = open_batches[place] = producer.create_batch()
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            raise ValueError(f"a record for {topic} is larger than a batch")
    for (topic, partition), batch in open_batches.items():
        acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*acknowledgements)
