"""`status --watch`: the numbers as they change, until Ctrl-C. In place on a terminal; elsewhere one report a change."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sendledger.cli import shown
from sendledger.cli.numbers import Numbers, Snapshot
from sendledger.edges.signals import cancel_on_signals

_LOOK = 1.0  # seconds until a look without news: messages grow old by themselves
_REST = 0.5  # seconds between two reports at least


async def watch(numbers: Numbers, take: Callable[[], Snapshot], console: Console, *, one: bool, as_json: bool) -> None:
    """Tell what `take` finds whenever it is another, until SIGINT or SIGTERM: then it returns."""
    me = asyncio.current_task()
    assert me is not None  # noqa: S101 — a coroutine runs in a task
    cancel_on_signals(me)
    last: Snapshot | None = None
    with contextlib.suppress(asyncio.CancelledError), _telling(console, one=one, as_json=as_json) as tell:
        while True:
            if (snapshot := take()) != last:
                tell(snapshot)
                last = snapshot
            await asyncio.sleep(_REST)
            await numbers.changed(within=_LOOK)


@contextmanager
def _telling(console: Console, *, one: bool, as_json: bool) -> Iterator[Callable[[Snapshot], None]]:
    if as_json:
        yield lambda snapshot: _line(console, snapshot[0] if one else {"items": snapshot})
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda snapshot: live.update(report(snapshot, one=one, end="Ctrl-C ends"), refresh=True)
    else:
        yield lambda snapshot: console.print(report(snapshot, one=one))


def _line(console: Console, document: object) -> None:
    console.file.write(json.dumps(document) + "\n")
    console.file.flush()


def report(snapshot: Snapshot, *, one: bool, end: str = "") -> RenderableType:
    """What `status` shows without `--watch`, as one piece."""
    lines = shown.imbalances(snapshot)
    parts: list[RenderableType] = [Text(line, style="bold red") for line in lines]
    parts.append(shown.campaigns(snapshot))
    if one:
        parts.append(shown.one(snapshot[0]))
    else:
        parts += [Text(line) for line in shown.standing(snapshot)]
    return Group(*parts, *([Text(end, style="dim")] if end else []))
