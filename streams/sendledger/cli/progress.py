"""How far a long reading is: a bar on a terminal (stderr); elsewhere the sentences alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Shown = tuple[Callable[[int, int], None], Callable[[str], None]]


@contextmanager
def bar(title: str) -> Iterator[Shown]:
    """Two functions: one takes how many of how many are done, one says a sentence."""
    console = Console(stderr=True)
    parts = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    shown = Progress(*parts, console=console, transient=True, disable=not console.is_terminal)
    task = shown.add_task("")

    def say(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    with shown:
        yield lambda done, everything: shown.update(task, completed=done, total=everything), say
