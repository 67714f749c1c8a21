"""The verb `status`: the numbers of all campaigns, or all about one, now or at an earlier moment."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from sendledger.cli import shown, watching
from sendledger.cli.context import joining, reachable, run
from sendledger.cli.errors import CannotError
from sendledger.cli.numbers import Snapshot, following
from sendledger.config import Settings
from sendledger.domain.moments import Clock, Wrong, moment_of
from sendledger.domain.settled import Policy
from sendledger.edges.doubts import doubts
from sendledger.edges.past import Asked, NotYetError, recall
from sendledger.edges.verify.log import LogCutError, StandstillError
from sendledger_schemas.envelope import UnknownVersion


def add_to(app: typer.Typer) -> None:
    """Add this verb."""
    app.command(rich_help_panel="Campaigns")(status)


def status(
    campaign: Annotated[str | None, typer.Argument(help="Only this one, with all its numbers.")] = None,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="As it was then: 2026-05-01T09:00+02:00 (no zone: UTC), or -2h.")
    ] = "",
    clock: Annotated[
        Literal["log", "provider"] | None,
        typer.Option(help="With --at. log: what was known then. provider: what had happened by then, known by now."),
    ] = None,
    policy: Annotated[
        Literal["first-final", "last-final", "delivered-wins", "failure-wins"],
        typer.Option(help="Which of several final claims about one message counts."),
    ] = "first-final",
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and follow the numbers until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As the HTTP API shows it.")] = False,
) -> None:
    """The numbers of all campaigns, or all about one; now, or as it was.

    [bold]Examples[/]
      sendledger status
      sendledger status spring --watch
      sendledger status spring --json | jq .counts
      sendledger status spring --at 2026-05-01T09:00+02:00
      sendledger status spring --at -2h --clock provider
      sendledger status spring --policy delivered-wins
    """
    asked = _asked(campaign, at, clock, watch=watch)
    settings = joining()
    if asked is None:
        run(_status(settings, campaign, policy, watch=watch, as_json=json), settings=settings)
    else:
        run(_status_at(settings, asked, policy, as_json=json), settings=settings)


def _asked(campaign: str | None, at: str, clock: Clock | None, *, watch: bool) -> Asked | None:
    if not at:
        if clock is not None:
            raise CannotError("--clock: needs --at")
        return None
    if campaign is None:
        raise CannotError("--at: needs a CAMPAIGN")
    if watch:
        raise CannotError("--watch: an earlier moment does not change")
    moment = moment_of(at, datetime.now(UTC))
    if isinstance(moment, Wrong):
        raise CannotError(f"--at: {moment.reason}")
    return Asked(campaign, moment, clock or "log")


async def _status_at(settings: Settings, asked: Asked, policy: Policy, *, as_json: bool) -> None:
    await reachable(settings)
    async with following(settings) as numbers:
        if not numbers.knows(asked.campaign_id):
            raise CannotError(f"there is no campaign {asked.campaign_id}")
    with _progress("folding the log") as told:
        try:
            past = await recall(settings.kafka, asked, partitions=settings.partitions, progress=told)
        except NotYetError as error:
            raise CannotError(f"{asked.campaign_id} at that moment: {error}") from None
        except (LogCutError, StandstillError, UnknownVersion) as error:
            raise CannotError(str(error)) from None
    _print([past.view(policy)], as_json=as_json, one=True)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, for what takes long on a long log; it is told how much was read, and of how much."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda read, of: bar.update(task, completed=read, total=of)


async def _status(settings: Settings, campaign: str | None, policy: Policy, *, watch: bool, as_json: bool) -> None:
    await reachable(settings)
    async with following(settings) as numbers:
        if campaign is not None and not numbers.knows(campaign):
            raise CannotError(f"there is no campaign {campaign}")
        if not watch:
            snapshot = numbers.snapshot(datetime.now(UTC), campaign, policy)
            _print(snapshot, as_json=as_json, one=campaign is not None)
            if campaign is not None and not as_json and snapshot[0]["counts"]["in_doubt"]:
                with _progress("looking for what is in doubt") as told:
                    found = await doubts(settings.kafka, campaign, partitions=settings.partitions, progress=told)
                Console().print(shown.doubts(found))
            return
        console = Console()
        take = lambda: numbers.snapshot(datetime.now(UTC), campaign, policy)  # noqa: E731 — one thing that is asked for
        await watching.watch(numbers, take, console, one=campaign is not None, as_json=as_json)


def _print(snapshot: Snapshot, *, as_json: bool, one: bool) -> None:
    for line in shown.imbalances(snapshot):
        typer.echo(line, err=True)
    if as_json:
        document: Any = snapshot[0] if one else {"items": snapshot}
        json_format.dump(document, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    console = Console()
    console.print(shown.campaigns(snapshot))
    if one:
        console.print(shown.one(snapshot[0]))
        return
    for line in shown.standing(snapshot):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
