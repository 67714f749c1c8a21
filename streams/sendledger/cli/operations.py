"""The verbs about the installation: dead-letters (dead_letters.py), topics, config, postback-url, page."""

from __future__ import annotations

import json as json_format
import sys
from typing import Annotated

import typer
from rich.console import Console

from sendledger.cli import dead_letters, shown
from sendledger.cli.context import joined
from sendledger.cli.errors import CannotError, FailedError
from sendledger.config import Settings, load
from sendledger.edges import system_record, topics
from sendledger.edges.running import find
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.setting_types import HASHED
from sendledger.up import LIVE_PAGE, addresses


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    panel = "Installation"
    dead_letters.add_to(app, panel)
    log = typer.Typer(help="The topics on Kafka.", no_args_is_help=True)
    log.command("check")(topics_check)
    log.command("create")(topics_create)
    app.add_typer(log, name="topics", rich_help_panel=panel)
    app.command("config", rich_help_panel=panel)(config)
    app.command("postback-url", rich_help_panel=panel)(postback_url)
    app.command("page", rich_help_panel=panel)(page)


def topics_check() -> None:
    """Whether all topics are as the program needs them. Exit code 1 if not."""
    problems = joined(topics.check)
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

    made = joined(create)
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
    if settings.receiver_basic_auth:
        typer.echo("the provider must also send HTTP Basic: SENDLEDGER_RECEIVER_BASIC_AUTH", err=True)
    if not public:
        typer.echo("the provider cannot reach this address: set SENDLEDGER_PUBLIC_URL to the one it can", err=True)


def page() -> None:
    """The address of the live page, and what to sign in with.

    A token of SENDLEDGER_API_TOKENS is printed: treat it like a password. Of others only hashes are kept.

    [bold]Example[/]
      SENDLEDGER_DATA_DIR=/srv/sendledger sendledger page
    """
    settings = load()
    running = find(settings.data_dir)
    known = None if running is None else running.urls.get(LIVE_PAGE)
    typer.echo(known or addresses(settings)[LIVE_PAGE])
    if running is None:
        typer.echo(f"no Sendledger runs on {settings.data_dir} just now: start `sendledger up`", err=True)
    readable = [each for each in settings.api_tokens if not each.token.get_secret_value().startswith(HASHED)]
    for given in readable:
        typer.echo(f"{given.scope} token: {given.token.get_secret_value()}")
    if not readable:
        typer.echo(
            "sign in with the token that the first start printed, or make one: `sendledger token admin`", err=True
        )
