"""`sendledger dead-letters list|show|retry`: what could not be used, why, and bringing it in again."""

from __future__ import annotations

import json as json_format
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from sendledger.cli.context import joined
from sendledger.cli.errors import CannotError, FailedError
from sendledger.config import Settings
from sendledger.domain.moments import Wrong, moment_of
from sendledger.edges import dead_letter_office as office
from sendledger.edges.letter_text import masked, revealed
from sendledger.edges.postback_records import PostbackRecords
from sendledger_schemas.topics import TOPICS

_HELP = """Records that could not be used, and bringing them in again.

Bytes that nobody can read never stop the program. They go, untouched, to
TOPIC.dlq with the reason, and everything else goes on. A postback in here
is a receipt that no campaign counts yet.

[bold]What to do[/]
  1  sendledger dead-letters list --summary      how many, of what, why
  2  sendledger dead-letters show LETTER         one of them, masked
  3  fix the decoder, and start the roles with it
  4  sendledger dead-letters retry --dry-run     what could be read by now
  5  sendledger dead-letters retry               bring it in

Nothing comes in twice, however often one retries. The letters hold phone
numbers and texts; they are deleted after
SENDLEDGER_DEAD_LETTER_RETENTION_DAYS (14).
"""
State = Literal["open", "brought-in", "all"]
Name = Annotated[str, typer.Argument(metavar="LETTER", help="As `list` names it: TOPIC:OFFSET.")]
Topic = Annotated[
    list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only letters about it; may be repeated.")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Only letters whose reason has this in it.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="Only letters from then on: 2026-05-01T09:00+02:00, or -2h.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON: one line a letter, or one document.")]


def add_to(app: typer.Typer, panel: str) -> None:
    """Add these verbs."""
    letters = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    letters.command("list")(letters_list)
    letters.command("show")(letters_show)
    letters.command("retry")(letters_retry)
    app.add_typer(letters, name="dead-letters", rich_help_panel=panel)


def letters_list(
    *,
    topic: Topic = None,
    reason: Reason = "",
    since: Since = "",
    state: Annotated[State, typer.Option(help="Waiting, brought in again, or both.")] = "all",
    summary: Annotated[
        bool, typer.Option("--summary", help="Only how many there are of each topic and reason.")
    ] = False,
    json: Json = False,
) -> None:
    """All dead letters: where from, why, and whether they were brought in again. Never what is in them.

    [bold]Examples[/]
      sendledger dead-letters list --summary
      sendledger dead-letters list --state open --since -1d
      sendledger dead-letters list --topic sms.postbacks.v1 --json
    """
    wanted = _wanted(topic, reason, since, state=state)
    letters = joined(lambda settings: office.list_letters(settings.kafka, wanted))
    if summary:
        _print_summary(letters, json=json)
    elif json:
        for letter in letters:
            sys.stdout.write(json_format.dumps(_fields(letter)) + "\n")
    else:
        table = Table("letter", "at", "why", "bytes", "", box=None, header_style="bold", padding=(0, 2))
        for letter in letters:
            status = "brought in" if letter.retried else ""
            at = letter.at.isoformat(timespec="seconds")
            table.add_row(letter.name, at, letter.reason, str(letter.size), status)
        Console().print(table)


def letters_show(
    name: Name,
    *,
    reveal_numbers: Annotated[
        bool, typer.Option("--reveal-numbers", help="Also phone numbers and texts, as they came. Personal data.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the untouched bytes, for a file: a sample for a test. Personal data.")
    ] = False,
    json: Json = False,
) -> None:
    """One dead letter with its text, masked: message texts are hidden, and of numbers all but the last 3 digits.

    [bold]Examples[/]
      sendledger dead-letters show sms.postbacks.v1:17
      sendledger dead-letters show sms.postbacks.v1:17 --raw > broken.xml
    """
    letter = joined(lambda settings: office.show_letter(settings.kafka, name))
    if letter is None:
        raise CannotError(f"there is no dead letter {name}: `sendledger dead-letters list` names them")
    if raw:
        sys.stdout.buffer.write(letter.value)
        return
    text = revealed(letter.value) if reveal_numbers else masked(letter.value)
    if json:
        sys.stdout.write(json_format.dumps({**_fields(letter), "text": text, "masked": not reveal_numbers}) + "\n")
        return
    place = "" if letter.partition is None else f", partition {letter.partition}, offset {letter.offset}"
    typer.echo(f"{letter.name}  {letter.at.isoformat()}  about {letter.source}{place}")
    typer.echo(f"{letter.error}: {letter.reason}{'  (brought in again)' if letter.retried else ''}")
    typer.echo(text)


def letters_retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LETTER]", help="These letters; without any, every open one.")
    ] = None,
    *,
    topic: Topic = None,
    reason: Reason = "",
    since: Since = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what could be read by now.")] = False,
    json: Json = False,
) -> None:
    """Bring dead letters in again that can be read by now. Run it with the version that holds the fix.

    A postback becomes an event with the time at which it came; a record goes
    back to its topic and partition. What was brought in is marked on the log,
    so that a second run leaves it alone. After a crash in the middle the same
    event may stand there once more, and no number counts it. What is still
    unreadable stays where it is: exit code 1.

    [bold]Examples[/]
      sendledger dead-letters retry --dry-run
      sendledger dead-letters retry sms.postbacks.v1:17 sms.postbacks.v1:18
      sendledger dead-letters retry --reason broken --since -1d
    """
    wanted = _wanted(topic, reason, since, names=names or None)

    async def retry(settings: Settings) -> office.Retried:
        records = PostbackRecords(settings.pepper(), settings.partitions, "sendledger/dead-letters")
        return await office.retry_letters(settings.kafka, records, wanted, rehearse=dry_run)

    done = joined(retry)
    if names and not (done.brought_in or done.still_unreadable or done.done_before):
        raise CannotError(f"there is no dead letter {' or '.join(names)}: `sendledger dead-letters list` names them")
    if json:
        told = {"brought_in": done.brought_in, "still_unreadable": done.still_unreadable}
        sys.stdout.write(json_format.dumps({**told, "done_before": done.done_before, "dry_run": dry_run}) + "\n")
    else:
        what = "could be brought in" if dry_run else "brought in"
        counts = f"{len(done.brought_in)} {what}, {len(done.still_unreadable)} still unreadable"
        typer.echo(f"{counts}, {len(done.done_before)} brought in before")
    if done.still_unreadable:
        raise FailedError("")


def _wanted(
    topics: Sequence[str] | None,
    reason: str,
    since: str,
    *,
    names: Sequence[str] | None = None,
    state: State = "all",
) -> office.Wanted:
    """Errors: CannotError for a topic or a time that there is not."""
    for topic in topics or ():
        if topic not in TOPICS:
            raise CannotError(f"--topic: there is no topic {topic}; there are {', '.join(sorted(TOPICS))}")
    moment = moment_of(since, datetime.now(UTC)) if since else None
    if isinstance(moment, Wrong):
        raise CannotError(f"--since: {moment.reason}")
    return office.Wanted(names=names, topics=topics or None, reason=reason, since=moment, state=state)


def _fields(letter: office.Letter) -> dict[str, Any]:
    """What may be told of a letter: nothing of its content."""
    names = ("name", "source", "partition", "offset", "error", "reason", "size", "copies", "retried")
    return {"at": letter.at.isoformat(), **{name: getattr(letter, name) for name in names}}


def _print_summary(letters: Sequence[office.Letter], *, json: bool) -> None:
    kinds = Counter((letter.source, letter.reason, letter.retried) for letter in letters)
    rows = sorted({(source, reason) for source, reason, _ in kinds})
    if json:
        for source, reason in rows:
            counts = {"open": kinds[source, reason, False], "brought_in": kinds[source, reason, True]}
            sys.stdout.write(json_format.dumps({"source": source, "reason": reason, **counts}) + "\n")
        return
    table = Table("topic", "why", "open", "brought in", box=None, header_style="bold", padding=(0, 2))
    for source, reason in rows:
        table.add_row(source, reason, str(kinds[source, reason, False]), str(kinds[source, reason, True]))
    Console().print(table)
