"""The pace, on a clock that the test advances."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.pace import FLOOR, HOLD_FIRST, HOLD_MOST, RECOVERY, SLACK, Pace


def pace(rate: float = 100.0, owned: int = 8) -> Pace:
    """A pace with so many of eight partitions."""
    made = Pace(rate)
    made.set_share(owned, 8)
    return made


def taken(pace: Pace, since: float, until: float, step: float) -> list[float]:
    """When calls start if somebody tries every `step` seconds, and as often as he may."""
    times, now = [], since
    while now < until:
        while pace.take(now):
            times.append(now)
        now += step
    return times


def most_in_a_second(times: list[float]) -> int:
    """The greatest number of calls in any one second."""
    return max((bisect_left(times, start + 1) - number for number, start in enumerate(times)), default=0)


def test_nothing_is_saved_up() -> None:
    """After a long silence one call may start, and what the slack allows, but no burst."""
    quiet = pace(100)
    assert quiet.take(0.0)
    burst = sum(quiet.take(1000.0) for _ in range(100))
    assert burst <= 1 + SLACK * 100 + 1


@given(rate=st.floats(1, 1000), step=st.floats(0.002, 0.05), pauses=st.lists(st.floats(0.1, 30), max_size=3))
def test_no_second_has_more_than_the_rate_and_its_headroom(rate: float, step: float, pauses: list[float]) -> None:
    """However late the timers come, and through stops of the process, any second stays within 5 % and one call."""
    made, now, times = pace(rate), 0.0, []
    for stop in [*pauses, 0.0]:
        times += taken(made, now, now + 0.7, step)
        now += 0.7 + stop
    assert most_in_a_second(times) <= rate * 1.05 + 2


def test_the_rate_is_reached_although_timers_come_late() -> None:
    """Lateness below the slack costs nothing."""
    assert len(taken(pace(500), 0.0, 2.0, 0.013)) >= 980
    assert len(taken(pace(50), 0.0, 10.0, 0.011)) >= 490


def test_the_share_is_owned_partitions_of_all() -> None:
    """Two of eight partitions send a quarter; none sends nothing."""
    assert pace(100, owned=2).per_second(0) == 25
    assert pace(100, owned=0).wait(0) == float("inf")
    assert not pace(100, owned=0).take(0)


def test_a_throttle_halves_the_rate_once_a_second_and_never_below_a_tenth() -> None:
    """Sixty-four throttled calls at once are one slowdown; many in a row end at the floor."""
    made = pace(100)
    for _ in range(64):
        made.throttled(10.0)
    assert made.factor(10.0) == pytest.approx(0.5)
    for second in range(11, 40):
        made.throttled(float(second))
    assert made.factor(39.0) >= FLOOR
    assert made.factor(39.0) == pytest.approx(FLOOR, abs=0.05)


def test_full_rate_within_thirty_seconds_of_the_last_throttle() -> None:
    """The rate comes back step by step, and wholly."""
    made = pace(100)
    made.throttled(0.0)
    steps = [made.factor(second) for second in range(31)]
    assert steps == sorted(steps)
    assert steps[0] == pytest.approx(0.5)
    assert made.factor(RECOVERY) == 1.0


def test_a_throttle_soon_after_keeps_the_rate_down_without_slowing_further() -> None:
    """The recovery starts anew from where it was."""
    made = pace(100)
    made.throttled(0.0)
    made.throttled(0.5)
    assert made.factor(0.5) == pytest.approx(0.5, abs=0.02)
    assert made.factor(29.0) < 1.0


def test_a_provider_out_of_reach_is_asked_ever_less_often_until_it_answers() -> None:
    """The hold doubles up to its most, failures within a hold count once, and any answer ends it."""
    made, now, holds = pace(100), 0.0, []
    for _ in range(10):
        made.unreachable(now)
        made.unreachable(now)
        holds.append(made.wait(now))
        now += holds[-1]
    assert holds[0] == pytest.approx(HOLD_FIRST)
    assert holds[-1] == HOLD_MOST
    made.unreachable(now)
    made.reached()
    assert made.wait(now) == 0


def test_a_new_rate_holds_from_the_next_call_on() -> None:
    """An operator's rate needs no restart."""
    made = pace(1)
    assert made.take(0.0)
    made.set_rate(10)
    assert made.take(1.0)
    assert made.wait(1.0) == pytest.approx(0.1, abs=SLACK)


def test_whoever_waits_for_a_slow_token_goes_on_when_the_rate_is_raised() -> None:
    """One message in ten seconds, then a hundred a second: the next one does not wait for the ten seconds to pass."""
    made = pace(0.1)
    assert made.take(0.0)
    assert made.wait(1.0) == pytest.approx(9.0, abs=SLACK)
    made.set_rate(100)
    assert made.wait(1.0) == 0


def test_a_lowered_rate_or_share_holds_from_the_last_call_on() -> None:
    """The token that was taken counts by the new rate."""
    made = pace(100)
    assert made.take(0.0)
    made.set_share(1, 8)
    assert made.wait(0.0) == pytest.approx(8 / 100 - SLACK)
    made.set_rate(1)
    assert made.wait(0.0) == pytest.approx(8.0 - SLACK)


@given(st.lists(st.tuples(st.floats(1, 500), st.integers(1, 8), st.floats(0.01, 1.5)), min_size=2, max_size=6))
def test_no_second_has_more_than_its_greatest_rate_through_any_changes(changes: list[tuple[float, int, float]]) -> None:
    """Rate and share may change at any time: a second holds no more than the greatest that held in it allows."""
    made, now, times, greatest = pace(1), 0.0, [], 0.0
    for rate, owned, seconds in changes:
        made.set_rate(rate)
        made.set_share(owned, 8)
        greatest = max(greatest, rate * owned / 8)
        times += taken(made, now, now + seconds, 0.004)
        now += seconds
    assert most_in_a_second(times) <= greatest * 1.05 + 2
