"""Files out of a Database: one, or a folder for each campaign and day. Whole or not there at all.

What is written has a temporary name until it is complete; then it is renamed. Parquet keeps types (times as instants in
UTC); CSV and NDJSON have times as text, and CSV no text that a spreadsheet would calculate.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sendledger.domain.column_types import literal, quoted
from sendledger.domain.spreadsheet import safe_sql
from sendledger.edges.exports.database import Database
from sendledger_schemas.states import Bucket
from sendledger_schemas.tables import Column, columns

Format = Literal["parquet", "csv", "ndjson"]
SUFFIX: dict[Format, str] = {"parquet": ".parquet", "csv": ".csv", "ndjson": ".ndjson"}
STDOUT = Path("/dev/stdout")

_OPTIONS: dict[Format, str] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER",
    "ndjson": "FORMAT json",
}
_AS_IT_IS = "USE_TMP_FILE false"  # into the file that is there, with its mode
_INSTANT = "'%Y-%m-%dT%H:%M:%S.%fZ'"  # as everywhere on the log


class TargetError(Exception):
    """The files cannot be written there; the message says why."""


@dataclass(frozen=True)
class Selection:
    """Which messages: of one bucket, of days (of requested_at, UTC, both included); None: all."""

    bucket: Bucket | None = None
    first_day: date | None = None
    last_day: date | None = None

    def condition(self) -> str:
        """As SQL."""
        wanted = [
            f"{column} {compared} {literal(str(value))}"
            for column, compared, value in (
                ("bucket", "=", self.bucket),
                ("day", ">=", self.first_day),
                ("day", "<=", self.last_day),
            )
            if value is not None
        ]
        return " AND ".join(wanted) or "true"


EVERYTHING = Selection()


def write_file(database: Database, table: str, target: Path, format_: Format, selection: Selection = EVERYTHING) -> int:
    """One file, in the order of the table. Returns the number of rows. Errors: StatementError."""
    return _copy(database, _select(table, format_, selection.condition()), target, format_)


def write_folder(
    database: Database,
    target: Path,
    format_: Format,
    selection: Selection = EVERYTHING,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> int:
    """The messages under `target/campaign_id=…/day=YYYY-MM-DD/`, one file each. Returns the number of rows.

    `tell` is told how many files of how many are written. Errors: StatementError, OSError.
    """
    where = selection.condition()
    found = list(database.run(f"SELECT DISTINCT campaign_id, day FROM messages WHERE {where} ORDER BY ALL").rows())  # noqa: S608 — literals of ours
    rows = 0
    for number, (campaign, day) in enumerate(found, 1):
        folder = target / f"campaign_id={quote(campaign, safe='')}" / f"day={day.isoformat()}"
        folder.mkdir(parents=True)
        of_it = f"campaign_id = {literal(campaign)} AND day = {literal(day.isoformat())} AND {where}"
        rows += _copy(database, _select("messages", format_, of_it), folder / f"messages{SUFFIX[format_]}", format_)
        tell(number, len(found))
    return rows


def _copy(database: Database, query: str, target: Path, format_: Format) -> int:
    copied = database.value(f"COPY ({query}) TO {literal(str(target))} ({_OPTIONS[format_]}, {_AS_IT_IS})")
    return int(copied or 0)


def _select(table: str, format_: Format, where: str) -> str:
    shown = ", ".join(f"{_shown(column, format_)} AS {quoted(column.name)}" for column in columns(table))
    order = "message_id" if table == "messages" else "campaign_id"
    return f"SELECT {shown} FROM {table} WHERE {where} ORDER BY {order}"  # noqa: S608 — names and literals of ours


def _shown(column: Column, format_: Format) -> str:
    name = quoted(column.name)
    if column.kind == "instant":
        return f"{name} AT TIME ZONE 'UTC'" if format_ == "parquet" else f"strftime({name}, {_INSTANT})"
    return safe_sql(name) if column.kind == "text" and format_ == "csv" else name


@contextmanager
def new(target: Path, *, folder: bool = False, overwrite: bool = False, private: bool = False) -> Iterator[Path]:
    """A draft beside `target`, which takes its name once all is well and is gone otherwise.

    `folder`: it is one, else a file, empty at first. `private`: only its owner may read it. Errors: TargetError.
    """
    if target.exists() and not overwrite:
        raise TargetError(f"{target} exists: --overwrite replaces it")
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            draft.mkdir(mode=0o700 if private else 0o777)
        else:
            draft.touch(mode=0o600 if private else 0o666)
        yield draft
        _replace(draft, target)
    except OSError as error:
        raise TargetError(f"cannot write {target}: {error.strerror or type(error).__name__}") from None
    finally:
        _remove(draft)


def _replace(draft: Path, target: Path) -> None:
    if not target.is_dir():
        draft.replace(target)
        return
    # A folder cannot be renamed over another: for a moment there is neither.
    old = draft.with_suffix(".old")
    target.rename(old)
    draft.rename(target)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
