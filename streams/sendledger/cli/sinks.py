"""The verb sink: tables in somebody else's database, kept up to date from the topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import typer

from sendledger.cli.context import joining, reachable, run
from sendledger.cli.errors import CannotError
from sendledger.cli.progress import Shown, bar
from sendledger.config import Settings, variable
from sendledger.domain.postgres import ddl as ddl_of
from sendledger.edges.metrics_server import serving
from sendledger.edges.process_metrics import tell_of_process
from sendledger.edges.signals import cancel_on_signals
from sendledger.edges.sinks.sink import PATIENCE, Sink, SinkError
from sendledger.life import Life


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    verb = typer.Typer(help="Tables in a database of your own, kept up to date.", no_args_is_help=True)
    verb.callback()(lambda: None)  # so that `postgres` stays a word of the command while it is the only one
    verb.command("postgres")(postgres)
    app.add_typer(verb, name="sink", rich_help_panel="Analysis")


def postgres(
    *,
    schema: Annotated[str, typer.Option(metavar="NAME", help="The schema that the tables are in.")] = "sendledger",
    create: Annotated[bool, typer.Option("--create", help="Create schema and tables where they are missing.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Only up to the end that the topics have now.")] = False,
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long PostgreSQL may be away before it gives up.")
    ] = PATIENCE,
    ddl: Annotated[bool, typer.Option("--ddl", help="Print the statements that create the tables, and end.")] = False,
) -> None:
    """Keep the tables messages and campaigns in a PostgreSQL as the topics are, until Ctrl-C.

    [bold]Examples[/]
      SENDLEDGER_POSTGRES_DSN_FILE=/run/secrets/dsn sendledger sink postgres --create
      sendledger sink postgres --ddl | psql          (as somebody who may create tables)
      sendledger sink postgres --once                (from cron)

    The address is a secret, so it is never an argument: SENDLEDGER_POSTGRES_DSN, or _FILE with a file that holds it,
    like postgresql://user:password@host/database?sslmode=verify-full. How far the tables are stands in the table
    cursors, which moves in the transaction of the rows: kill it, or run two of them, and nothing is lost or doubled.
    A row is only ever replaced by a more complete one. Numbers are masked, texts are not there.

    While it follows the topics it tells its health on SENDLEDGER_SINK_METRICS_PORT (9469; 0: nowhere): /livez, /readyz,
    /metrics. Each sink on a machine needs a port of its own.

    Exit code 0 at its end, 2 if the database refuses or stays away.
    """
    if ddl:
        typer.echo(ddl_of(schema), nl=False)
        return
    settings = joining()
    settings.require("postgres_dsn")
    assert settings.postgres_dsn is not None  # noqa: S101 — required the line before
    sink = Sink(settings.postgres_dsn, schema, create=create, once=once, patience=patience)
    with bar("reading the topics") as shown:
        try:
            run(_kept(settings, sink, shown), settings=settings)
        except SinkError as error:
            raise CannotError(str(error)) from None


async def _kept(settings: Settings, sink: Sink, shown: Shown) -> None:
    from sendledger.edges.sinks.postgres import keep  # noqa: PLC0415 — psycopg is for this verb alone

    await reachable(settings)
    life = Life()
    tell_of_process("sink", life)

    def caught_up() -> None:
        shown[1](f"schema {sink.schema} is up to date" + ("" if sink.once else ", and follows"))

    async with _told_of(settings, sink, life):
        work = keep(settings, sink, progress=shown[0], life=life, caught_up=caught_up)
        keeping = asyncio.create_task(work, name="sink")
        cancel_on_signals(keeping)
        try:
            await keeping
        except asyncio.CancelledError:
            if not keeping.cancelling():  # else it was asked to end, and has
                raise


@asynccontextmanager
async def _told_of(settings: Settings, sink: Sink, life: Life) -> AsyncIterator[None]:
    """Health and metrics over HTTP, of a sink that stays. Errors: CannotError if the port is taken."""
    if sink.once or not settings.sink_metrics_port:
        yield
        return
    try:
        server = AsyncExitStack()
        await server.enter_async_context(serving("sink", life, host=settings.host, port=settings.sink_metrics_port))
    except OSError as error:
        why = f"{variable('sink_metrics_port')} gives another, 0 none"
        raise CannotError(f"sink: a port is taken ({why}): {error.strerror or error}") from None
    try:
        yield
    finally:
        await server.aclose()
