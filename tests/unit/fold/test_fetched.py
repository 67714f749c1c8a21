"""Packed batches hold what aiokafka would have given, and what is wrong with the log's bytes is never passed on."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from sendledger.agents.fetched import Batch, OldFormatError, Packed, PackedRecords, how_many
from tests.support.collector import uncollected

PLACE = TopicPartition("t", 3)
APPEND_TIME, CONTROL = 8, 32


def batch(first: int, size: int, *, compression: int = 0, attributes: int = 0, at: int = 1_000) -> bytes:
    """A batch of so many records as a broker keeps it: of one time, that of its appending."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, 0, 1 << 20)
    for number in range(size):
        key, value = (None, b"v%d" % (first + number)) if number % 3 else (b"k", None)
        builder.append(number, at + first, key, value, [("h", b"1"), ("none", None)][: number % 3])
    raw = bytearray(builder.build())
    raw[0:8] = first.to_bytes(8, "big")
    raw[22] |= APPEND_TIME | attributes
    raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


def log(*sizes: int, compression: int = 0) -> bytes:
    """Batches of so many records, with consecutive offsets."""
    return b"".join(batch(sum(sizes[:n]), size, compression=compression) for n, size in enumerate(sizes))


def fetched(raw: bytes, start: int = 0, form: Any = MemoryRecords) -> PartitionRecords:
    """What aiokafka makes of the answer to a fetch from `start`."""
    return PartitionRecords(PLACE, form(raw), [], start, None, None, True, READ_UNCOMMITTED)


def told(record: Any) -> tuple[Any, ...]:
    """All that a record says."""
    return record.offset, record.timestamp, record.key, record.value, tuple(record.headers)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from([0, 1, 2, 3, 4]),
    st.integers(0, 8),
    st.sampled_from([MemoryRecords, _MemoryRecordsPy]),
)
def test_the_same_records_as_ever(sizes: list[int], compression: int, start: int, form: Any) -> None:
    """However compressed, from wherever in a batch: aiokafka's own records, and the same place to go on from."""
    start = min(start, sizes[0] - 1)  # a broker answers from the batch that holds it
    raw = log(*sizes, compression=compression)
    stock, packed = fetched(raw, start, form), PackedRecords(fetched(raw, start, form))
    batches = list(packed)
    assert [told(record) for one in batches for record in one.unpacked()] == [told(record) for record in stock]
    assert packed.next_fetch_offset == stock.next_fetch_offset == sum(sizes)
    assert [one.count for one in batches] == sizes
    assert list(packed) == []


def test_nothing_of_aiokafkas_stays_behind() -> None:
    """Its part of a fetch holds all the bytes and refers to itself: it would stay until the collector comes by."""
    with uncollected():
        stock = fetched(log(3, 4))
        kept = weakref.ref(stock)
        packed = PackedRecords(stock)
        del stock
        assert kept() is None
    assert [one.count for one in packed] == [3, 4]


def test_a_batch_that_begins_before_the_place_says_what_is_wanted() -> None:
    """`first` is where reading starts, `base` what the records count from, in the first batch only."""
    packed = list(PackedRecords(fetched(log(3, 2, compression=3), 1)))
    assert [(one.first, one.base, one.offset, one.timestamp, one.count) for one in packed] == [
        (1, 0, 2, 1_000, 3),
        (3, 3, 4, 1_003, 2),
    ]


def test_the_records_section_is_that_of_kafka() -> None:
    """A compressed batch travels as the bytes that an uncompressed one has after its header."""
    plain = batch(0, 5)
    (packed,) = PackedRecords(fetched(batch(0, 5, compression=3)))
    assert packed.records == plain[61:]


@pytest.mark.parametrize("place", [-1, 61, 23])  # a value, the first record's length, the header's last offset delta
def test_a_spoiled_batch_is_read_again(place: int) -> None:
    """A wrong check sum is an error, gives nothing, and leaves the place to read from where it was."""
    raw = bytearray(log(3, 2))
    raw[place] ^= 1
    packed = PackedRecords(fetched(bytes(raw), 1))
    with pytest.raises(CorruptRecordException):
        list(packed)
    assert (list(packed), packed.next_fetch_offset) == ([], 1)


def test_a_batch_that_was_cut_off_waits_for_the_next_fetch() -> None:
    """A broker ends an answer at the size that was asked for: the batch that it cut through is fetched again, whole."""
    whole, both = log(3), log(3, 2)
    for end in range(len(whole), len(both)):
        packed = PackedRecords(fetched(both[:end]))
        assert [one.offset for one in packed] == [2]
        assert packed.next_fetch_offset == 3


@pytest.mark.parametrize("length", [0, 20, -13, -1])
def test_a_length_that_cannot_be_is_an_error(length: int) -> None:
    """A batch shorter than its own header, or of less than nothing, ends the reading instead of running in a circle."""
    raw = batch(0, 1) + (1).to_bytes(8, "big") + length.to_bytes(4, "big", signed=True) + b"\0\0\0\0\2" + bytes(30)
    with pytest.raises(CorruptRecordException, match="A batch of"):
        list(PackedRecords(fetched(raw)))


def test_what_is_no_record_of_ours_is_passed_by() -> None:
    """Control batches, and those that compaction has emptied, give nothing and are not read again."""
    between = batch(2, 1, attributes=CONTROL)
    packed = PackedRecords(fetched(batch(0, 2) + between + batch(3, 2)))
    assert [(one.first, one.offset) for one in packed] == [(0, 1), (3, 4)]
    only = PackedRecords(fetched(between, 2))
    assert (list(only), only.next_fetch_offset) == ([], 3)


def test_an_empty_batch_gives_nothing() -> None:
    """Kafka keeps the header of a producer's last batch when compaction has taken all its records."""
    raw = bytearray(batch(4, 2)[:61])
    raw[8:12], raw[57:61] = (49).to_bytes(4, "big"), bytes(4)
    raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
    packed = PackedRecords(fetched(bytes(raw), 4))
    assert (list(packed), packed.next_fetch_offset) == ([], 6)


def test_formats_that_kafka_4_does_not_have_are_refused_by_name() -> None:
    """A log of old records says so, with its partition."""
    old = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    old.append(0, 1_000, b"k", b"v")
    with pytest.raises(OldFormatError, match=r"message format 1 in TopicPartition\(topic='t', partition=3\)"):
        list(PackedRecords(fetched(bytes(old.build()))))


def test_an_unknown_codec_is_an_error() -> None:
    """What cannot be unpacked is not handed on as if it were plain."""
    with pytest.raises(UnsupportedCodecError, match="codec 5"):
        list(PackedRecords(fetched(batch(0, 1, attributes=5))))


def test_packed_records_count_one_by_one() -> None:
    """How much waits is told in records, whatever they come in."""
    packed = list(PackedRecords(fetched(log(3, 2))))
    assert (how_many(packed), how_many(list(fetched(log(3, 2))))) == (5, 5)
    assert Batch(PLACE, 1, 0, packed).next == 5


def test_a_packed_batch_that_was_tampered_with_is_an_error() -> None:
    """Taking the records out of a batch checks that they are all there, and nothing else."""
    (packed,) = PackedRecords(fetched(log(3)))
    with pytest.raises(CorruptRecordException):
        Packed(0, 0, 2, 1_000, 3, packed.records + b"\0").unpacked()
    with pytest.raises(CorruptRecordException):
        Packed(0, 0, 2, 1_000, 3, packed.records[:-1]).unpacked()
