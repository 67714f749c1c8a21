"""The verb sql: questions to the ledger in SQL, on a fresh export in DuckDB."""

from __future__ import annotations

import asyncio
import csv
import json as json_format
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from sendledger.cli.context import joining, reachable, run
from sendledger.cli.errors import CannotError
from sendledger.cli.progress import Shown, bar
from sendledger.config import Settings
from sendledger.domain.spreadsheet import safe_text
from sendledger.edges.exports import views
from sendledger.edges.exports.database import Database, Result, StatementError, database
from sendledger.edges.exports.scan import Reading, read
from sendledger.edges.verify.log import StandstillError
from sendledger_schemas.envelope import UnknownVersion
from sendledger_schemas.fields import format_instant
from sendledger_schemas.tables import TABLES

Form = Literal["table", "csv", "json"]
Row = Sequence[Any]

_SHOWN = 1_000
_WORD = re.compile(r"[a-z_]+")
_HELP = """Statements end with a semicolon. .tables  .columns [TABLE]  .exit
Tables: messages, campaigns, errors, attempts, postbacks; `columns` describes every column. Times are UTC.
`to` is a word of SQL: write "to" or m.to."""


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sql", rich_help_panel="Analysis")(sql)


def sql(
    statement: Annotated[str | None, typer.Argument(help="One statement; without it a prompt.")] = None,
    form: Annotated[Form, typer.Option("--format", help="table, csv, or json (one object a line).")] = "table",
    campaign: Annotated[str | None, typer.Option(metavar="ID", help="Read only this campaign.")] = None,
) -> None:
    """Ask in SQL: the topics are read into DuckDB, as they are now, and forgotten afterwards.

    [bold]Examples[/]
      sendledger sql "SELECT campaign_id, bucket, count(*) FROM messages GROUP BY ALL ORDER BY ALL"
      sendledger sql "SELECT reason, meaning, messages FROM errors WHERE campaign_id = 'spring'"
      sendledger sql "SELECT day, operator_id, avg(delivered::int) FROM (SELECT *, bucket = 'delivered' AS delivered FROM messages) GROUP BY ALL"
      sendledger sql "SELECT table_name, column_name, description FROM columns"
      sendledger sql                                        a prompt (DuckDB's own, if `duckdb` is installed)

    Tables: messages, campaigns, errors, attempts, postbacks, and `columns`, which describes them. Numbers are masked,
    texts are not there. Only the topics of the tables that a statement names are read. Statements can also come from
    standard input. Exit code 2 if a statement is wrong.
    """  # noqa: E501 — examples are copied as one line
    settings = joining()
    with tempfile.TemporaryDirectory(prefix="sendledger-sql-") as directory:
        path = Path(directory) / "sendledger.duckdb"
        wanted = tuple(TABLES) if statement is None else named(statement)
        try:
            with database(path) as made:
                with bar("reading the log") as shown:
                    run(_fill(settings, made, wanted, campaign, shown), settings=settings)
                if statement is not None:
                    _print(made.run(statement), form)
                    return
                if not sys.stdin.isatty():
                    for each in statements(sys.stdin):
                        _print(made.run(each), form)
                    return
        except (StandstillError, StatementError, UnknownVersion) as error:
            raise CannotError(str(error)) from None
        _prompt(path, form)


def named(statement: str) -> tuple[str, ...]:
    """The tables that a statement may read: those whose names are in it."""
    words = set(_WORD.findall(statement.lower()))
    return tuple(table for table in TABLES if table in words)


def statements(lines: Iterable[str]) -> Iterator[str]:
    """What stands before each semicolon at the end of a line; the last one may be without."""
    waiting = ""
    for line in lines:
        waiting += line
        if waiting.rstrip().endswith(";"):
            yield waiting
            waiting = ""
    if waiting.strip():
        yield waiting


async def _fill(
    settings: Settings, made: Database, wanted: Collection[str], campaign: str | None, shown: Shown
) -> None:
    await reachable(settings)
    needed = {*wanted, *(other for table in wanted for other in views.NEEDS.get(table, ()))}
    reading = Reading(made, needed, campaign)
    if reading.topics:
        await read(reading, settings.kafka, partitions=settings.partitions, progress=shown[0])
    await asyncio.to_thread(views.make, made, needed)
    for topic, count in reading.unreadable.items():
        shown[1](f"{count} records of {topic} could not be read: left out")


# ---------------------------------------------------------------------------------------- prompt
def _prompt(path: Path, form: Form) -> None:
    program = shutil.which("duckdb")
    if program is not None and _opens(program, path):
        subprocess.run([program, "-cmd", "SET TimeZone = 'UTC'", str(path)], check=False)
        return
    typer.echo(_HELP)
    with database(path, fill=False) as made:
        _loop(made, form, _ask)


def _opens(program: str, path: Path) -> bool:
    """Whether that DuckDB is new enough for the file."""
    tried = subprocess.run([program, "-readonly", str(path), "-c", "SELECT 1"], check=False, capture_output=True)
    return tried.returncode == 0


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _loop(made: Database, form: Form, ask: Callable[[str], str | None]) -> None:
    """Statement after statement until the end of input; a wrong one is told, and the next one asked for."""
    waiting = ""
    while (line := ask("sendledger> " if not waiting else "       ...> ")) is not None:
        command = line.strip().rstrip(";") if not waiting else ""
        if command in (".exit", ".quit", "exit", "quit"):
            return
        if command.startswith("."):
            waiting = _command(command)
        else:
            waiting += line + "\n"
        if waiting.rstrip().endswith(";"):
            try:
                _print(made.run(waiting), form)
            except StatementError as error:
                typer.echo(str(error), err=True)
            waiting = ""
        elif not waiting.strip():
            waiting = ""


def _command(command: str) -> str:
    """A dot command as a statement; an unknown one shows the help."""
    name, _, table = command.partition(" ")
    if name == ".tables":
        return "SELECT DISTINCT table_name FROM columns ORDER BY ALL;"
    if name == ".columns":
        only = f" WHERE table_name = '{table.strip()}'" if table.strip().isidentifier() else ""
        return f"SELECT table_name, column_name, column_type, description FROM columns{only};"  # noqa: S608 — an identifier
    typer.echo(_HELP)
    return ""


# ---------------------------------------------------------------------------------------- what is shown
def _print(found: Result, form: Form) -> None:
    names, rows = found.names, found.rows()
    if not names:
        return
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)
    elif form == "json":
        for row in rows:
            document = {name: _plain(value) for name, value in zip(names, row, strict=True)}
            sys.stdout.write(json_format.dumps(document, ensure_ascii=False, default=str) + "\n")
    else:
        _table(names, rows)
    sys.stdout.flush()


def _table(names: Sequence[str], rows: Iterator[Row]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2))
    for name in names:
        table.add_column(name, overflow="fold")
    for row in islice(rows, _SHOWN):
        table.add_row(*("" if value is None else str(_plain(value)) for value in row))
    console = Console()
    console.print(table, markup=False, highlight=False)
    if next(rows, None) is not None:
        typer.echo(f"… only the first {_SHOWN} rows: --format csv or json has all", err=True)


def _cell(value: Any) -> Any:
    plain = _plain(value)
    return safe_text(plain) if isinstance(value, str) else plain


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    return value
