"""The times of `streams/foldcore` against Python's, as they are read of events and written into records."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain import contribution, state_record
from tests.support.any_facts import SMS
from tests.support.foldcore import agrees, day_of, native, python, time_of

MANY = settings(max_examples=settings().max_examples * 8)


def around(least: int, most: int, digits: int) -> st.SearchStrategy[str]:
    """A number as digits, mostly within these bounds, else just outside."""
    return st.integers(least - 1, most + 1).map(lambda value: f"{max(value, 0):0{digits}d}")


zones = st.builds(
    "{}{}{}{}".format,
    st.sampled_from("++--±"),
    around(0, 23, 2),
    st.sampled_from((":", ":", ":", "", " ")),
    around(0, 59, 2),
)
dates = st.sampled_from(("0001-01-01", "9999-12-31", "2024-02-29", "1900-02-29", "2000-02-29")) | st.builds(
    "{}-{}-{}".format, around(1, 9999, 4), around(1, 12, 2), around(28, 31, 2)
)
clocks = st.builds("{}:{}:{}".format, around(0, 23, 2), around(0, 59, 2), around(0, 59, 2))
fractions = st.just("") | st.from_regex(r"[.,][0-9]{0,8}", fullmatch=True)
times = st.builds(
    "{}{}{}{}{}".format, dates, st.sampled_from("TTTTt "), clocks, fractions, zones | st.sampled_from(("Z", "z", ""))
)
OURS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")


def check(time: str) -> None:
    """A time in our form is accepted just if Python accepts it, in any other form at most then, and is the same."""
    raw = SMS.withheld(0).replace(b"2026-03-01T12:00:00.000000Z", time.encode())
    if OURS.fullmatch(time):
        assert native(raw) == python(raw)
    agrees(raw)


@MANY
@given(times)
def test_times_are_read_as_python_reads_them(time: str) -> None:
    """Whatever looks like a time."""
    check(time)


@pytest.mark.parametrize("year", ["0000", "0001", "1900", "1970", "2000", "2023", "2024", "9999"])
def test_dates_are_read_as_python_reads_them(year: str) -> None:
    """Each day that there might be, also carried beyond the calendar by its zone."""
    for month in range(14):
        for day in range(33):
            check(f"{year}-{month:02d}-{day:02d}T23:59:59.999999{'+' if day % 2 else '-'}23:59")


def test_clocks_and_zones_are_read_as_python_reads_them() -> None:
    """Each hour, minute and second, of clock and zone, with each number of digits behind it."""
    for value in range(100):
        for clock in (f"{value:02d}:00:00", f"00:{value:02d}:00", f"00:00:{value:02d}"):
            check(f"2026-03-01T{clock}Z")
        for zone in (f"{value:02d}:00", f"00:{value:02d}"):
            check(f"2026-03-01T12:00:00+{zone}")
            check(f"2026-03-01T12:00:00-{zone}")
    for digits in range(10):
        check(f"2026-03-01T12:00:00.{'9' * digits}Z")


ENDS = (-62_135_596_800_000_000, 253_402_300_799_000_000, 253_402_300_800_000_000)
EDGES = (-(2**63), 2**63 - 1, *(end + near for end in (*ENDS, 0, 10**15) for near in (-10, -1, 0, 1, 9, 10, 99_999)))
moments = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**17), 3 * 10**17)


def written(at: int) -> None:
    """Rust writes this time as Python does."""
    time = state_record._time(at)
    assert time is not None
    assert time_of(at) == time.encode()


@MANY
@given(moments)
def test_times_are_written_as_python_writes_them(at: int) -> None:
    """Microseconds become the text of the state record, also beyond the calendar."""
    written(at)


@pytest.mark.parametrize("at", EDGES)
def test_the_calendars_ends_are_written_as_python_writes_them(at: int) -> None:
    """The last time that there is, and the first that there is not."""
    written(at)


@MANY
@given(moments | st.integers(-20_000_000, 80_000_000))
def test_days_are_written_as_python_writes_them(hour: int) -> None:
    """Hours since 1970 become the day of a series' name, also beyond the calendar."""
    assert day_of(hour) == contribution._day(hour).encode()


@pytest.mark.parametrize("year", [-10_000, -1_000, -1, 0, 1, 1_000, 1970, 10_000])
def test_years_of_any_length_are_written_as_python_writes_them(year: int) -> None:
    """The days about the turn of the year."""
    turn = (year - 1970) * 8_766
    for hour in range(turn - 24 * 90, turn + 24 * 90, 8):
        assert day_of(hour) == contribution._day(hour).encode()
