"""Topics are read side by side in time, nothing is lost or turned round by it, and nothing waits for ever."""

from __future__ import annotations

from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sendledger.agents.alignment import MOST_AT_ONCE, MOST_WAITING, PATIENCE, Waiting, cut
from sendledger.agents.fetched import Packed


def records(*times: int, first: int = 0) -> list[Any]:
    """Records at these times, with consecutive offsets."""
    return [SimpleNamespace(offset=first + n, timestamp=at) for n, at in enumerate(times)]


def times(handed: dict[str, list[Any]]) -> dict[str, list[int]]:
    """The times of what is handed on."""
    return {topic: [record.timestamp for record in batch] for topic, batch in handed.items()}


def test_the_topic_that_is_furthest_behind_sets_the_pace() -> None:
    """Only what is not younger than the last record of each topic behind is handed on."""
    now, later = cut({"a": records(1, 5, 9), "b": records(2, 4)}, ["a", "b"])
    assert times(now) == {"a": [1], "b": [2, 4]}
    assert times(later) == {"a": [5, 9]}


def test_nothing_goes_while_a_topic_behind_has_not_come() -> None:
    """A topic of which nothing was fetched yet may hold the oldest record of all."""
    now, later = cut({"a": records(1, 5)}, ["a", "b"])
    assert (now, times(later)) == ({}, {"a": [1, 5]})


def test_at_the_end_of_the_log_everything_goes_at_once() -> None:
    """Live, no topic waits for another."""
    now, later = cut({"a": records(1, 5), "b": []}, [])
    assert (times(now), later) == ({"a": [1, 5]}, {})


@given(st.lists(st.lists(st.integers(0, 50), max_size=30).map(sorted), min_size=1, max_size=4), st.randoms())
def test_every_record_is_handed_on_once_and_in_order(topics: list[list[int]], chance: Any) -> None:
    """Whatever comes in whatever pieces: all of it is handed on, in order, and the rest at the end of patience."""
    waiting = Waiting()
    queues: dict[str, list[Any]] = {}
    got: dict[str, list[Any]] = {}
    for number, stamps in enumerate(topics):
        name = f"t{number}"
        queues[name], got[name] = records(*stamps), []
        if stamps:
            waiting.expect(name, 0, len(stamps))
    while any(queues.values()):
        name = chance.choice([topic for topic, left in queues.items() if left])
        size = chance.randint(1, 5)
        waiting.add(name, 0, queues[name][:size])
        queues[name] = queues[name][size:]
        for topic, batch in waiting.take(0).get(0, {}).items():
            got[topic] += batch
    for topic, batch in waiting.take(0).get(0, {}).items():
        got[topic] += batch
    assert not waiting
    assert {topic: [record.offset for record in batch] for topic, batch in got.items()} == {
        f"t{number}": list(range(len(stamps))) for number, stamps in enumerate(topics)
    }


def test_patience_ends() -> None:
    """A topic that never comes holds up the others only so long, counted from when nothing could be handed on."""
    waiting = Waiting()
    waiting.expect("a", 0, 10)
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, records(1, 2))
    assert waiting.take(50) == {}
    assert waiting.take(50 + 0.9 * PATIENCE) == {}
    assert times(waiting.take(50 + PATIENCE)[0]) == {"a": [1, 2]}
    waiting.add("a", 0, records(3, first=2))
    assert waiting.take(50 + PATIENCE) == {}
    waiting.clear()
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, records(4))
    assert waiting.take(50 + 3 * PATIENCE) == {}


def test_patience_is_each_partitions_own() -> None:
    """A steady flow in one partition does not hold up what waits in another for a topic that never comes."""
    waiting = Waiting()
    waiting.expect("b", 1, 10)
    waiting.add("a", 1, records(1))
    moments = [0.3 * PATIENCE * number for number in range(5)]
    handed = []
    for number, moment in enumerate(moments):
        waiting.add("a", 0, records(number, first=number))
        handed.append(sorted(waiting.take(moment)))
    assert handed == [[0], [0], [0], [0], [0, 1]]


def test_patience_begins_anew_whenever_something_goes() -> None:
    """A topic that comes slowly, but comes, keeps the others side by side with it however long that takes."""
    waiting = Waiting()
    waiting.expect("b", 0, 100)
    waiting.add("a", 0, records(*range(10)))
    for number in range(9):
        assert waiting.take(2 * number * PATIENCE) == {}
        waiting.add("b", 0, records(number, first=number))
        handed = waiting.take(2 * number * PATIENCE + 0.9 * PATIENCE)
        assert times(handed[0]) == {"a": [number], "b": [number]}


def test_a_topic_that_runs_ahead_is_not_fetched() -> None:
    """Memory is bounded: with enough waiting, a topic partition is full until it is handed on."""
    waiting = Waiting()
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, records(*range(MOST_WAITING)))
    assert waiting.is_full("a", 0)
    assert not waiting.is_full("b", 0)
    waiting.clear()
    assert not waiting.is_full("a", 0)


def packed(*batches: tuple[int, int]) -> list[Any]:
    """Packed batches, each (time, number of records), with consecutive offsets."""
    ends = list(accumulate(size for _, size in batches))
    return [
        Packed(end - size, end - size, end - 1, at, size, b"") for (at, size), end in zip(batches, ends, strict=True)
    ]


def test_a_packed_batch_is_full_by_its_records() -> None:
    """What waits is counted in records, so one large batch is as much as many small ones, until it is handed on."""
    waiting = Waiting()
    waiting.expect("a", 0, MOST_WAITING + 10)
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, packed((1, 1), (5, MOST_WAITING - 2)))
    assert not waiting.is_full("a", 0)
    waiting.add("a", 0, packed((6, 1)))
    assert waiting.is_full("a", 0)
    waiting.add("b", 0, packed((4, 1)))
    assert times(waiting.take(0)[0]) == {"a": [1], "b": [4]}
    assert not waiting.is_full("a", 0)
    waiting.add("a", 0, packed((7, 1)))
    assert waiting.is_full("a", 0)
    assert waiting.take(1) == {}
    assert times(waiting.take(1 + PATIENCE)[0]) == {"a": [5, 6, 7]}
    assert not waiting.is_full("a", 0)


def test_a_packed_topic_is_behind_until_its_last_record_has_come() -> None:
    """The end of the log is compared with the last offset of a batch, not with its first."""
    waiting = Waiting()
    waiting.expect("a", 0, 10)
    waiting.expect("b", 0, 3)
    waiting.add("b", 0, packed((1, 2), (2, 1)))
    waiting.add("a", 0, packed((9, 9)))
    assert times(waiting.take(0)[0]) == {"b": [1, 2], "a": [9]}


@given(st.lists(st.lists(st.integers(0, 9), max_size=12).map(sorted), min_size=1, max_size=4))
def test_no_more_than_so_many_records_at_once(topics: list[list[int]]) -> None:
    """A long backlog comes in pieces, each side by side in time, each record once and in order."""
    waiting = Waiting()
    for number, stamps in enumerate(topics):
        if stamps:
            waiting.add(f"t{number}", 0, packed(*((at, MOST_AT_ONCE // 4) for at in stamps)))
    got: dict[str, list[int]] = {}
    latest = -1
    while waiting:
        handed = waiting.take(0.0)[0]
        moments = sorted(at for stamps in times(handed).values() for at in stamps)
        assert moments[0] > latest  # what is older has gone before
        assert len([at for at in moments if at < moments[-1]]) < 4  # no more than it takes to be enough
        latest = moments[-1]
        for topic, stamps in times(handed).items():
            got.setdefault(topic, []).extend(stamps)
    assert got == {f"t{number}": stamps for number, stamps in enumerate(topics) if stamps}
