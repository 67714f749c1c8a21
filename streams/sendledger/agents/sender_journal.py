"""The journal's two ends: writing claims and answers, many at a time; and reading the journal as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sendledger.agents.sender_partition import JOURNAL, Partition
from sendledger.edges.clocks import BrokerClock, utc_now
from sendledger.edges.failpoints import Failpoint
from sendledger_schemas.envelope import HEADERS, encode_each
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import API_RESPONSES

SOURCE = "sendledger/sender"
_POLL_MS = 100
_AT_ONCE = 1_000


class Entry(NamedTuple):
    """One event to write to a partition of the journal; `name` is its id."""

    topic: str
    partition: int
    key: str
    name: str
    data: Data


class JournalWriter:
    """Writes entries; what returns is on all in-sync replicas. An error is final: the process has to end."""

    def __init__(self, producer: AIOKafkaProducer, broker: BrokerClock) -> None:
        self._producer = producer
        self._broker = broker
        self._waiting: list[tuple[Entry, asyncio.Future[int]]] = []
        self._wake = asyncio.Event()

    async def write(self, entries: Sequence[Entry]) -> list[int]:
        """Write these now, one batch for each topic partition; their offsets, in the order of the entries."""
        pending = await self.send(entries)
        return await pending

    async def send(self, entries: Sequence[Entry]) -> asyncio.Future[list[int]]:
        """Hand these to the producer; the future has their offsets once they are acknowledged."""
        values = encode_each([(entry.name, entry.data) for entry in entries], source=SOURCE, time=utc_now())
        batches: dict[tuple[str, int], list[Any]] = {}
        places: list[tuple[list[Any], int]] = []
        for entry, value in zip(entries, values, strict=True):
            batch = batches.setdefault((entry.topic, entry.partition), [])
            if not batch or not self._append(batch[-1], entry.key, value):
                batch.append(self._producer.create_batch())
                if not self._append(batch[-1], entry.key, value):
                    raise ValueError("an event of the journal is larger than a batch")
            places.append((batch, len(batch) - 1))
        sent: dict[int, list[Any]] = {}
        for (topic, partition), batch in batches.items():
            sent[id(batch)] = [await self._producer.send_batch(part, topic, partition=partition) for part in batch]
        return asyncio.ensure_future(self._acknowledged(places, sent))

    @staticmethod
    def _append(batch: Any, key: str, value: bytes) -> bool:
        return batch.append(timestamp=None, key=key.encode(), value=value, headers=HEADERS) is not None

    async def _acknowledged(self, places: list[tuple[list[Any], int]], sent: dict[int, list[Any]]) -> list[int]:
        futures = [future for parts in sent.values() for future in parts]
        for written in await asyncio.gather(*futures):
            self._broker.saw(written.timestamp)
        following: dict[tuple[int, int], int] = {}
        offsets = []
        for batch, part in places:
            place = id(batch), part
            behind = following.get(place, 0)
            following[place] = behind + 1
            offsets.append(sent[id(batch)][part].result().offset + behind)
        return offsets

    async def add(self, entry: Entry) -> int:
        """Write one entry along with those of others; its offset. `run` must be running."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, written))
        self._wake.set()
        return await written

    async def run(self) -> None:
        """Write what is added, all that waits in one go; while one round is on its way the next one gathers."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            try:
                offsets = await self.write([entry for entry, _ in waiting])
            except BaseException as error:
                for _, written in waiting:
                    if not written.done():
                        written.cancel()
                raise error from None
            for (_, written), offset in zip(waiting, offsets, strict=True):
                if not written.done():
                    written.set_result(offset)


class JournalReader:
    """Follows attempts, responses and decisions of the partitions that are ours, each from its own cursor.

    `moved` is set whenever a partition has. `strike`: see `failpoints`.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, broker: BrokerClock, moved: asyncio.Event, strike: Failpoint
    ) -> None:
        self._consumer = consumer
        self._broker = broker
        self._moved = moved
        self._strike = strike
        self._partitions: Mapping[int, Partition] = {}
        self._changed = asyncio.Event()
        self._assigned = False

    def follow(self, partitions: Mapping[int, Partition]) -> None:
        """From now on these, and no others."""
        self._partitions = dict(partitions)
        self._changed.set()

    async def run(self) -> None:
        """Read until cancelled; errors end it."""
        while True:
            if self._changed.is_set():
                self._reassign()
            if not self._assigned:
                await self._changed.wait()
                continue
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            for place, records in fetched.items():
                partition = self._partitions.get(place.partition)
                if partition is None or self._changed.is_set():
                    continue  # not ours any more, or about to be read again from its cursor
                partition.apply(place.topic, records)
                if place.topic == API_RESPONSES:
                    self._strike("cursor_moved")
                self._broker.saw(records[-1].timestamp)
                self._moved.set()
                await asyncio.sleep(0)  # a long batch must not hold up the calls in flight

    def _reassign(self) -> None:
        self._changed.clear()
        cursors = {
            TopicPartition(topic, number): partition.cursors[topic]
            for number, partition in self._partitions.items()
            for topic in JOURNAL
        }
        self._assigned = bool(cursors)
        if cursors:
            self._consumer.assign(list(cursors))
            for place, offset in cursors.items():
                self._consumer.seek(place, offset)
