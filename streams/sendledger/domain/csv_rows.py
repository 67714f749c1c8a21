"""A CSV file of recipients as rows: whatever is in it, each row becomes a Row or a Refused, and no row spoils another.

Header row first; column `to`, optional `text` and `operator_id`, others are ignored. UTF-8 (with or without BOM);
comma, semicolon or tab, as the header shows (spreadsheets in half of Europe write semicolons). Rows count from 1
below the header, blank lines included, so that row n is line n + 1 of a file without line breaks inside quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from sendledger.domain.submission import MAX_ROWS, Fault, Faults, Refused, Row

_COLUMNS = ("to", "text", "operator_id")
# A quote that is never closed would swallow the rest of the file: no record of ours needs more lines than this.
_LINES_PER_RECORD = 20
_FIELD = "file"


@dataclass(frozen=True)
class _Header:
    width: int
    delimiter: str
    at: dict[str, int]


def rows_of(file: bytes) -> tuple[Row | Refused, ...] | Faults:
    """All rows below the header, in order; Faults if the file as a whole cannot be used."""
    if file.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Faults((Fault(_FIELD, "UTF-16: save it as CSV in UTF-8"),))
    # Bytes that are no UTF-8 survive as surrogates, which no number and no text may hold: they cost only their row.
    # Every kind of line end is a new line; other separators that str.splitlines() knows may stand in a text.
    lines = list(io.StringIO(file.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"), newline=None))
    if len(lines) > MAX_ROWS + 1:
        return Faults((Fault(_FIELD, f"more than {MAX_ROWS} rows: split the file"),))
    header = _header(lines[0] if lines else "")
    if isinstance(header, Fault):
        return Faults((header,))
    rows = tuple(_rows(lines, header))
    return rows or Faults((Fault(_FIELD, "no rows below the header"),))


def _header(line: str) -> _Header | Fault:
    delimiter = max(",;\t", key=line.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return Fault(_FIELD, "the header row cannot be read")
    if "to" not in names:
        return Fault(_FIELD, "the header row has no column 'to'")
    if twice := next((name for name in _COLUMNS if names.count(name) > 1), None):
        return Fault(_FIELD, f"the header row has the column '{twice}' twice")
    return _Header(len(names), delimiter, {name: names.index(name) for name in _COLUMNS if name in names})


def _rows(lines: list[str], header: _Header) -> Iterator[Row | Refused]:
    number, at = 0, 1
    while at < len(lines):
        number += 1
        fields, used = _record(lines, at, header.delimiter)
        at += used
        if fields is None:
            yield Refused(number, "row", "malformed CSV")
        elif fields:
            yield _row(number, fields, header)


def _record(lines: list[str], at: int, delimiter: str) -> tuple[list[str] | None, int]:
    """The record that starts at line `at`, and how many lines it takes; None and 1 if it is malformed."""
    window = lines[at : at + _LINES_PER_RECORD] if '"' in lines[at] else lines[at : at + 1]
    reader = csv.reader(window, delimiter=delimiter, strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error:
        return None, 1


def _row(number: int, fields: list[str], header: _Header) -> Row | Refused:
    if len(fields) < header.width or any(field.strip() for field in fields[header.width :]):
        return Refused(number, "row", f"{len(fields)} fields, the header has {header.width}")
    values = {name: fields[position] for name, position in header.at.items()}
    return Row(number, values["to"], values.get("text") or None, values.get("operator_id", "").strip() or None)
