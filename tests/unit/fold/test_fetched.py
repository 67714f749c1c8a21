"""Bare records are what aiokafka would have given, without what it makes of each."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from sendledger.agents.fetched import Unpacked

PLACE = TopicPartition("t", 3)


def log(*sizes: int, compression: int = 0) -> bytes:
    """Batches of so many records as a broker keeps them, with consecutive offsets."""
    raw, first = b"", 0
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, 0, 1 << 20)
        for number in range(size):
            value = b"v%d" % (first + number)
            builder.append(number, 1_000 + first + number, b"k", value, [("h", b"1")])
        batch = bytes(builder.build())
        raw, first = raw + first.to_bytes(8, "big") + batch[8:], first + size
    return raw


def fetched(raw: bytes, start: int) -> PartitionRecords:
    """What aiokafka makes of the answer to a fetch from `start`."""
    return PartitionRecords(PLACE, MemoryRecords(raw), [], start, None, None, True, READ_UNCOMMITTED)


def told(record: Any) -> tuple[Any, ...]:
    """What a fold reads of a record."""
    return record.offset, record.timestamp, record.key, record.value, tuple(record.headers)


@pytest.mark.parametrize("start", [0, 1, 2])  # a broker answers from the batch that holds it
@pytest.mark.parametrize("compression", [0, 3])
def test_the_same_records_as_ever(start: int, compression: int) -> None:
    """From wherever in a batch reading begins: the same records, and the same place to go on from."""
    raw = log(3, 1, 2, compression=compression)
    stock, bare = fetched(raw, start), Unpacked(fetched(raw, start))
    assert [told(record) for record in bare] == [told(record) for record in stock]
    assert bare.next_fetch_offset == stock.next_fetch_offset == 6
    assert list(bare) == []


def test_a_spoiled_batch_is_read_again() -> None:
    """A wrong check sum is an error, gives nothing, and leaves the place to read from where it was."""
    raw = bytearray(log(3, 2))
    raw[-1] ^= 1
    bare = Unpacked(fetched(bytes(raw), 1))
    with pytest.raises(CorruptRecordException):
        list(bare)
    assert (list(bare), bare.next_fetch_offset) == ([], 1)
