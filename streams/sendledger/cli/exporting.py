"""The verb export: what became of all messages, or the numbers of all campaigns, as files for other programs."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from sendledger.cli.context import joining, reachable, run
from sendledger.cli.errors import CannotError
from sendledger.cli.progress import Shown, bar
from sendledger.config import Settings
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger.edges.exports.database import Database, StatementError, database
from sendledger.edges.exports.files import (
    EVERYTHING,
    STDOUT,
    SUFFIX,
    Format,
    Selection,
    TargetError,
    new,
    write_file,
    write_folder,
)
from sendledger.edges.exports.scan import Reading, read, read_numbers
from sendledger.edges.verify.log import StandstillError
from sendledger_schemas.envelope import UnknownVersion
from sendledger_schemas.states import Bucket

_TO_STDOUT = "-"

FormatOption = Annotated[Format, typer.Option("--format", help="parquet keeps the types; csv; ndjson.")]
PolicyOption = Annotated[Policy, typer.Option(help="Which of several final claims about one message counts.")]
CampaignOption = Annotated[str | None, typer.Option(metavar="ID", help="Only this campaign.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@dataclass(frozen=True)
class _Order:
    """What to write where."""

    table: str
    format: Format
    target: Path | None  # None: standard output
    campaign: str | None
    policy: Policy
    selection: Selection = EVERYTHING
    numbers: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> bool:
        """Whether it becomes a folder for each campaign and day."""
        return self.table == "messages" and self.target is not None and self.target.suffix != SUFFIX[self.format]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    verb = typer.Typer(help="Messages and campaigns as Parquet, CSV or NDJSON.", no_args_is_help=True)
    verb.command("messages")(messages)
    verb.command("campaigns")(campaigns)
    app.add_typer(verb, name="export", rich_help_panel="Analysis")


def messages(
    *,
    format_: FormatOption = "parquet",
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="PATH", help="A folder; one file, if it ends like its format; or -."),
    ] = "messages",
    campaign: CampaignOption = None,
    bucket: Annotated[Bucket | None, typer.Option(help="Only messages in this bucket.")] = None,
    policy: PolicyOption = DEFAULT,
    first_day: Annotated[
        str, typer.Option("--from", metavar="DAY", help="Requested on this day or later: 2026-05-01, UTC.")
    ] = "",
    last_day: Annotated[str, typer.Option("--to", metavar="DAY", help="Requested on this day or before, UTC.")] = "",
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Whole phone numbers instead of the last three digits: personal data.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """What became of each message, one row a message, as of now.

    [bold]Examples[/]
      sendledger export messages                            (Parquet, a folder for each campaign and day)
      sendledger export messages --campaign spring --bucket undelivered --format csv -o spring.csv
      sendledger export messages --from 2026-05-01 --to 2026-05-31 --format ndjson -o - | jq .detail

    The folder is laid out as messages/campaign_id=spring/day=2026-05-01/messages.parquet, as DuckDB, Spark and others
    read it; a day is that of the request, in UTC. Files are complete when they have their name. The columns are
    described in docs/exports.md and by `sendledger sql 'SELECT * FROM columns'`. In CSV an apostrophe stands before a
    text that a spreadsheet would calculate.

    Numbers are masked. --numbers takes them from the requests' topic; only you can read the files then. What is read
    waits in a file under TMPDIR: memory stays below 400 MB whatever the number of messages. Exit code 2 with the reason
    if it cannot be done; nothing is left behind then.
    """
    selection = Selection(bucket, _day("--from", first_day), _day("--to", last_day))
    target = _target(output, format_)
    _export(_Order("messages", format_, target, campaign, policy, selection, numbers=numbers, overwrite=overwrite))


def campaigns(
    format_: FormatOption = "parquet",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="A file, or - for standard output.")
    ] = "",
    campaign: CampaignOption = None,
    policy: PolicyOption = DEFAULT,
    *,
    overwrite: OverwriteOption = False,
) -> None:
    """The numbers of each campaign, one row a campaign, as of now.

    [bold]Examples[/]
      sendledger export campaigns                           writes campaigns.parquet
      sendledger export campaigns --format csv -o -
    """
    target = _target(output or f"campaigns{SUFFIX[format_]}", format_)
    _export(_Order("campaigns", format_, target, campaign, policy, overwrite=overwrite))


def _day(option: str, given: str) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise CannotError(f"{option} {given}: a day, like 2026-05-01") from None


def _target(output: str, format_: Format) -> Path | None:
    if output != _TO_STDOUT:
        return Path(output)
    if format_ == "parquet":
        raise CannotError("--output -: Parquet needs a file; csv and ndjson do not")
    return None


def _export(order: _Order) -> None:
    settings = joining()
    with bar(f"reading {order.table}") as shown:
        try:
            run(_exported(settings, order, shown), settings=settings)
        except (TargetError, StandstillError, UnknownVersion) as error:
            raise CannotError(str(error)) from None
        except StatementError as error:
            raise CannotError(f"DuckDB could not do it: {str(error).splitlines()[0]}") from None


async def _exported(settings: Settings, order: _Order, shown: Shown) -> None:
    await reachable(settings)
    if order.target is not None and order.target.exists() and not order.overwrite:
        raise TargetError(f"{order.target} exists: --overwrite replaces it")
    with tempfile.TemporaryDirectory(prefix="sendledger-export-") as directory, \
            database(Path(directory) / "export.duckdb") as made:  # fmt: skip
        reading = Reading(made, [order.table], order.campaign, order.policy)
        await read(reading, settings.kafka, partitions=settings.partitions, progress=shown[0])
        if order.numbers:
            await read_numbers(reading, settings.kafka, progress=shown[0])
        rows = await asyncio.to_thread(_written, made, order, shown)
    for line in _told(reading, order, rows):
        shown[1](line)


def _written(made: Database, order: _Order, shown: Shown) -> int:
    made.settle(order.table)
    if order.campaign is not None and not made.value(f"SELECT count(*) FROM {order.table}"):  # noqa: S608 — a name of ours
        raise CannotError(f"nothing is known of a campaign {order.campaign}")
    if order.numbers and (left := made.value("""SELECT count(*) FROM messages WHERE "to" LIKE '*%'""")):
        shown[1](f"{left} numbers stay masked: their requests are not on the log any more")
    if order.target is None:
        return write_file(made, order.table, STDOUT, order.format, order.selection)
    with new(order.target, folder=order.folder, overwrite=order.overwrite, private=order.numbers) as draft:
        if order.folder:
            return write_folder(made, draft, order.format, order.selection, shown[0])
        return write_file(made, order.table, draft, order.format, order.selection)


def _told(reading: Reading, order: _Order, rows: int) -> Collection[str]:
    where = "" if order.target is None else f" in {order.target}"
    left_out = [
        f"{count} records of {topic} could not be read: left out" for topic, count in reading.unreadable.items()
    ]
    return [*left_out, f"{rows} {order.table}{where}"]
