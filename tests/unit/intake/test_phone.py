"""What people write, and the digits that become of it (DESIGN §8, Numbers)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.phone import (
    COUNTRY,
    NATIONAL,
    NOT_A_NUMBER,
    TOO_LONG,
    TOO_SHORT,
    Refusal,
    canonical,
)
from sendledger_schemas.ids import digits_of

PAGE = "15551234888"

GOES = [
    # written, region, digits
    (PAGE, None, PAGE),
    (f" {PAGE} ", None, PAGE),
    (f"+{PAGE}", None, PAGE),
    (f"00{PAGE}", None, PAGE),
    (f"00 {PAGE}", None, PAGE),
    ("+1 (555) 123-4888", None, PAGE),
    ("+1.555.123.4888", None, PAGE),
    ("1-555-123-4888", None, PAGE),
    ("+1\u00a0555\u00a01234888", None, PAGE),
    (PAGE, "DE", PAGE),  # digits alone are international, whatever the region
    ("4915123456789", "US", "4915123456789"),
    ("015123456789", "DE", "4915123456789"),
    ("0151 / 234 567-89", "DE", "4915123456789"),
    ("(0151) 23456789", "DE", "4915123456789"),
    ("0015551234888", "DE", PAGE),  # 00 is international also with a region
    ("07911 123456", "GB", "447911123456"),
    ("0612345678", "IT", "390612345678"),  # Italy keeps its 0
    ("+39 06 12345678", None, "390612345678"),
    ("+44 (0)20 7946 0958", None, "442079460958"),
    ("+44 020 7946 0958", None, "442079460958"),  # impossible with the 0, possible without
    ("43000000", None, "43000000"),  # possible as written: nobody may change it
]

DOES_NOT = [
    # written, region, reason
    ("", None, NOT_A_NUMBER),
    ("   ", None, NOT_A_NUMBER),
    ("----", None, NOT_A_NUMBER),
    ("hello", None, NOT_A_NUMBER),
    ("1-800-FLOWERS", None, NOT_A_NUMBER),
    ("1555123488x", None, NOT_A_NUMBER),
    ("15551234888;15551234889", None, NOT_A_NUMBER),
    ("15551234888,0", None, NOT_A_NUMBER),
    ("++15551234888", None, NOT_A_NUMBER),
    ("1.5551234888E+10", None, NOT_A_NUMBER),  # a spreadsheet's number
    ("15551234888.0", None, NOT_A_NUMBER),  # its last 0 is no digit: 155512348880 would be somebody else
    ("15551234888.", None, NOT_A_NUMBER),
    ("\u0661\u0665\u0665\u0665\u0661\u0662\u0663\u0664\u0668\u0668\u0668", None, NOT_A_NUMBER),
    ("1555123\n4888", None, NOT_A_NUMBER),
    ("\udcff15551234888", None, NOT_A_NUMBER),
    ("1" * 41, None, NOT_A_NUMBER),
    ("1555123488", None, TOO_SHORT),
    ("1234888", None, TOO_SHORT),
    ("5", None, NOT_A_NUMBER),
    ("155512348889", None, TOO_LONG),
    ("1" * 30, None, TOO_LONG),
    ("999123456789", None, COUNTRY),
    ("000015551234888", None, COUNTRY),
    ("015123456789", None, NATIONAL),
    ("(0151) 23456789", None, NATIONAL),
    ("0", None, NATIONAL),
    ("05551234888", "US", TOO_LONG),
]


@pytest.mark.parametrize(("written", "region", "digits"), GOES)
def test_numbers_that_go(written: str, region: str | None, digits: str) -> None:
    """Every way to write a possible number gives its international digits."""
    assert canonical(written, region) == digits


@pytest.mark.parametrize(("written", "region", "reason"), DOES_NOT)
def test_numbers_that_do_not(written: str, region: str | None, reason: str) -> None:
    """What is no possible number is refused with its reason, never guessed."""
    assert canonical(written, region) == Refusal(reason)


@given(st.from_regex(r"[1-9][0-9]{4,16}", fullmatch=True))
def test_the_digits_are_a_fixed_point(written: str) -> None:
    """Canonical digits stay what they are, and what every side of the ledger compares is the same text."""
    digits = canonical(written)
    if isinstance(digits, str):
        assert canonical(digits) == digits
        assert digits_of(digits) == digits
        assert canonical(f"+{digits}") == canonical(f"00{digits}") == digits


@given(st.text(), st.sampled_from([None, "DE", "US", "IT"]))
def test_any_text_gets_an_answer(written: str, region: str | None) -> None:
    """Whatever is written: 5 to 15 digits or a reason, and never an exception."""
    answer = canonical(written, region)
    if isinstance(answer, Refusal):
        assert answer.reason
    else:
        assert answer.isascii()
        assert answer.isdigit()
        assert 5 <= len(answer) <= 20


@given(st.from_regex(r"[0-9+ ()]{3,20}", fullmatch=True))
def test_a_refusal_does_not_quote_the_number(written: str) -> None:
    """A reason holds no digit of what was written (P7)."""
    answer = canonical(written)
    assert not (isinstance(answer, Refusal) and any(c.isdigit() for c in answer.reason))
