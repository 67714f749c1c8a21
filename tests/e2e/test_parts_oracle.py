"""The count of parts beside a program that others wrote for the same purpose (npm: sms-segments-calculator).

The oracle also keeps together two code points that are one sign to the eye (e and its accent), which no standard asks
for and no phone needs; with them it counts otherwise. So it is asked both ways: as it is, and by code points.
"""

from __future__ import annotations

import json
import operator
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendledger.domain.parts import BASIC, EXTENSION, not_gsm7, parts_of
from tests.unit.intake.test_parts import KNOWN

ORACLE = Path(__file__).parents[1] / "oracles" / "sms"


class Said(NamedTuple):
    """What the oracle says of a text; `alone`: no two of its code points are one sign."""

    encoding: str
    by_signs: int
    by_code_points: int
    alone: bool


Ask = Callable[[list[str]], list[Said]]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Ask]:
    """One process of the oracle for all tests: a list of texts in, a list of answers out."""
    node = shutil.which("node")
    if node is None or not (ORACLE / "node_modules" / "sms-segments-calculator").is_dir():
        why = "no oracle for the count of parts: it needs Node.js and npm, and infra/setup_tests.sh (make test runs it)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    with subprocess.Popen([node, "parts.js"], cwd=ORACLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(texts: list[str]) -> list[Said]:
            stdin.write(json.dumps(texts).encode() + b"\n")
            stdin.flush()
            return [Said(*one) for one in json.loads(stdout.readline())]

        yield ask
        stdin.close()
        assert process.wait(10) == 0


def compare(oracle: Ask, texts: list[str]) -> int:
    """Compare what we say of each text with the oracle; of how many the oracle's usual answer could be compared."""
    said = oracle(texts)
    for text, one in zip(texts, said, strict=True):
        found = parts_of(text)
        assert (found.encoding, found.count) == (one.encoding, one.by_code_points), ascii(text)
        assert found.count == one.by_signs or not one.alone, ascii(text)
        assert bool(not_gsm7(text)) is (one.encoding == "UCS-2")
    return sum(one.alone for one in said)


def test_every_known_case(oracle: Ask) -> None:
    """The table of the unit tests holds for the oracle, too."""
    compare(oracle, [text for text, *_ in KNOWN])


def test_every_character_by_itself(oracle: Ask) -> None:
    """The first 12,000 characters of Unicode and many beyond, one by one: the two agree which ones GSM-7 has."""
    some = [chr(code) for code in (*range(12_000), *range(12_000, 0x110000, 101)) if not 0xD800 <= code <= 0xDFFF]
    assert [parts_of(one).encoding for one in some] == [said.encoding for said in oracle(some)]


def test_every_length_around_the_limits(oracle: Ask) -> None:
    """Runs of one and of two units, and a pair at each place where it could be cut."""
    lengths = (*range(30, 80), *range(130, 170), *range(295, 330))
    runs = [character * length for character in "x€ą😀" for length in lengths]
    pairs = [one * before + two + one * 200 for one, two in ("x€", "ą😀") for before in range(170)]
    assert compare(oracle, runs + pairs) == len(runs + pairs)


characters = (
    st.sampled_from(BASIC)
    | st.sampled_from(EXTENSION)
    | st.sampled_from("ąż–’😀🇵🇱👍🏽\u0301\u200d\ufe0f\u200f\r")
    | st.characters(exclude_categories=["Cs"])
)


def runs_of(some: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of some runs of a character, so that they are long enough for several parts."""
    runs = st.lists(st.builds(operator.mul, some, st.integers(1, 90)), max_size=12)
    return runs.map("".join)


texts = runs_of(st.sampled_from(BASIC + EXTENSION)) | runs_of(characters) | st.text(characters)


@settings(max_examples=200)
@example(["a\r\nb" * 60, "0" * 71 + "\u0300" * 64])
@given(st.lists(texts, min_size=1, max_size=20))
def test_any_text(oracle: Ask, texts: list[str]) -> None:
    """Whatever the text, encoding and parts are the oracle's."""
    compare(oracle, texts)
