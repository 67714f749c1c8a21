"""The verbs about the installation: dead-letters, topics, config, postback-url, page."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sendledger.cli import shown
from sendledger.cli.context import joining, reachable, run
from sendledger.cli.errors import CannotError, FailedError
from sendledger.config import Settings, load
from sendledger.edges import dead_letter_office as office
from sendledger.edges import system_record, topics
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.running import find
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.up import LIVE_PAGE, addresses

Name = Annotated[str, typer.Argument(metavar="LETTER", help="As `list` names it: TOPIC:OFFSET.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    panel = "Installation"
    letters = typer.Typer(help="Records that could not be used, and bringing them in again.", no_args_is_help=True)
    letters.command("list")(letters_list)
    letters.command("show")(letters_show)
    letters.command("retry")(letters_retry)
    app.add_typer(letters, name="dead-letters", rich_help_panel=panel)
    log = typer.Typer(help="The topics on Kafka.", no_args_is_help=True)
    log.command("check")(topics_check)
    log.command("create")(topics_create)
    app.add_typer(log, name="topics", rich_help_panel=panel)
    app.command("config", rich_help_panel=panel)(config)
    app.command("postback-url", rich_help_panel=panel)(postback_url)
    app.command("page", rich_help_panel=panel)(page)


def letters_list(*, json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False) -> None:
    """All dead letters: where from, why, and whether they were brought in again."""
    letters = _run(lambda settings: office.list_letters(settings.kafka))
    if json:
        for letter in letters:
            fields = ("name", "error", "reason", "size", "retried")
            document = {"at": letter.at.isoformat(), **{name: getattr(letter, name) for name in fields}}
            sys.stdout.write(json_format.dumps(document) + "\n")
        return
    table = Table("letter", "at", "why", "bytes", "", box=None, header_style="bold", padding=(0, 2))
    for letter in letters:
        retried = "brought in" if letter.retried else ""
        table.add_row(letter.name, letter.at.isoformat(timespec="seconds"), letter.reason, str(letter.size), retried)
    Console().print(table)


def letters_show(name: Name) -> None:
    """One dead letter with its text, every number masked.

    [bold]Example[/]
      sendledger dead-letters show sms.postbacks.v1:17
    """
    letter = _run(lambda settings: office.show_letter(settings.kafka, name))
    if letter is None:
        raise CannotError(f"there is no dead letter {name}")
    place = "" if letter.partition is None else f", partition {letter.partition}, offset {letter.offset}"
    typer.echo(f"{letter.name}  {letter.at.isoformat()}  about {letter.source}{place}")
    typer.echo(f"{letter.error}: {letter.reason}")
    typer.echo(office.masked(letter.value))


def letters_retry(
    name: Annotated[
        str | None, typer.Argument(metavar="[LETTER]", help="One letter; without it every open one.")
    ] = None,
) -> None:
    """Bring dead letters in again that can be read by now.

    [bold]Example[/]
      sendledger dead-letters retry sms.postbacks.v1:17
    """

    async def retry(settings: Settings) -> office.Retried:
        records = PostbackRecords(settings.pepper(), settings.partitions, "sendledger/dead-letters")
        return await office.retry_letters(settings.kafka, records, None if name is None else [name])

    done = _run(retry)
    if name is not None and not (done.brought_in or done.still_unreadable or done.done_before):
        raise CannotError(f"there is no dead letter {name}")
    counts = f"{len(done.brought_in)} brought in, {len(done.still_unreadable)} still unreadable"
    typer.echo(f"{counts}, {len(done.done_before)} brought in before")
    if done.still_unreadable:
        raise FailedError("")


def topics_check() -> None:
    """Whether all topics are as the program needs them. Exit code 1 if not."""
    problems = _run(topics.check)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise FailedError("")
    typer.echo(f"{len(topics.registered())} topics are as they should be")


def topics_create() -> None:
    """Create what is missing, and write the system record (the pepper's fingerprint, the partitions) once.

    [bold]Example[/]
      KAFKA_BOOTSTRAP_SERVERS=kafka:9092 SENDLEDGER_RECIPIENT_PEPPER_FILE=pepper.txt sendledger topics create
    """

    async def create(settings: Settings) -> list[str]:
        made = await topics.create(settings)
        await system_record.confirm(settings)
        return made

    made = _run(create)
    for name in made:
        typer.echo(name)
    typer.echo(f"{len(made)} topics created")


def config(*, json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Every setting and its value; of a secret only whether it is set."""
    settings = load()
    echo = settings.echo()
    if json:
        json_format.dump(echo, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        Console().print(shown.settings(echo))
    for warning in settings.warnings:
        typer.echo(warning, err=True)


def postback_url() -> None:
    """The address to give to the provider for its postbacks. It holds a token: treat it like a password."""
    settings = with_kept_secrets(load())
    if not settings.postback_tokens:
        raise CannotError("SENDLEDGER_POSTBACK_TOKENS: must be set")
    public = settings.public_url
    base = public.rstrip("/") if public else f"http://{settings.receiver_host}:{settings.receiver_port}"
    for token in settings.postback_tokens:
        typer.echo(f"{base}/postbacks/{token.get_secret_value()}")
    if not public:
        typer.echo("the provider cannot reach this address: set SENDLEDGER_PUBLIC_URL to the one it can", err=True)


def page() -> None:
    """The address of the live page, and a token to sign in with: treat it like a password.

    [bold]Example[/]
      SENDLEDGER_DATA_DIR=/tmp/sendledger-demo-x/data sendledger page
    """
    settings = with_kept_secrets(load())
    if not settings.api_tokens:
        raise CannotError("SENDLEDGER_API_TOKENS: must be set")
    running = find(settings.data_dir)
    known = None if running is None else running.urls.get(LIVE_PAGE)
    typer.echo(known or addresses(settings)[LIVE_PAGE])
    if running is None:
        typer.echo(f"no Sendledger runs on {settings.data_dir} just now: start `sendledger up`", err=True)
    for given in settings.api_tokens:
        typer.echo(f"{given.scope} token: {given.token.get_secret_value()}")


def _run(work: Callable[[Settings], Coroutine[Any, Any, Any]]) -> Any:
    settings = joining()

    async def reached() -> Any:
        return await work(await reachable(settings))

    return run(reached(), settings=settings)
