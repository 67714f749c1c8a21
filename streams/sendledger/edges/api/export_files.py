"""What all exports over HTTP have in common: formats, rows as text page by page, and files that are made first.

CSV and NDJSON go out page by page as they are read. Parquet, and whole numbers, which have to be looked up in the
requests, are made in a temporary file first; nobody can open it by its name when the first byte goes out.
"""

from __future__ import annotations

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import orjson
from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from sendledger.domain.rows import Row
from sendledger.domain.spreadsheet import safe_text
from sendledger.edges.exports.database import Database, database
from sendledger.edges.exports.files import Format, write_file
from sendledger_schemas.tables import columns

_MEDIA: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"content": {media.partition(";")[0]: {"schema": {"type": "string"}} for media in _MEDIA.values()}}
}
"""The answer, for OpenAPI."""
_AT_ONCE = 2
_BLOCK = 256 * 1024

FormatParameter = Annotated[Format, Query(alias="format", description="CSV has no text that a spreadsheet calculates")]
Table = Literal["messages", "campaigns"]


def paged(table: Table, pages: Iterator[Iterable[Row]], format_: Literal["csv", "ndjson"]) -> Response:
    """Rows as text; `pages` are drawn one by one in another thread, as the reader takes them."""
    return _answer(table, format_, _written(table, pages, format_))


async def in_one_file(
    request: Request, table: Table, format_: Format, fill: Callable[[Database], Awaitable[None]]
) -> Response:
    """Rows that `fill` adds to the raw table, as a file that is whole before it goes out. Errors: those of `fill`."""
    async with _turns(request):
        with tempfile.TemporaryDirectory(prefix="sendledger-export-") as directory:
            target = Path(directory) / table
            with database(Path(directory) / "export.duckdb") as made:
                await fill(made)
                await asyncio.to_thread(_settled, made, table, target, format_)
            file = target.open("rb")
    return _answer(table, format_, _blocks(file))


def _answer(table: Table, format_: Format, body: AsyncIterator[str] | AsyncIterator[bytes]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{table}.{format_}"'}
    return StreamingResponse(body, headers=headers, media_type=_MEDIA[format_])


def _turns(request: Request) -> asyncio.Semaphore:
    """Each export of this kind works on a file, and some read the log: so many at once."""
    state = request.app.state
    if not hasattr(state, "exports"):
        state.exports = asyncio.Semaphore(_AT_ONCE)
    turns: asyncio.Semaphore = state.exports
    return turns


async def _written(
    table: Table, pages: Iterator[Iterable[Row]], format_: Literal["csv", "ndjson"]
) -> AsyncIterator[str]:
    if format_ == "csv":
        yield ",".join(column.name for column in columns(table)) + "\r\n"
    while (text := await asyncio.to_thread(_next, pages, _csv if format_ == "csv" else _ndjson)) is not None:
        yield text


def _next(pages: Iterator[Iterable[Row]], write: Callable[[Iterable[Row]], str]) -> str | None:
    page = next(pages, None)
    return None if page is None else write(page)


def _ndjson(rows: Iterable[Row]) -> str:
    return "".join(orjson.dumps(row).decode() + "\n" for row in rows)


def _csv(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()  # as DuckDB and JSON write it
    return safe_text(value) if isinstance(value, str) else value


def _settled(made: Database, table: Table, target: Path, format_: Format) -> None:
    made.settle(table)
    write_file(made, table, target, format_)


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
