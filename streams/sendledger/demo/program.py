"""`sendledger demo`: set the stage, hand in the campaigns, watch them go out, compare with the provider's ledger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live

from sendledger import up
from sendledger.demo import report as shown
from sendledger.demo.client import Client, Submitted, client
from sendledger.demo.compare import Compared, compare, document, ours
from sendledger.demo.progress import Watch, lag_of
from sendledger.demo.report import Picture, comparison, line, live
from sendledger.demo.scenario import Campaign, Scenario, scenario
from sendledger.demo.stage import Stage, stage
from sendledger.domain.verification import summary
from sendledger.edges.readiness import until_ready
from sendledger.edges.signals import cancel_on_signals
from sendledger.edges.verify.program import Options as Verification
from sendledger.edges.verify.program import verify
from sendledger.simulator.ledger_reader import read_ledger
from sendledger.wiring import Role
from sendledger_schemas.ids import message_id

# Who is killed once so many of the calls were made: each worker once, while the others go on.
KILLS: tuple[tuple[float, Role], ...] = ((0.2, "sender"), (0.4, "receiver"), (0.55, "fold"), (0.7, "merge"))
_LEAST_RATE, _GREATEST_RATE, _SENDING_SECONDS = 100.0, 1000.0, 10.0
_START, _GRACE, _SLACK = 60.0, 15.0, 90.0
_LOOK, _LINE = 0.25, 3.0


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    messages: int = 10_000
    campaigns: int = 3
    seed: int = 1
    json: Path | None = None
    kill: bool = False
    keep: Path | None = None
    stay: bool = False


class DemoError(Exception):
    """The demo could not be played to its end; the message says what it was waiting for."""


def rate_for(messages: int) -> float:
    """Messages a second: slow enough to be watched, fast enough not to bore."""
    return max(_LEAST_RATE, min(_GREATEST_RATE, messages / _SENDING_SECONDS))


async def play(options: Options, console: Console) -> bool:
    """Play the whole demo; True if every number agrees. Ctrl-C ends it cleanly (False before the comparison)."""
    me = asyncio.current_task()
    assert me is not None  # noqa: S101 — a coroutine runs in a task
    cancel_on_signals(me)
    compared: list[Compared] = []
    proved: list[bool] = []
    try:
        with _directory(options.keep) as directory:
            await _play(options, console, directory, compared, proved)
    except asyncio.CancelledError:
        console.print("stopped")
    return bool(compared) and all(campaign.agrees for campaign in compared) and all(proved)


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """A directory for everything, removed at the end unless it was asked for by name."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="sendledger-demo-") as directory:
            yield Path(directory)
        return
    keep.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(keep.iterdir()):
        raise DemoError(f"{keep} is not empty: a demo begins with nothing")
    yield keep.resolve()


async def _play(
    options: Options, console: Console, directory: Path, compared: list[Compared], proved: list[bool]
) -> None:
    story = scenario(messages=options.messages, campaigns=options.campaigns, seed=options.seed)
    rate = rate_for(options.messages)

    def tell(text: str) -> None:
        console.print(f"· {text}", markup=False, highlight=False)

    async with stage(directory, seed=options.seed, rate=rate, strays=not options.kill, tell=tell) as there:
        await until_ready(there.instance.readiness(), timeout=_START)
        settings = there.settings
        token = there.token
        api = f"http://{settings.host}:{settings.api_port}"
        async with client(api=api, token=token, simulator=there.simulator) as api_client, lag_of(settings) as lag:
            _show_page(console, there)
            tell(f"handing in {story.messages} messages in {len(story.campaigns)} campaigns")
            batches = await _hand_in(api_client, story)
            watch = Watch(api_client, lag, {c.campaign_id: len(c.recipients) for c in story.campaigns})
            show = _Show(console)
            await _watch(watch, show, there, story, options, limit=_SLACK + 3 * options.messages / rate)
            compared += await _agreed(api_client, there, story, batches, kill=options.kill)
            await _report(console, api_client, story, compared)
            report = await verify(settings, Verification())
            console.print(summary(report), markup=False, highlight=False, soft_wrap=True)
            proved.append(not report.differences)
            _write(options, compared)
            if console.is_terminal or options.stay:
                _invite(console, there)
                await asyncio.Event().wait()


async def _hand_in(api: Client, story: Scenario) -> dict[str, Submitted]:
    """Every other campaign as a CSV file, the rest as JSON."""
    batches: dict[str, Submitted] = {}
    for number, campaign in enumerate(story.campaigns):
        submit = api.submit_csv if number % 2 else api.submit_json
        answer = await submit(campaign, key=f"demo {story.seed} {campaign.campaign_id}")
        if answer.accepted != len(campaign.recipients) or len(answer.refused) != len(campaign.unusable):
            raise DemoError(f"{campaign.campaign_id}: {answer.accepted} rows accepted, refused: {answer.refused}")
        batches[campaign.campaign_id] = answer
    return batches


class _Show:
    """The live view on a terminal; a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else contextlib.nullcontext()
        self._told = float("-inf")
        self._events = 0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def picture(self, picture: Picture) -> None:
        if isinstance(self._live, Live):
            self._live.update(live(picture), refresh=True)
            return
        for event in picture.events[self._events :]:
            self._say(event)
        self._events = len(picture.events)
        if picture.seconds - self._told >= _LINE:
            self._told = picture.seconds
            self._say(line(picture))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


async def _watch(watch: Watch, show: _Show, there: Stage, story: Scenario, options: Options, *, limit: float) -> None:
    """Look until there is nothing left to do. Errors: DemoError when `limit` seconds are over."""
    kills = list(KILLS) if options.kill else []
    events: list[str] = []
    with show:
        while True:
            picture = await watch.look(events)
            show.picture(picture)
            if not picture.waiting_for and not kills:
                return
            if picture.seconds > limit:
                raise DemoError(f"not done within {limit:.0f} s: still waiting for {picture.waiting_for}")
            if there.instance.supervisor.gave_up.done():
                raise DemoError(str(there.instance.supervisor.gave_up.result()))
            made = picture.simulator["submissions"]["total"] / story.messages
            while kills and (made >= kills[0][0] or not picture.waiting_for):
                _, role = kills.pop(0)
                pid = there.instance.supervisor.kill(role)
                events.append(f"{picture.seconds:5.1f} s  kill -9 {role} (process {pid})")
            await asyncio.sleep(_LOOK)


async def _agreed(
    api: Client, there: Stage, story: Scenario, batches: dict[str, Submitted], *, kill: bool
) -> list[Compared]:
    """Compare until all agree; what still differs after the grace (merge and API read the log, too) differs."""
    end = time.monotonic() + _GRACE
    while True:
        truth = read_ledger(there.ledger)
        compared = []
        for campaign in story.campaigns:
            # Without a kill every answer was read, and the ledger takes nobody's word for anything.
            doubted = await _in_doubt(api, campaign, batches[campaign.campaign_id]) if kill else frozenset()
            here = ours(await api.campaign(campaign.campaign_id))
            compared.append(compare(campaign.campaign_id, here, truth, campaign.campaign_ref, doubted))
        if all(c.agrees for c in compared) or time.monotonic() > end:
            return compared
        await asyncio.sleep(_LOOK)


async def _in_doubt(api: Client, campaign: Campaign, submitted: Submitted) -> frozenset[str]:
    """The numbers whose message the program shows in doubt: found by the message's id, which says batch and row."""
    doubted = {message["message_id"] async for message in api.messages(campaign.campaign_id, "in_doubt")}
    ids = (
        (message_id(campaign.campaign_id, submitted.batch, row), recipient.to)
        for row, recipient in enumerate(campaign.recipients, 1)
    )
    return frozenset(to for identity, to in ids if identity in doubted)


async def _report(console: Console, api: Client, story: Scenario, compared: Sequence[Compared]) -> None:
    for campaign in story.campaigns:
        console.print(shown.summary(campaign.campaign_id, await api.campaign(campaign.campaign_id)))
    console.print()
    console.print(comparison(compared))
    for result in compared:
        for name in result.differing:
            pair = f"{result.ours.get(name, 0)} here, {result.ledger.get(name, 0)} in the ledger"
            console.print(f"{result.campaign_id}: {name}: {pair}", style="red")
    agrees = all(result.agrees for result in compared)
    console.print("Every number agrees with the provider's ledger." if agrees else "The numbers do not agree.")


def _write(options: Options, compared: Sequence[Compared]) -> None:
    if options.json is not None:
        options.json.write_text(json.dumps(document(compared), indent=1) + "\n", encoding="utf-8")


def _show_page(console: Console, there: Stage) -> None:
    """Where to watch, and how to get in. The token is of this demo alone, and ends with it."""
    address = up.addresses(there.settings)[up.LIVE_PAGE]
    console.print(f"\nWatch it live:  {address}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"  its token:    {there.token}\n", markup=False, highlight=False, soft_wrap=True)


def _invite(console: Console, there: Stage) -> None:
    console.print("\nIt stays up for you to look around; Ctrl-C ends it and removes everything.")
    _show_page(console, there)
    for name, address in (*up.addresses(there.settings).items(), ("simulator", f"{there.simulator}/status")):
        console.print(f"  {name:20} {address}", markup=False, soft_wrap=True)
