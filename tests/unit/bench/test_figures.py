"""What the benchmarks compute from what they saw."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Sightings, current_from, longest_pause, percentile, slowed

PLACE = ("t", 0)


def sightings(*seen: tuple[int, float]) -> Sightings:
    """Of one partition: (offset, when)."""
    found = Sightings()
    for offset, when in seen:
        found.see(PLACE, offset, when)
    return found


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([1], 0.5, 1),
        ([1], 0.99, 1),
        ([3, 1, 2], 0.5, 2),
        ([4, 3, 2, 1], 0.5, 2),
        (range(1, 101), 0.99, 99),
        ([1, 2], 1, 2),
    ],
)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    """It is the least value that so many are not above."""
    assert percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_leaves_its_share_below(values: list[float], share: float) -> None:
    """At least its share of the values is not above it, and less than that is below it."""
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-3
    assert sum(value < found for value in values) < share * len(values) + 1e-3


def test_no_values_have_no_percentile() -> None:
    """A benchmark that saw nothing fails, and does not tell 0."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_an_offset_counts_from_the_first_sighting_that_reaches_it() -> None:
    """Later sightings, and those of less, change nothing; what was never reached has no time."""
    seen = sightings((4, 1.0), (2, 1.5), (9, 2.0), (9, 3.0))
    assert [seen.counted_at(PLACE, offset) for offset in (0, 4, 5, 9, 10)] == [1.0, 1.0, 2.0, 2.0, None]
    assert seen.counted_at(("t", 1), 0) is None
    assert seen.moves(0) == [1.0, 2.0]
    assert seen.partitions() == {0}


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], 10), ([0, 10], 10), ([4], 6), ([9, 1, 5], 4), ([-5, 3, 20], 7)],
)
def test_the_longest_pause_lies_within_its_bounds(times: list[float], expected: float) -> None:
    """Also the time before the first and after the last counts; what lies outside does not."""
    assert longest_pause(times, 0, 10) == expected


def test_current_is_when_the_last_late_record_was_counted() -> None:
    """Of records written before and after the moment, those counted within the margin do not matter."""
    written = {PLACE: [(0, 1.0), (1, 5.0), (2, 8.0), (3, 12.0)]}
    seen = sightings((0, 1.1), (1, 9.0), (2, 9.5), (3, 12.2))
    assert current_from(written, seen, since=4.0, late=1.0) == 9.5
    assert current_from(written, seen, since=4.0, late=5.0) == 4.0


def test_what_was_written_before_counts_from_the_moment() -> None:
    """A record that waited long before the worker was killed is not late by that."""
    assert current_from({PLACE: [(0, 1.0)]}, sightings((0, 4.5)), since=4.0, late=1.0) == 4.0


def test_never_counted_is_never_current() -> None:
    """A record that is missing at the end is told as such."""
    assert current_from({PLACE: [(0, 1.0)]}, Sightings(), since=0.0, late=1.0) is None


def test_slowed_is_a_share_of_the_base() -> None:
    """A tenth slower is 0.1, faster is less than 0."""
    assert slowed(100, 90) == pytest.approx(0.1)
    assert slowed(100, 110) == pytest.approx(-0.1)


def test_percentiles_agree_with_the_library() -> None:
    """Of many values both are the same to the distance of neighbours."""
    chance = random.Random(1)
    values = [chance.gauss(0, 1) for _ in range(9_999)]
    assert percentile(values, 0.9) == pytest.approx(statistics.quantiles(values, n=10)[8], abs=0.01)
