"""CSV files as people send them: each row is used or refused, and no row spoils another (ISSUE: bad input)."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.csv_rows import rows_of
from sendledger.domain.submission import MAX_ROWS, Fault, Faults, Refused, Row

A, B = "15551234888", "15551234889"


def rows(file: bytes) -> tuple[Row | Refused, ...]:
    """The rows of a file that can be used."""
    found = rows_of(file)
    assert not isinstance(found, Faults), found
    return found


USED = [
    (b"to\n15551234888\n", [Row(1, A)]),
    (b"to\r\n15551234888\r\n", [Row(1, A)]),
    (b"to\r15551234888\r15551234889", [Row(1, A), Row(2, B)]),
    (b"\xef\xbb\xbfto\n15551234888", [Row(1, A)]),
    (b" TO , Text \n15551234888,hi", [Row(1, A, "hi")]),
    (b"name;to;text\nJerry;15551234888;hi, you", [Row(1, A, "hi, you")]),
    (b"to\ttext\n15551234888\thi", [Row(1, A, "hi")]),
    (b"to,text,operator_id\n15551234888,hi,77\n15551234889,,", [Row(1, A, "hi", "77"), Row(2, B)]),
    (b'to,text\n15551234888,"say ""hi"""\n', [Row(1, A, 'say "hi"')]),
    (b'to,text\n15551234888,"two\nlines"\n15551234889,x\n', [Row(1, A, "two\nlines"), Row(2, B, "x")]),
    (b"to\n15551234888,,\n", [Row(1, A)]),  # empty fields too many are a spreadsheet's habit
    (b"to\n\n15551234888\n", [Row(2, A)]),  # a blank line counts, so that row n is line n + 1
    (b"to,text\n15551234888,a\xc2\x85b\xe2\x80\xa8c\n", [Row(1, A, "a\x85b\u2028c")]),  # no line ends of ours
]


@pytest.mark.parametrize(("file", "expected"), USED)
def test_files_that_are_used(file: bytes, expected: list[Row]) -> None:
    """Every usual dialect of CSV is read, with the rows in their order."""
    assert list(rows(file)) == expected


MALFORMED = [
    b"15551234888,hi,there",  # a field too many: perhaps the wrong text for this number
    b"15551234888",  # a field too few: as above
    b'15551234888,"never closed',
    b'15551234888,"closed" badly',
]


@pytest.mark.parametrize("line", MALFORMED)
def test_a_malformed_row_costs_only_itself(line: bytes) -> None:
    """A malformed row is refused with its number; the rows before and after it go."""
    found = rows(b"to,text\n15551234888,a\n" + line + b"\n15551234889,b\n")
    assert [found[0], found[2]] == [Row(1, A, "a"), Row(3, B, "b")]
    assert isinstance(found[1], Refused)
    assert (found[1].row, found[1].field) == (2, "row")


def test_bytes_that_are_no_utf8_cost_only_their_row() -> None:
    """Latin-1 in one row cannot be read as text there; it does not disturb the others."""
    found = rows(b"to,text\n15551234888,gr\xfc\xdfe\n15551234889,ok\n")
    assert isinstance(found[0], Row)
    assert "\udcfc" in (found[0].text or "")  # refused later, as no XML can hold it
    assert found[1] == Row(2, B, "ok")


UNUSABLE = [
    (b"", "the header row has no column 'to'"),
    (b"15551234888\n15551234889\n", "the header row has no column 'to'"),
    (b"to,text,TO\n1,2,3\n", "the header row has the column 'to' twice"),
    (b'"to\n15551234888\n', "the header row cannot be read"),
    (b"to\n", "no rows below the header"),
    (b"to\n\n\n", "no rows below the header"),
    ("to\n15551234888\n".encode("utf-16"), "UTF-16: save it as CSV in UTF-8"),
    (b"to\n" + b"1\n" * (MAX_ROWS + 1), f"more than {MAX_ROWS} rows: split the file"),
]


@pytest.mark.parametrize(("file", "reason"), UNUSABLE, ids=[reason for _, reason in UNUSABLE])
def test_files_that_are_refused_as_a_whole(file: bytes, reason: str) -> None:
    """A file without a usable header or without rows is refused with one reason."""
    assert rows_of(file) == Faults((Fault("file", reason),))


@given(st.binary())
def test_any_bytes_get_an_answer(file: bytes) -> None:
    """Whatever the bytes: rows or a fault, never an exception."""
    rows_of(file)


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"x", b"\x00", b"\xff", b";", b"15551234888"]), max_size=60))
def test_any_broken_csv_gets_an_answer(parts: list[bytes]) -> None:
    """Below a good header every line is a row or a refusal, in order, each number once."""
    found = rows_of(b"to,text\n" + b"".join(parts))
    if not isinstance(found, Faults):
        numbers = [row.row if isinstance(row, Refused) else row.number for row in found]
        assert numbers == sorted(set(numbers))


@given(st.lists(st.tuples(st.text(max_size=30), st.text(min_size=1, max_size=160)), min_size=1, max_size=20))
def test_what_a_csv_writer_writes_is_read_back(written: list[tuple[str, str]]) -> None:
    """Rows that Python's csv writes, with quotes and line breaks inside, come back as they were."""
    clean = [(_plain(to), _plain(text) or "x") for to, text in written]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("to", "text"), *clean])
    found = [row for row in rows(out.getvalue().encode()) if isinstance(row, Row)]
    assert [(row.to, row.text) for row in found if row.number] == clean


def _plain(text: str) -> str:
    # line ends inside quotes become \n, as XML would make them; at most 20 lines a record
    return text.replace("\r", " ").replace("\n", " ", max(0, text.count("\n") - 5)).encode("utf-8", "replace").decode()
