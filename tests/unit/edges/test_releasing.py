"""What was fetched and is not read to its end goes at once, and is read no differently for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.record_batch import Packer
from sendledger.edges.releasing import ReleasedRecords
from tests.support.collector import uncollected

_PLACE = TopicPartition("sms.send-attempts.v1", 3)
_COUNT = 10


class _Assignment:
    """Where reading stands, as aiokafka keeps it."""

    active, paused = True, False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, place: TopicPartition) -> _Assignment:
        assert place == _PLACE
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def fetched(wrapped: Callable[[PartitionRecords], Any], first: int = 0) -> tuple[FetchResult, PartitionRecords]:
    """The result of a fetch of ten records from `first` on, and aiokafka's part of it."""
    packer = Packer(1 << 20)
    for number in range(_COUNT):
        assert packer.append(b"key", b"%d" % number, [])
    raw = packer.batch()._build()
    stock = PartitionRecords(_PLACE, MemoryRecords(raw), [], first, None, None, True, 0)
    known = {"assignment": _Assignment(first), "partition_records": wrapped(stock), "backoff": 0.1}
    return FetchResult(_PLACE, **known), stock


@pytest.mark.parametrize("taken", [0, 1, _COUNT - 1, _COUNT])
@pytest.mark.parametrize(("wrapped", "stays"), [(lambda stock: stock, True), (ReleasedRecords, False)])
def test_a_fetch_that_is_dropped_is_given_back(taken: int, wrapped: Callable[..., Any], stays: bool) -> None:  # noqa: FBT001
    """Whatever was read of it. aiokafka's own stays: once it does not, `ReleasingConsumer` can go."""
    with uncollected():
        result, stock = fetched(wrapped)
        if taken:
            assert len(result.getall(taken)) == taken
        kept = weakref.ref(stock)
        del result, stock
        assert (kept() is not None) == stays


def test_a_fetch_that_is_still_wanted_stays() -> None:
    """Only its end, or whoever drops it, ends it."""
    with uncollected():
        result, stock = fetched(ReleasedRecords)
        kept = weakref.ref(stock)
        del stock
        assert [record.value for record in result.getall(3)] == [b"0", b"1", b"2"]
        assert kept() is not None
        assert result.getone().value == b"3"
        assert [record.value for record in result.getall()] == [b"4", b"5", b"6", b"7", b"8", b"9"]
        assert not result.has_more()
        assert kept() is None


@given(st.integers(0, _COUNT), st.lists(st.integers(1, 4), max_size=_COUNT))
def test_it_is_read_as_aiokafkas_own(first: int, steps: list[int]) -> None:
    """Records, positions and ends, however it is taken."""
    told = []
    for wrapped in (lambda stock: stock, ReleasedRecords):
        result, _ = fetched(wrapped, first)
        seen: list[Any] = []
        for step in steps:
            if not result.has_more():
                break
            taken = [result.getone()] if step == 1 else result.getall(step)
            seen.append([record and (record.offset, record.value) for record in taken])
            seen.append(result._assignment.position)
        told.append(seen)
    assert told[0] == told[1]
