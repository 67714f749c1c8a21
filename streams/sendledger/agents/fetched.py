"""What fetches return: batches of records, and for who wants them bare, without a ConsumerRecord for each.

That object alone costs more than decoding the event. aiokafka's own record (of its C extension) has all that a fold
needs; topic and partition are known from where it came.
Everything here leans on the inside of aiokafka's fetcher, as Faust's driver does; the version is pinned.
"""

# ruff: noqa: SLF001 — see above

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

_R = TypeVar("_R")


class Bare(Protocol):
    """A record without its place; `timestamp` in milliseconds."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch returned for one partition: `records`, which follow the record before offset `start`.

    `seek`: the number of the seek since which the partition is read in one go.
    """

    tp: TopicPartition
    seek: int
    start: int
    records: list[ConsumerRecord]

    @property
    def next(self) -> int:
        """The offset after the last record."""
        return int(self.records[-1].offset) + 1


class Unpacked:
    """Stands in for aiokafka's `PartitionRecords`: iterating unpacks everything, once.

    There are no transactions on our topics, and nothing is read as committed only. Errors: CorruptRecordException;
    the position then stays where it is, and the partition is fetched again.
    """

    def __init__(self, stock: PartitionRecords) -> None:
        self.next_fetch_offset: int = stock.next_fetch_offset
        self._place, self._left = stock._tp, [stock._records]

    def __iter__(self) -> Iterator[Bare]:
        return iter(self._all(self._left.pop()) if self._left else ())

    def _all(self, records: Any) -> list[Bare]:
        found: list[Bare] = []
        start = following = self.next_fetch_offset
        while records.has_next():
            batch = records.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._place}")
            if not batch.is_control_batch:
                found += batch if batch.base_offset >= start else [one for one in batch if one.offset >= start]
            following = batch.next_offset  # also where compaction has taken the last records of a batch
        self.next_fetch_offset = following
        return found


def _strip(fetcher: Fetcher) -> None:
    """Have all that was fetched and not taken yet unpacked as bare records."""
    for result in fetcher._records.values():
        if type(result) is FetchResult and type(result._partition_records) is PartitionRecords:
            result._partition_records = Unpacked(result._partition_records)


async def fetch_bare(consumer: AIOKafkaConsumer, stock: Callable[[float], Awaitable[_R]], timeout: float | None) -> _R:
    """What has come, or comes in time, unpacked as bare records. `stock`: Faust's way to get it, with its time-out.

    It returns in the same step in which `stock` gave something. Errors: those of `stock`; what the broker refuses.
    """
    fetcher = consumer._fetcher
    _strip(fetcher)
    fetched = await stock(0)
    if fetched or not timeout or fetcher._closed:
        return fetched
    waiter = fetcher._create_fetch_waiter()
    await asyncio.wait([waiter], timeout=timeout)
    if not waiter.done():
        waiter.cancel()
        return fetched
    waiter.result()
    _strip(fetcher)
    return await stock(0)
