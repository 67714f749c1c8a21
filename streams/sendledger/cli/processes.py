"""The verbs that start something: demo, up, run, simulator."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from rich.console import Console

from sendledger import up as instance
from sendledger.cli.context import joining, run, secrets_of
from sendledger.cli.errors import CannotError, FailedError
from sendledger.config import ConfigError, Settings, load, variable
from sendledger.edges import deadman
from sendledger.edges.logging import configure
from sendledger.edges.parent import PARENT_VARIABLE
from sendledger.edges.readiness import NotReadyError, until_ready
from sendledger.edges.signals import cancel_on_signals
from sendledger.edges.supervisor import GaveUpError
from sendledger.edges.system_record import OtherSystemError
from sendledger.wiring import Role, run_role

_FOREIGN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
_START_TIMEOUT = 120.0

log = structlog.get_logger()


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command(rich_help_panel="Start")(demo)
    app.command(rich_help_panel="Start")(up)
    app.command("run", rich_help_panel="Start")(run_one)
    app.command(rich_help_panel="Start", context_settings=_FOREIGN, add_help_option=False)(simulator)


def demo(
    messages: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many messages to send.")] = 10_000,
    campaigns: Annotated[int, typer.Option(min=1, max=100, help="Over how many campaigns to spread them.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides numbers, texts and all that goes wrong.")] = 1,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison there, too.")] = None,
    *,
    kill: Annotated[bool, typer.Option("--kill", help="Kill -9 each worker once in the middle.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Stay up at the end until Ctrl-C, also without a terminal.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep data, logs and ledger in this directory.")
    ] = None,
) -> None:
    """The whole program against a simulated provider, compared at the end with the provider's own ledger.

    Uses a Kafka and a directory of its own and talks to nobody else. Exit code 0 if every number agrees.

    [bold]Examples[/]
      sendledger demo
      sendledger demo --messages 3000 --seed 7 --json out.json
      sendledger demo --kill            crash everything on the way
      sendledger demo --stay            look at the live page as long as you like
    """
    from sendledger.demo.client import ApiError  # noqa: PLC0415 — the other verbs do not pay for the demo
    from sendledger.demo.ports import NoPortsError  # noqa: PLC0415
    from sendledger.demo.program import DemoError, Options, play  # noqa: PLC0415
    from sendledger.demo.stage import StageError  # noqa: PLC0415

    options = Options(messages=messages, campaigns=campaigns, seed=seed, json=json, kill=kill, keep=keep, stay=stay)
    try:
        agrees = run(play(options, Console()), role="demo")
    except (ApiError, DemoError, NoPortsError, NotReadyError, StageError) as error:
        raise FailedError(str(error)) from None
    if not agrees:
        raise FailedError("")


def up() -> None:
    """Run everything on this machine until Ctrl-C: Kafka (unless KAFKA_BOOTSTRAP_SERVERS is set) and all roles.

    [bold]Examples[/]
      sendledger up
      SENDLEDGER_PROVIDER_URL=… SENDLEDGER_PROVIDER_API_KEY_FILE=key.txt sendledger up

    Without a provider's address and key everything but sending works. The first start prints an admin token for the
    live page and the API, this once; `sendledger token` makes others.
    """
    os.umask(0o077)  # everything in the data directory is this user's alone
    settings = load()
    run(_up(settings, Console(highlight=False)), role="up", settings=settings)


def run_one(role: Annotated[Role, typer.Argument(help="sender, receiver, fold, merge or api")]) -> None:
    """Run one role in this process, on the Kafka of the settings or of the running instance.

    [bold]Example[/]
      KAFKA_BOOTSTRAP_SERVERS=kafka:9092 SENDLEDGER_RECIPIENT_PEPPER_FILE=pepper.txt sendledger run fold
    """
    os.umask(0o077)
    settings = joining()
    configure(role=role, secrets=secrets_of(settings), level=settings.log_level)
    if PARENT_VARIABLE not in os.environ:  # else `up` has told them once for all
        _echo(settings)
    try:
        uvloop.run(deadman.guarded(run_role(role, settings)))
    except OtherSystemError as error:
        raise CannotError(str(error)) from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            log.exception("role ended by an error")
            raise typer.Exit(1) from None
        ports = {"api": "api_port", "receiver": "receiver_port"}.get(role)
        names = " or ".join(variable(name) for name in (ports, "metrics_port") if name is not None)
        raise CannotError(f"{role}: a port is taken ({names} gives another): {error.strerror or error}") from None
    except ConfigError:
        raise
    except Exception:
        # the last place: logged without secrets, then started again by a supervisor
        log.exception("role ended by an error")
        raise typer.Exit(1) from None
    finally:
        deadman.disarm()


def simulator(context: typer.Context) -> None:
    """Play the provider: answers sendSMS calls, posts notifications, keeps a ledger of the truth (--help)."""
    from sendledger.simulator.program import main  # noqa: PLC0415 — the other verbs do not pay for it

    raise typer.Exit(main(context.args))


def _echo(settings: Settings) -> None:
    """Tell the settings that hold, without secrets, and what looks like a slip in a name."""
    for warning in settings.warnings:
        log.warning(warning)
    log.info("settings", **{name: value for name, value in settings.echo().items() if value != "(not set)"})


async def _up(settings: Settings, console: Console) -> None:
    me = asyncio.current_task()
    assert me is not None  # noqa: S101 — a coroutine runs in a task
    cancel_on_signals(me)
    _echo(settings)

    def tell(line: str) -> None:
        console.print(f"· {line}", markup=False)

    around = instance.Surroundings(dict(os.environ))
    try:
        async with instance.running(settings, instance.roles_for(settings), around, tell) as running:
            _tell_token(running, console)
            readiness = asyncio.create_task(_tell_when_ready(running, console))
            try:
                raise await running.supervisor.gave_up
            finally:
                readiness.cancel()
                tell("stopping")
    except asyncio.CancelledError:
        return
    except GaveUpError as error:
        raise CannotError(str(error)) from None


def _tell_token(running: instance.Instance, console: Console) -> None:
    """At once, and not when all is ready: nobody can tell it again."""
    if running.token is None:
        return
    console.print("An admin token for the live page and the API, shown this once:", markup=False)
    console.print(f"  {running.token.get_secret_value()}", markup=False, soft_wrap=True)
    console.print("Only its hash is kept; `sendledger token admin` makes another.", markup=False)
    sys.stdout.flush()


async def _tell_when_ready(running: instance.Instance, console: Console) -> None:
    try:
        await until_ready(running.readiness(), timeout=_START_TIMEOUT)
    except NotReadyError as error:
        console.print(f"! {error}; still trying", markup=False)
        return
    console.print("Sendledger runs:", markup=False)
    for name, address in instance.addresses(running.settings).items():
        console.print(f"  {name:20} {address}", markup=False, soft_wrap=True)
    console.print(f"  {'token':20} {_where_token(running)}", markup=False, soft_wrap=True)
    if "sender" not in running.roles:
        names = f"{variable('provider_url')} and {variable('provider_api_key')}"
        console.print(f"Sending is off: set {names} to send.", markup=False)
    console.print("Ctrl-C stops it.", markup=False)
    sys.stdout.flush()


def _where_token(running: instance.Instance) -> str:
    if running.settings.api_tokens:
        return "one of SENDLEDGER_API_TOKENS"
    return "the one above" if running.token is not None else "as before; `sendledger token admin` makes another"
