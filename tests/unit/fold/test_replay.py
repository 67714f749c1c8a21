"""What a fold tells of its way through the log."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from sendledger.agents.driver import LogRange
from sendledger.agents.replay import TELL_EVERY, WORTH_TELLING, Replay, Step, extent

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


def told(*looks: tuple[float, int], total: int = 100_000) -> list[Step]:
    """The lines of these looks: (when, records that remain)."""
    replay = Replay()
    steps = [replay.look(now, remaining, total) for now, remaining in looks]
    return [step for step in steps if step is not None]


def test_extent_counts_only_the_log_of_the_assignment() -> None:
    """What comes in later, and partitions that are not ours any more, are not in it."""
    spans = {A: LogRange(10, 110), B: LogRange(0, 50)}
    assert extent({A: 60, B: 0}, spans) == (50 + 50, 150)
    assert extent({A: 500}, spans) == (0, 100)
    assert extent({A: 0}, spans) == (100, 100), "a cursor that is not sought yet has nothing done"
    assert extent({}, spans) == (0, 0)


def test_a_long_replay_tells_share_rate_and_time_left() -> None:
    """The first line at once, then every few seconds, with the time left at the rate so far."""
    first, second = told((0, 100_000), (1, 90_000), (TELL_EVERY, 40_000))
    assert first == Step(100_000, 0.0, None, None)
    assert second == Step(40_000, 0.6, 20_000.0, 2.0)


def test_the_end_is_told_once() -> None:
    """With the rate of the whole, and whatever time passed since the line before."""
    lines = told((0, 100_000), (2, 0), (2.2, 0), (60, 0))
    assert [line.remaining for line in lines] == [100_000, 0]
    assert lines[-1] == Step(0, 1.0, 50_000.0, 0.0)


def test_a_quick_replay_is_told_too() -> None:
    """Also if it was over before the first look."""
    assert told((0, 0)) == [Step(0, 1.0, None, 0.0)]


def test_a_few_records_are_not_worth_a_line() -> None:
    """A restart with its state says nothing."""
    assert told((0, 500), (9, 100), (12, 0), total=WORTH_TELLING - 1) == []


def test_a_new_assignment_begins_anew() -> None:
    """Also one of the same size: what remains never grows within one."""
    replay = Replay()
    assert replay.look(0, 50_000, 50_000) is not None
    assert replay.look(1, 0, 50_000) is not None
    assert replay.look(2, 50_000, 50_000) == Step(50_000, 0.0, None, None)
    assert replay.look(2.5, 20_000, 20_000) == Step(20_000, 0.0, None, None)


def test_a_standstill_has_no_time_left() -> None:
    """Nobody can say how long it takes while nothing is folded."""
    assert told((0, 100_000), (TELL_EVERY, 100_000))[-1] == Step(100_000, 0.0, None, None)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=30))
def test_lines_are_seldom_and_shares_lie_between_0_and_1(done: list[int]) -> None:
    """Whatever the pace: never two lines within a few seconds but for the last, and the share only grows."""
    remaining, looks = 60_000, []
    for second, count in enumerate(done):
        remaining = max(0, remaining - count)
        looks.append((float(second), remaining))
    lines = told(*looks, total=60_000)
    assert len(lines) <= len(done) // TELL_EVERY + 2
    shares = [line.share for line in lines]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert sum(line.remaining == 0 for line in lines) == (remaining == 0)
