"""The journal's two ends: writing claims and answers, many at a time; and reading the journal as it grows.

A partition of the journal mostly grows by what its owner writes. What is acknowledged is known with its offset, and is
folded at once if everything before it has been read (`Partition.wrote`); the reader then goes on behind it. So it is
for what others wrote that the reader is there, and each of its fetches may take its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sendledger.agents.sender_partition import JOURNAL, Partition, Read, Written
from sendledger.edges.clocks import BrokerClock, utc_now
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.publisher import MAX_BATCH_BYTES
from sendledger.edges.record_batch import Packer
from sendledger_schemas.envelope import HEADERS, encode_each
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import API_RESPONSES

SOURCE = "sendledger/sender"
UNHURRIED = {"fetch_max_wait_ms": 200, "fetch_min_bytes": 1 << 20}
"""For the reader's consumer: each fetch costs half a millisecond, here and at the broker, however little it brings."""

_POLL_MS = 100
_AT_ONCE = 1_000


class Entry(NamedTuple):
    """One event to write to a partition of the journal; `name` is its id."""

    topic: str
    partition: int
    key: str
    name: str
    data: Data


Told = Callable[[str, int, Sequence[Read]], None]
"""Is told the records of one batch that is on the log: topic, partition, records."""


class _Batch(NamedTuple):
    """`written`: (key, value) of each record."""

    topic: str
    partition: int
    packer: Packer
    written: list[tuple[bytes, bytes]]


class JournalWriter:
    """Writes entries; what returns is on all in-sync replicas. An error is final: the process has to end.

    `told`: of each batch, before who wrote it knows. `most_bytes`: of a batch before it is compressed.
    """

    def __init__(self, producer: AIOKafkaProducer, broker: BrokerClock, *, most_bytes: int = MAX_BATCH_BYTES) -> None:
        self._producer = producer
        self._most_bytes = most_bytes
        self._broker = broker
        self.told: Told = lambda _topic, _partition, _records: None
        self._waiting: list[tuple[Entry, Callable[[int], None]]] = []
        self._wake = asyncio.Event()

    async def write(self, entries: Sequence[Entry]) -> list[int]:
        """Write these now, one batch for each topic partition; their offsets, in the order of the entries."""
        pending = await self.send(entries)
        return await pending

    async def send(self, entries: Sequence[Entry]) -> asyncio.Future[list[int]]:
        """Hand these to the producer; the future has their offsets once they are acknowledged."""
        values = encode_each([(entry.name, entry.data) for entry in entries], source=SOURCE, time=utc_now())
        batches: list[_Batch] = []
        open_: dict[tuple[str, int], int] = {}
        places: list[tuple[int, int]] = []
        for entry, value in zip(entries, values, strict=True):
            key, place = entry.key.encode(), (entry.topic, entry.partition)
            number = open_.get(place)
            if number is None or not self._append(batches[number], key, value):
                number = open_[place] = len(batches)
                batches.append(_Batch(*place, Packer(self._most_bytes), []))
                if not self._append(batches[number], key, value):
                    raise ValueError("an event of the journal is larger than a batch")
            places.append((number, len(batches[number].written) - 1))
        sent = [
            await self._producer.send_batch(one.packer.batch(), one.topic, partition=one.partition) for one in batches
        ]
        return asyncio.ensure_future(self._acknowledged(batches, sent, places))

    @staticmethod
    def _append(batch: _Batch, key: bytes, value: bytes) -> bool:
        if not batch.packer.append(key, value, HEADERS):
            return False
        batch.written.append((key, value))
        return True

    async def _acknowledged(
        self, batches: Sequence[_Batch], sent: Sequence[asyncio.Future[Any]], places: Sequence[tuple[int, int]]
    ) -> list[int]:
        first: list[int] = []
        for batch, written in zip(batches, await asyncio.gather(*sent), strict=True):
            self._broker.saw(written.timestamp)
            first.append(written.offset)
            if min(written.offset, written.timestamp) >= 0:  # else it is not known what the broker did with it
                records = [
                    Written(offset, written.timestamp, *pair)
                    for offset, pair in enumerate(batch.written, written.offset)
                ]
                self.told(batch.topic, batch.partition, records)
        return [first[number] + behind for number, behind in places]

    def hand_over(self, entry: Entry, done: Callable[[int], None]) -> None:
        """Write one entry along with those of others; `done` gets its offset once it is acknowledged.

        `run` must be running; what `done` raises ends it.
        """
        self._waiting.append((entry, done))
        self._wake.set()

    async def add(self, entry: Entry) -> int:
        """As `hand_over`, for who has to wait: its offset."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.hand_over(entry, partial(_resolve, written))
        return await written

    async def run(self) -> None:
        """Write what is added, all that waits in one go; while one round is on its way the next one gathers."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            offsets = await self.write([entry for entry, _ in waiting])
            for (_, done), offset in zip(waiting, offsets, strict=True):
                done(offset)


def _resolve(written: asyncio.Future[int], offset: int) -> None:
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
        self._positions: dict[TopicPartition, int] = {}
        self._changed = asyncio.Event()
        self._assigned = False

    def wrote(self, topic: str, number: int, records: Sequence[Read]) -> None:
        """A batch of ours is on the log. Errors: as `Partition.apply`."""
        partition = self._partitions.get(number) if topic in JOURNAL else None
        if partition is not None and partition.wrote(topic, records):
            if topic == API_RESPONSES:
                self._strike("cursor_moved")
            self._moved.set()

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
            self._pass_over()
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            for place, records in fetched.items():
                partition = self._partitions.get(place.partition)
                if partition is None or self._changed.is_set():
                    continue  # not ours any more, or about to be read again from its cursor
                self._positions[place] = records[-1].offset + 1
                partition.apply(place.topic, records)
                if place.topic == API_RESPONSES:
                    self._strike("cursor_moved")
                self._broker.saw(records[-1].timestamp)
                self._moved.set()
                await asyncio.sleep(0)  # a long batch must not hold up the calls in flight

    def _pass_over(self) -> None:
        """Go on behind what was folded when it was acknowledged; what was fetched of it is dropped as it is."""
        for number, partition in self._partitions.items():
            for topic in JOURNAL:
                place, cursor = TopicPartition(topic, number), partition.cursors[topic]
                if cursor > self._positions.get(place, cursor):
                    self._consumer.seek(place, cursor)
                    self._positions[place] = cursor

    def _reassign(self) -> None:
        self._changed.clear()
        cursors = {
            TopicPartition(topic, number): partition.cursors[topic]
            for number, partition in self._partitions.items()
            for topic in JOURNAL
        }
        self._assigned = bool(cursors)
        self._positions = cursors
        if cursors:
            self._consumer.assign(list(cursors))
            for place, offset in cursors.items():
                self._consumer.seek(place, offset)
