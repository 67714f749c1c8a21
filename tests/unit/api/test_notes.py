"""What people write beside their orders (P7)."""

from __future__ import annotations

import pytest

from sendledger.edges.orders import without_numbers

NOTES = [
    ("typo in the text", "typo in the text"),
    ("asked by 15551234888 twice", "asked by *** twice"),
    ("+1 (555) 123-4888", "+***"),
    ("ticket 4711", "ticket 4711"),
    ("2026-11-22", "***"),
]


@pytest.mark.parametrize(("note", "kept"), NOTES)
def test_a_note_loses_what_may_be_a_number(note: str, kept: str) -> None:
    """Reasons and notes go to the log without runs of digits that may be a phone number (P7)."""
    assert without_numbers(note) == kept
