"""The verb verify: fold the log anew, compare with all that is published, and say what differs."""

from __future__ import annotations

import asyncio
import json as json_format
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sendledger.cli.context import joining, operator, reachable, run
from sendledger.cli.errors import CannotError, FailedError
from sendledger.cli.progress import bar
from sendledger.config import Settings
from sendledger.domain.settled import Policy
from sendledger.domain.verification import Difference, Report, summary
from sendledger.edges.verify.log import LogCutError, StandstillError
from sendledger.edges.verify.program import PATIENCE, Options, UnknownCampaignError, Watch, verify
from sendledger.edges.verify.repair import repair as ask_again
from sendledger.edges.verify.result import keep_result
from sendledger_schemas.envelope import UnknownVersion

_SHOWN = 50
_UNITS = {"s": 1, "m": 60, "h": 3600}
_EVERY = re.compile(r"(\d+)([smh])")

Json = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify", rich_help_panel="Installation")(verb)


def verb(
    campaign: Annotated[str | None, typer.Option(metavar="ID", help="Only this campaign.")] = None,
    policy: Annotated[
        Policy | None, typer.Option(help="Show, too, what the numbers would be if these final receipts counted.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long a number may stay behind the log's end.")
    ] = PATIENCE,
    every: Annotated[str, typer.Option(metavar="TIME", help="Stay, and do it again every 10m (s, m, h).")] = "",
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Ask the owners to publish again what differs, and verify once more.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, one line a run.")] = False,
) -> None:
    """Fold the whole log anew, the plain way, and compare every published number of every campaign with it.

    Each number is proved at the offsets that it carries, and must not stay behind the log's end. Only reads, beside the
    live system. Temporary files (a log larger than the memory) go to TMPDIR.

    [bold]Examples[/]
      sendledger verify
      sendledger verify --campaign spring --json
      sendledger verify --policy delivered-wins
      sendledger verify --repair        after a worker woke up late and wrote over newer numbers
      sendledger verify --every 10m     on and on; the API's /metrics tells the last result

    Exit code 0 if nothing differs, 1 if something does, 2 if it could not be done. A run over all campaigns leaves
    its result in the data directory, where the API finds it: sendledger_verify_divergence and
    sendledger_verify_last_run_timestamp_seconds. Numbers whose log was deleted by retention cannot be proved any more:
    that is said, and is no difference.
    """
    pause = _seconds(every)
    settings = joining()
    options = Options(campaign, policy, patience)
    differs = run(_runs(settings, options, pause, mend=repair, as_json=json), settings=settings)
    if differs:
        raise FailedError("")


def _seconds(every: str) -> float | None:
    if not every:
        return None
    found = _EVERY.fullmatch(every)
    if found is None or not int(found[1]):
        raise CannotError(f"--every {every}: a number and s, m or h, like 10m")
    return float(int(found[1]) * _UNITS[found[2]])


async def _runs(settings: Settings, options: Options, pause: float | None, *, mend: bool, as_json: bool) -> bool:
    """One run, or one after the other until Ctrl-C; whether the last one found a difference."""
    await reachable(settings)
    while True:
        found = await _one(settings, options, as_json=as_json)
        if found and mend:
            asked, came = await ask_again(settings, found, by=operator(), patience=options.patience)
            typer.echo(f"asked for {asked} records to be published again: {came} came, verifying once more", err=True)
            found = await _one(settings, options, as_json=as_json)
        differs = bool(found)
        if pause is None:
            return differs
        _heed_interrupt()
        await asyncio.sleep(pause)


def _heed_interrupt() -> None:
    """End after all, if the cancellation that Ctrl-C is got lost inside a run: else this would go on for ever.

    Python 3.11's `wait_for`, through which aiokafka waits for each answer, drops one that comes along with the answer.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _one(settings: Settings, options: Options, *, as_json: bool) -> Sequence[Difference]:
    began = time.monotonic()
    with bar("reading the log") as (progress, tell):
        try:
            report = await verify(settings, options, Watch(tell, progress))
        except (UnknownCampaignError, LogCutError, StandstillError, UnknownVersion) as error:
            raise CannotError(str(error)) from None
    seconds = time.monotonic() - began
    if options.campaign is None:
        keep_result(
            settings.data_dir, divergence=len(report.differences), unproved=len(report.unproved), seconds=seconds
        )
    if as_json:
        sys.stdout.write(json_format.dumps(document(report, seconds)) + "\n")
        sys.stdout.flush()
    else:
        for line in lines(report, seconds):
            typer.echo(line)
    return report.differences


# ---------------------------------------------------------------------------------------- what is shown
def document(report: Report, seconds: float) -> Json:
    """A run as JSON."""
    return {
        "differences": [asdict(difference) for difference in report.differences],
        "unproved": [asdict(unproved) for unproved in report.unproved],
        "campaigns": report.campaigns,
        "numbers": report.numbers,
        "messages": report.messages,
        "records": report.records,
        "seconds": round(seconds, 3),
        "policy": {
            name: {counter: {"published": ours, "policy": theirs} for counter, (ours, theirs) in numbers.items()}
            for name, numbers in report.under.items()
        },
    }


def lines(report: Report, seconds: float) -> list[str]:
    """A run in words."""
    shown = [line for difference in report.differences[:_SHOWN] for line in _difference(difference)]
    if len(report.differences) > _SHOWN:
        shown.append(f"… and {len(report.differences) - _SHOWN} more: --json shows all")
    for unproved in report.unproved:
        partitions = ", ".join(map(str, unproved.partitions))
        shown.append(f"{unproved.campaign_id}: cannot be proved any more, the log was cut (partitions {partitions})")
    for name, numbers in report.under.items():
        shown += [f"{name}: {c}: {ours} published, {theirs} under the policy" for c, (ours, theirs) in numbers.items()]
    return [*shown, f"{summary(report)} ({report.records} records in {seconds:.1f} s)"]


def _difference(found: Difference) -> list[str]:
    day = f", {found.day}" if found.day is not None else ""
    where = "" if found.partition is None else f", partition {found.partition}"
    if found.what == "message":
        what = f"{found.campaign_id}: message {found.messages[0]}"
    else:
        names = {"partial": "partial", "series": "series", "state": "campaign state"}
        what = f"{found.campaign_id}: {names[found.what]}{where}{day}"
    told = "nothing" if found.published is None else found.published
    known = "nothing" if found.log is None else found.log
    why = " (behind the log)" if found.why == "behind" else ""
    line = f"{what}: {found.name}: {told} published, {known} in the log{why}"
    return [line, *_messages(found.messages, found.more)] if found.what != "message" else [line]


def _messages(messages: Sequence[str], more: int) -> list[str]:
    if not messages:
        return []
    return [f"  messages: {', '.join(messages)}" + (f" and {more} more" if more else "")]
