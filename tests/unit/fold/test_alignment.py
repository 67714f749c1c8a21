"""Topics are read side by side in time, nothing is lost or turned round by it, and nothing waits for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sendledger.agents.alignment import MOST_WAITING, Waiting, cut, pieces


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
        for topic, batch in waiting.take(aligned=True).get(0, {}).items():
            got[topic] += batch
    for topic, batch in waiting.take(aligned=True).get(0, {}).items():
        got[topic] += batch
    assert not waiting
    assert {topic: [record.offset for record in batch] for topic, batch in got.items()} == {
        f"t{number}": list(range(len(stamps))) for number, stamps in enumerate(topics)
    }


def test_patience_ends() -> None:
    """A topic that never comes holds up the others only as long as the driver is patient."""
    waiting = Waiting()
    waiting.expect("a", 0, 10)
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, records(1, 2))
    assert waiting.take(aligned=True) == {}
    assert times(waiting.take(aligned=False)[0]) == {"a": [1, 2]}


def test_a_topic_that_runs_ahead_is_not_fetched() -> None:
    """Memory is bounded: with enough waiting, a topic partition is full until it is handed on."""
    waiting = Waiting()
    waiting.expect("b", 0, 10)
    waiting.add("a", 0, records(*range(MOST_WAITING)))
    assert waiting.is_full("a", 0)
    assert not waiting.is_full("b", 0)
    waiting.clear()
    assert not waiting.is_full("a", 0)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 30))
def test_pieces_are_the_batch(sizes: list[int], size: int) -> None:
    """A batch in pieces: of each topic all records, each once and in order, and no piece much larger than asked for."""
    batch = {f"t{number}": records(*range(count)) for number, count in enumerate(sizes)}
    got: dict[str, list[Any]] = {topic: [] for topic in batch}
    for piece in pieces(batch, size):
        assert sum(map(len, piece.values())) <= size + len(sizes)
        for topic, some in piece.items():
            got[topic] += some
    assert got == batch
