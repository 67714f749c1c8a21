"""What was in flight, from the journal's records: which calls count, and how little is kept of the others."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.under_way import Calls, Flights
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS
from tests.support import story

BEFORE = {TopicPartition(SEND_ATTEMPTS, 3): 10, TopicPartition(API_RESPONSES, 3): 10}
ENDED = 20_000
BYTES_A_CALL = 400


def record(topic: str, offset: int, value: bytes) -> Any:
    """A record as a consumer hands it over."""
    return SimpleNamespace(topic=topic, partition=3, offset=offset, value=value)


def line(topic: str, offset: int, data: Data) -> Any:
    """An event's record; its time is its offset."""
    return record(topic, offset, encode(event(data, id="e", source="test", time=story.at(offset))))


CLAIMED, ANSWERED = SEND_ATTEMPTS, API_RESPONSES
JOURNAL = [
    line(CLAIMED, 1, story.started("open")),
    line(CLAIMED, 2, story.started("ended before")),
    line(ANSWERED, 2, story.accepted("T1", "ended before")),
    line(CLAIMED, 3, story.started("ended since")),
    line(ANSWERED, 11, story.rejected("ended since")),
    line(CLAIMED, 4, story.started("given back since")),
    line(ANSWERED, 12, story.not_sent("given back since")),
    line(CLAIMED, 12, story.started("late")),
    line(CLAIMED, 13, story.started("ended before")),  # a second claim of one attempt: the first one won
    line(CLAIMED, 5, story.started("another's", campaign="c2")),
    line(CLAIMED, 6, story.withheld("expired", "c1")),
    record(CLAIMED, 7, b'{"c1"'),
]


def flown(records: Iterable[Any], campaign: str | None) -> list[tuple[str, str]]:
    """(message, what became of it), the oldest first."""
    calls = Calls(campaign, BEFORE)
    for each in records:
        calls.take(each)
    return [(name[0], calls.flight(name, "***").became) for name in calls.flew()]


@given(st.permutations(JOURNAL))
def test_what_flew_does_not_depend_on_the_order_of_reading(journal: list[Any]) -> None:
    """Claims without an end before the order; not those that were given back, nor those of other campaigns."""
    mine = [("open", "open"), ("ended since", "rejected"), ("late", "open")]
    assert flown(journal, "c1") == mine
    assert flown(journal, None) == [mine[0], mine[1], ("another's", "open"), mine[2]]


@pytest.mark.parametrize("order", ["in turn", "claims first", "ends first"])
def test_of_calls_that_are_over_little_is_kept(order: str) -> None:
    """A busy account's window is hundreds of thousands of calls in the API's process: a name each, no events."""
    before = dict.fromkeys(BEFORE, ENDED)
    claim, end = (
        encode(event(data, id="e", source="test", time=story.at(0)))
        for data in (story.started("@" * 26), story.accepted("T", "@" * 26))
    )
    names = [b"%026d" % number for number in range(ENDED)]
    random.Random(order).shuffle(names)
    claims = (record(CLAIMED, at, claim.replace(b"@" * 26, name)) for at, name in enumerate(names))
    ends = (record(ANSWERED, at, end.replace(b"@" * 26, name)) for at, name in enumerate(names))
    turns = {
        "in turn": itertools.chain.from_iterable(zip(claims, ends, strict=True)),
        "claims first": itertools.chain(claims, ends),
        "ends first": itertools.chain(ends, claims),
    }
    calls = Calls(None, before)
    tracemalloc.start()
    try:
        for each in turns[order]:
            calls.take(each)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{order}: {kept / ENDED:.0f} B a call, {peak / ENDED:.0f} B at the most")  # noqa: T201 — a test's figure
    assert calls.flew() == []
    assert kept < BYTES_A_CALL * ENDED
    assert peak < 2 * BYTES_A_CALL * ENDED


@pytest.mark.parametrize(("attempting", "older"), [(0, 0), (2, 0), (7, 5)])
def test_what_the_numbers_count_beyond_the_window_is_older(attempting: int, older: int) -> None:
    """Of three that flew one has ended since: two are attempting, and every further one is from before the window."""
    told = Flights(3, [], open=2, seconds=100).beside(attempting).shown()
    assert told == {"count": 3, "older": older, "within_seconds": 100, "items": []}
