"""How many parts a text takes (3GPP TS 23.038, 23.040); a table of known cases, and rules that hold for any text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.parts import BASIC, EXTENSION, MOST_NAMED, Bill, Parts, billed, not_gsm7, parts_of

GSM, UCS = "GSM-7", "UCS-2"

# The default alphabet, code 0x00 to 0x7F without the escape 0x1B, as Unicode's names for it.
GREEK = ["DELTA", "PHI", "GAMMA", "LAMDA", "OMEGA", "PI", "PSI", "SIGMA", "THETA", "XI"]

KNOWN = [
    # text, alphabet, units, parts
    ("", GSM, 0, 1),
    ("Hello Jerry", GSM, 11, 1),
    ("x" * 160, GSM, 160, 1),
    ("x" * 161, GSM, 161, 2),
    ("x" * 306, GSM, 306, 2),
    ("x" * 307, GSM, 307, 3),
    ("x" * 459, GSM, 459, 3),
    ("x" * 460, GSM, 460, 4),
    ("€" * 80, GSM, 160, 1),
    ("€" * 81, GSM, 162, 2),
    ("€" * 152, GSM, 304, 2),  # 76 escape pairs in each part: a septet stays empty
    ("€" * 153, GSM, 306, 3),
    ("x" * 152 + "€" + "x" * 152, GSM, 306, 3),  # the escape pair would be cut: it goes into the second part
    ("x" * 151 + "€" + "x" * 153, GSM, 306, 2),
    ("x" * 159 + "€", GSM, 161, 2),
    ("x" * 158 + "€", GSM, 160, 1),
    ("[link](~)", GSM, 12, 1),
    ("Straße: 5 €\r\nÄÖÜ äöü ñ à É Ç", GSM, 29, 1),
    ("ç", UCS, 1, 1),  # GSM-7 has the capital only
    ("`", UCS, 1, 1),
    ("\t", UCS, 1, 1),
    ("’", UCS, 1, 1),
    ("Hello Jerry – Greetings from Marc!!", UCS, 35, 1),  # the page's own example: its dash is not in GSM-7
    ("e\u0301", UCS, 2, 1),
    ("ą" * 70, UCS, 70, 1),
    ("ą" * 71, UCS, 71, 2),
    ("ą" * 134, UCS, 134, 2),
    ("ą" * 135, UCS, 135, 3),
    ("ą" + "€" * 69, UCS, 70, 1),  # in UCS-2 the euro is one unit
    ("😀" * 35, UCS, 70, 1),
    ("😀" * 36, UCS, 72, 2),
    ("😀" * 66, UCS, 132, 2),  # 33 in each part: a unit stays empty
    ("😀" * 67, UCS, 134, 3),
    ("ą" * 66 + "😀" + "ą" * 66, UCS, 134, 3),  # the pair would be cut: it goes into the second part
    ("ą" * 65 + "😀" + "ą" * 67, UCS, 134, 2),
    ("x" * 159 + "ą", UCS, 160, 3),
    ("😀" * 160, UCS, 320, 5),  # the most that the provider takes
    ("€" * 160, GSM, 320, 3),
]


@pytest.mark.parametrize(("text", "encoding", "units", "count"), KNOWN)
def test_known_texts(text: str, encoding: str, units: int, count: int) -> None:
    """Each limit to the unit: 160 and 153 septets, 70 and 67 units, and pairs that are never cut."""
    assert parts_of(text) == Parts(encoding, units, count)  # type: ignore[arg-type]  # a table's column


def test_the_alphabet_is_the_one_of_the_standard() -> None:
    """127 characters and 10 behind an escape; ASCII's places, the Greek capitals, no lower c with cedilla."""
    assert (len(BASIC), len(set(BASIC)), len(EXTENSION)) == (127, 127, 10)
    at_ascii_places = {
        code for code, character in enumerate(BASIC[:27] + "\x1b" + BASIC[27:]) if ord(character) == code
    }
    plain = set(range(0x20, 0x7B)) - {0x24, 0x40, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F, 0x60}
    assert at_ascii_places == plain | {0x0A, 0x0D, 0x1B}
    greek = [unicodedata.name(c) for c in BASIC if "GREEK" in unicodedata.name(c, "")]
    assert greek == [f"GREEK CAPITAL LETTER {name}" for name in GREEK]
    assert set(EXTENSION) == set("\f^{}\\[~]|€")
    assert "ç" not in BASIC
    assert "Ç" in BASIC


def test_what_forces_ucs2_is_named_once_in_its_order() -> None:
    """Each character that GSM-7 has not is named once, the first one first."""
    assert not_gsm7("Za 5 € – żółć, ż 😀") == ["–", "ż", "ó", "ł", "ć", "😀"]
    assert not_gsm7("Hello [you] {€}") == []


texts = st.text(st.sampled_from("aé€[ą😀\n\u0301\u200f") | st.characters(exclude_categories=["Cs"]), max_size=400)


@given(texts)
def test_units_and_parts_fit(text: str) -> None:
    """Whatever the text: its units are those of the encoding, and they fit into the parts, but not into fewer."""
    found = parts_of(text)
    if found.encoding == "UCS-2":
        assert found.units == len(text.encode("utf-16-le")) // 2
        alone, joined = 70, 67
        assert not_gsm7(text)
    else:
        assert found.units == sum(2 if character in EXTENSION else 1 for character in text)
        alone, joined = 160, 153
        assert set(text) <= set(BASIC + EXTENSION)
    if found.count == 1:
        assert found.units <= alone
    else:
        assert found.units > alone
        # at most one unit of a part stays empty, because a pair is not cut
        assert (found.count - 1) * (joined - 1) < found.units <= found.count * joined


@given(texts, texts)
def test_more_text_never_takes_fewer_parts(text: str, more: str) -> None:
    """Going on writing cannot make a message cheaper."""
    assert parts_of(text + more).count >= parts_of(text).count


def test_messages_together() -> None:
    """A bill adds up the parts of all messages, each text as often as it goes, and names the worst characters first."""
    assert billed(["Hello"] * 950) == Bill("GSM-7", ((1, 950),), 950)
    assert billed(["ą" * 71] * 3) == Bill("UCS-2", ((2, 3),), 6, ("ą",))
    mixed = billed(["Hello", "–", "ż –", "x" * 161, "ż" * 160])
    assert mixed == Bill("mixed", ((1, 3), (2, 1), (3, 1)), 8, ("–", "ż"))
    assert billed([]) is None


def test_a_bill_names_so_many_characters_and_shows_none() -> None:
    """A campaign in another script does not fill the screen; and nothing of a text is in a repr (P7)."""
    found = billed(["".join(map(chr, range(0x4E00, 0x4E00 + 150)))])
    assert found is not None
    assert len(found.not_gsm7) == MOST_NAMED
    assert re.search(r"[\u4e00-\u9fff]", repr(found)) is None


@given(st.lists(texts, min_size=1, max_size=8))
def test_a_bill_is_the_sum_of_its_messages(many: list[str]) -> None:
    """Total and distribution are those of the messages one by one."""
    found = billed(many)
    assert found is not None
    assert found.total == sum(parts_of(text).count for text in many) == sum(n * m for n, m in found.per_message)
    assert sum(messages for _, messages in found.per_message) == len(many)
    assert bool(found.not_gsm7) is (found.encoding != "GSM-7")
