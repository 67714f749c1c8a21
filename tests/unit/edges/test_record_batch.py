"""Records that we pack ourselves: what a reader finds is what aiokafka's own batches would give it."""

from __future__ import annotations

from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.record_batch import Packer

HEADERS = [("content-type", b"application/cloudevents+json")]
RECORDS = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=3_000)), min_size=1, max_size=40)


def read(raw: bytes) -> list[tuple[int, bytes, bytes, list[tuple[str, bytes]]]]:
    """Offset, key, value and headers of each record; the check sum is looked at."""
    batch: Any = MemoryRecords(raw).next_batch()
    assert batch.validate_crc()
    return [(record.offset, record.key, record.value, list(record.headers)) for record in batch]


@given(RECORDS)
def test_a_batch_of_ours_is_read_as_one_of_aiokafkas(records: list[tuple[bytes, bytes]]) -> None:
    """Record by record: offset, key, value, headers."""
    ours, theirs = Packer(1 << 20), BatchBuilder(1 << 20, 3)
    for key, value in records:
        assert ours.append(key, value, HEADERS)
        theirs.append(timestamp=None, key=key, value=value, headers=HEADERS)
    batch = ours.batch()
    assert batch.record_count() == ours.count == len(records)
    assert read(batch._build()) == read(bytes(theirs._build()))


def test_a_packer_says_when_it_is_full() -> None:
    """What it did not take is not in its batch."""
    packer = Packer(1_000)
    taken = [packer.append(b"k", b"v" * 300, HEADERS) for _ in range(5)]
    assert taken == [True, True, False, False, False]
    assert [offset for offset, *_ in read(packer.batch()._build())] == [0, 1]
