"""Time stamps: the page's form and ISO 8601, to UTC and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.wire.timestamps import format_iso, format_page, parse_instant
from tests.unit.wire.strategies import instants, offsets

NOON = datetime(2011, 7, 26, 14, 22, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2011-07-26 10:22:26-04",
        " 2011-07-26 10:22:26-04",
        "2011-07-26 10:22:26.000000-04",
        "2011-07-26  10:22:26 -0400",
        "2011-07-26T10:22:26-04:00",
        "2011-07-26T10:22:26.0000009-04:00\n",
        "2011-07-26t14:22:26z",
        "2011-07-26T14:22:26,0Z",
        "2011-07-26T19:52:26+05:30",
        "2011-07-26T14:22:26+00",
    ],
)
def test_each_form_of_one_moment_is_that_moment(text: str) -> None:
    """Blanks, offsets of two or four digits, Z and fractions of any length all give the same UTC time."""
    assert parse_instant(text) == NOON


def test_microseconds_survive() -> None:
    """The page's own stamp keeps its microseconds."""
    assert parse_instant("2011-07-26 10:22:26.975911-04") == NOON.replace(microsecond=975911)
    assert parse_instant("2011-07-26 10:22:26.5-04") == NOON.replace(microsecond=500000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2011-07-26 10:22:26",
        "2011-07-26",
        "26.07.2011 10:22:26-04",
        "2011-13-26 10:22:26-04",
        "2011-07-26 25:22:26-04",
        "2011-07-26 10:22:26-4",
        "0001-01-01 00:00:00+14",
        "9999-12-31 23:59:59-12",
        "2011-07-26 10:22:26-04 trailing",
        "٢٠١١-07-26 10:22:26-04",
        "2011-07-26 10:22:26." + "1" * 60_000 + "-04",
    ],
)
def test_what_cannot_be_placed_is_no_time(text: str) -> None:
    """A stamp without an offset, out of range or in another form is None, not a guess and not an exception."""
    assert parse_instant(text) is None


@given(instants, offsets)
def test_what_is_written_is_read_again(when: datetime, offset: int) -> None:
    """Both written forms give the moment back, whatever the offset."""
    assert parse_instant(format_page(when, offset)) == when
    assert parse_instant(format_iso(when, offset)) == when


@given(st.text(max_size=80))
def test_any_text_is_a_time_or_none(text: str) -> None:
    """No text makes the reader of time stamps fail, and what it reads is in UTC."""
    when = parse_instant(text)
    assert when is None or when.tzinfo is UTC


def test_the_page_writes_two_digits_of_offset() -> None:
    """The written form is the page's to the letter."""
    assert format_page(NOON.replace(microsecond=975911), -4) == "2011-07-26 10:22:26.975911-04"


@given(
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{2}", fullmatch=True)
    | st.tuples(instants, offsets).map(lambda at: format_page(*at))
)
def test_the_page_s_form_means_the_same_both_ways(text: str) -> None:
    """A stamp that Python reads by itself is what our own rules (which a blank in front asks for) make of it."""
    assert parse_instant(text) == parse_instant(" " + text)
