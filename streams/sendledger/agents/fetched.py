"""What fetches return: batches of records, and for who wants them packed, Kafka's own record batches as they are.

An object for each record costs more than decoding the event: who folds takes the records out of the bytes itself.
Topic and partition are known from where a batch came.
Everything here leans on the inside of aiokafka's fetcher, as Faust's driver does; the version is pinned.
"""

# ruff: noqa: SLF001 — see above

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol, TypeVar, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from sendledger.edges.record_batch import COVERED, HEADER

_P = TypeVar("_P")

_FULL_NAP = 0.002  # seconds until the consumer's thread asks again whether there is room

# Kafka's message format v2. Every format has base offset, length and magic at these places.
_LENGTH = Struct(">qi")
_MAGIC = 16
_FORMAT = 2
_CODEC, _APPEND_TIME, _CONTROL = 7, 8, 32
_DECODERS: dict[int, Callable[[Any], bytes]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


class OldFormatError(Exception):
    """The log holds records in a format that Kafka 4 does not have any more."""


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


@dataclass(slots=True)
class Packed:
    """One record batch of the log, its records still packed (Kafka message format v2), and compressed while it waits.

    `first`: the first offset that is wanted: a batch may begin before the place where reading starts. `base`: the
    offset that the records count from. `offset`: of the last record. `timestamp`: the batch's latest, in milliseconds;
    with LogAppendTime that of all its records. `count`: how many records it holds, also those before `first`.
    `body`: as it was fetched, compressed with `codec` (Kafka's number, 0 = not).
    """

    first: int
    base: int
    offset: int
    timestamp: int
    count: int
    body: bytes | memoryview
    codec: int = 0

    @property
    def records(self) -> bytes:
        """The records, decompressed anew at each look: six times the memory."""
        return _DECODERS[self.codec](self.body)

    def unpacked(self) -> list[Bare]:
        """The records from `first` on, all with the batch's timestamp. Slow. Errors: CorruptRecordException."""
        span, stamp = self.offset - self.base, self.timestamp
        raw = self.records
        length = HEADER.size - _LENGTH.size + len(raw)
        header = (self.base, length, 0, _FORMAT, 0, _APPEND_TIME, span, stamp, stamp, -1, -1, -1, self.count)
        records = DefaultRecordBatch(HEADER.pack(*header) + raw)
        return [cast("Bare", record) for record in records if record.offset >= self.first]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch returned for one partition: `records`, which follow the record before offset `start`.

    `seek`: the number of the seek since which the partition is read in one go.
    """

    tp: TopicPartition
    seek: int
    start: int
    records: Sequence[ConsumerRecord] | Sequence[Packed]

    @property
    def next(self) -> int:
        """The offset after the last record."""
        return int(self.records[-1].offset) + 1


def how_many(records: Sequence[Any]) -> int:
    """The number of records, whether they are packed or not."""
    return sum(record.count if type(record) is Packed else 1 for record in records)


class PackedRecords:
    """Stands in for aiokafka's `PartitionRecords`: iterating gives its record batches, once.

    There are no transactions on our topics, and nothing is read as committed only. Errors: CorruptRecordException,
    OldFormatError; the position then stays where it is, and the partition is fetched again.
    """

    def __init__(self, stock: PartitionRecords) -> None:
        self.next_fetch_offset: int = stock.next_fetch_offset
        self._place, self._left = stock._tp, [stock._records]
        stock._records_iterator = None  # they refer to each other: the bytes would stay until the collector comes by

    def __iter__(self) -> Iterator[Packed]:
        return iter(self._all(_bytes_of(self._left.pop())) if self._left else ())

    def _all(self, raw: bytes) -> list[Packed]:
        found: list[Packed] = []
        start = following = self.next_fetch_offset
        view, at = memoryview(raw), 0
        while len(raw) - at >= _LENGTH.size:
            _base, length = _LENGTH.unpack_from(raw, at)
            end = at + _LENGTH.size + length
            if end > len(raw):
                break  # a broker cuts off what is over the size that was asked for
            following, packed = self._batch(view[at:end], start)
            if packed is not None:
                found.append(packed)
            at = end
        self.next_fetch_offset = following
        return found

    def _batch(self, raw: memoryview, start: int) -> tuple[int, Packed | None]:
        """(the offset after it, the batch if there is anything in it for us)."""
        if len(raw) > _MAGIC and raw[_MAGIC] != _FORMAT:
            raise OldFormatError(f"message format {raw[_MAGIC]} in {self._place}: only {_FORMAT} can be read")
        if len(raw) < HEADER.size:
            raise CorruptRecordException(f"A batch of {len(raw)} bytes - {self._place}")
        base, _, _, _, crc, attributes, span, _, latest, _, _, _, held = HEADER.unpack_from(raw)
        if calc_crc32c(raw[COVERED:]) != crc:
            raise CorruptRecordException(f"Invalid CRC - {self._place}")
        last = base + span  # also where compaction has taken the last records of a batch
        if attributes & _CONTROL or not held or last < start:
            return last + 1, None
        codec = attributes & _CODEC
        if codec not in _DECODERS:
            raise UnsupportedCodecError(f"Unknown compression codec {codec} - {self._place}")
        return last + 1, Packed(max(base, start), base, last, latest, held, raw[HEADER.size :], codec)


def _bytes_of(records: Any) -> bytes:
    """What aiokafka's `MemoryRecords` was made of: its C form shows that only to pickle, its Python form has it."""
    raw = records._buffer if hasattr(records, "_buffer") else records.__reduce__()[2][0]
    return cast("bytes", raw)


def _pack(fetcher: Fetcher) -> None:
    """Have all that was fetched and not taken yet in packed form."""
    for result in fetcher._records.values():
        if type(result) is FetchResult and type(result._partition_records) is PartitionRecords:
            result._partition_records = PackedRecords(result._partition_records)


async def fetch(
    consumer: AIOKafkaConsumer,
    stock: Callable[[set[_P]], Awaitable[dict[_P, list[Any]]]],
    wanted: Callable[[], tuple[set[_P], bool] | None],
    timeout: float,
    *,
    packed: bool,
) -> dict[_P, list[Any]]:
    """What has come of the wanted partitions, or comes in time. `stock`: Faust's way to get what has come of some.

    `wanted`: (partitions that are not full, whether that is all); None ends the waiting. It returns in the same step in
    which `stock` gave something. Errors: those of `stock`; what the broker refuses.
    """
    fetcher, loop = consumer._fetcher, asyncio.get_running_loop()
    until = loop.time() + timeout
    while (now := wanted()) is not None:
        places, all_of_them = now
        if places and not fetcher._subscriptions.reassignment_in_progress:  # `stock` would wait for its end
            if packed:
                _pack(fetcher)
            if fetched := await stock(places):
                return fetched
        left = until - loop.time()
        if left <= 0 or fetcher._closed:
            break
        waiter = fetcher._create_fetch_waiter()
        # Of what is full the next records may have come already, and nobody tells when there is room for them.
        await asyncio.wait([waiter], timeout=left if all_of_them else min(left, _FULL_NAP))
        if waiter.done():
            waiter.result()
        else:
            waiter.cancel()
    return {}
