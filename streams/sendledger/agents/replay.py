"""Tells how far a fold is with the log that stood when it got its partitions: in the log and as a metric.

Only that part: what comes in meanwhile is the lag's business (agents/watchdog.py). A few records left over by a
restart are not worth a word; a fold without its state has all of the log to do, and somebody wants to know how long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition

from sendledger.agents.driver import BatchApp, LogRange

LOOK_EVERY = 0.25  # seconds
TELL_EVERY = 3.0  # seconds between two lines of the log
WORTH_TELLING = 10_000  # records

_log = structlog.get_logger()


@dataclass(frozen=True)
class Step:
    """One line. `share`: of the log that is done, 0–1; rate (records/s) and time left are None where none is known."""

    remaining: int
    share: float
    per_second: float | None
    seconds_left: float | None


def extent(cursors: Mapping[TopicPartition, int], spans: Mapping[TopicPartition, LogRange]) -> tuple[int, int]:
    """(records of the spans still to be folded, all records of the spans), of the partitions that are in both."""
    mine = [(max(cursor, spans[tp].first), spans[tp]) for tp, cursor in cursors.items() if tp in spans]
    remaining = sum(max(0, span.end - cursor) for cursor, span in mine)
    return remaining, sum(span.end - span.first for _, span in mine)


class Replay:
    """Pure: what is worth a line, and when. Times in seconds, any clock."""

    def __init__(self) -> None:
        self._total = self._last = 0
        self._first = 0.0, 0  # the assignment's first look, and what remained then
        self._told: float | None = None
        self._over = True

    def look(self, now: float, remaining: int, total: int) -> Step | None:
        """The line to tell now, if any: at the beginning, every few seconds, and once at the end."""
        if total != self._total or remaining > self._last:  # another assignment
            self._total, self._first = total, (now, remaining)
            self._told, self._over = None, total < WORTH_TELLING
        self._last = remaining
        if self._over or (remaining and self._told is not None and now - self._told < TELL_EVERY):
            return None
        self._told, self._over = now, not remaining
        return self._step(now, remaining, *self._first)

    def _step(self, now: float, remaining: int, since: float, before: int) -> Step:
        rate = (before - remaining) / (now - since) if remaining < before and now > since else None
        left = 0.0 if not remaining else None if rate is None else remaining / rate
        return Step(remaining, 1 - remaining / self._total, rate, left)


async def tell(app: BatchApp, told: Callable[[int], None]) -> None:
    """Look at `app` a few times a second, tell `told` how many records remain, and the log what is worth a line.

    Runs until cancelled.
    """
    replay = Replay()
    while True:
        remaining, total = extent(dict(app.done), app.spans)
        told(remaining)
        if app.ready.is_set() and (step := replay.look(time.monotonic(), remaining, total)) is not None:
            _tell(step)
        await asyncio.sleep(LOOK_EVERY)


def _tell(step: Step) -> None:
    said: dict[str, object] = {"done": f"{100 * step.share:.1f} %", "remaining_records": step.remaining}
    if step.per_second is not None:
        said["events_per_second"] = round(step.per_second)
    if step.seconds_left is not None:
        said["seconds_left"] = round(step.seconds_left)
    _log.info("folding the log" if step.remaining else "the log is folded", **said)
