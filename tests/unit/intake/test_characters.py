"""Characters in words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.characters import described, shown

TABLE = [
    # character, in words, as shown
    ("ą", "U+0105 LATIN SMALL LETTER A WITH OGONEK", "ą (U+0105 LATIN SMALL LETTER A WITH OGONEK)"),
    ("😀", "U+1F600 GRINNING FACE", "😀 (U+1F600 GRINNING FACE)"),
    ("\x00", "U+0000 control character", "U+0000 control character"),
    ("\t", "U+0009 control character", "U+0009 control character"),
    ("\u00a0", "U+00A0 NO-BREAK SPACE", "U+00A0 NO-BREAK SPACE"),
    ("\u200f", "U+200F RIGHT-TO-LEFT MARK", "U+200F RIGHT-TO-LEFT MARK"),
    ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE", "U+202E RIGHT-TO-LEFT OVERRIDE"),
    ("\u0301", "U+0301 COMBINING ACUTE ACCENT", "U+0301 COMBINING ACUTE ACCENT"),
    ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    ("\ufffe", "U+FFFE not assigned", "U+FFFE not assigned"),
    ("\ue000", "U+E000 private use", "U+E000 private use"),
    (
        "\udcff",
        "U+DCFF half of a pair, or a byte that is no UTF-8",
        "U+DCFF half of a pair, or a byte that is no UTF-8",
    ),
]


@pytest.mark.parametrize(("character", "words", "on_a_line"), TABLE)
def test_a_character_in_words(character: str, words: str, on_a_line: str) -> None:
    """Code and name for each; the character itself only where it harms nothing."""
    assert (described(character), shown(character)) == (words, on_a_line)


@given(st.characters())
def test_nothing_raw_that_controls_a_terminal(character: str) -> None:
    """Whatever the character: what is shown is printable and does not turn the line round."""
    line = described(character) + shown(character)
    assert line.isprintable()
    assert not any(unicodedata.bidirectional(c) in {"RLE", "LRE", "RLO", "LRO", "RLI", "LRI", "FSI"} for c in line)
