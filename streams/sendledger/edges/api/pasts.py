"""Campaigns at earlier moments, each folded from the log in the background, a few at a time.

A request waits a while for the fold of its moment; then it is told how far that is and to ask again. The same question
joins the same fold. What was known at a moment that lies a minute back never changes and is kept for longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sendledger.edges.api.problems import Problem
from sendledger.edges.log_scan import Progress
from sendledger.edges.past import Asked, NotYetError, Past
from sendledger.edges.verify.log import LogCutError
from sendledger_schemas.fields import format_instant

_AT_ONCE = 2
_MOST = 16  # folds that run or wait
_PATIENCE = 15.0  # seconds that a request waits
_ABANDONED = 120.0  # seconds after which nobody asks any more
_KEEP = 60.0  # seconds for what may change
_KEEP_SETTLED = 3_600.0
_SETTLED = timedelta(minutes=1)  # brokers' clocks may differ by less

Fold = Callable[[Asked, Progress], Awaitable[Past]]


class _AbandonedError(Exception):
    """Nobody asks for it any more."""


@dataclass
class _Job:
    asked_at: float
    keep: float
    read: int = 0
    of: int = 0
    done_at: float | None = None
    task: asyncio.Task[Past] = field(init=False)


class Pasts:
    """The folds that run and those that are kept. `clock`: seconds that only grow."""

    def __init__(self, fold: Fold, clock: Callable[[], float] = time.monotonic, patience: float = _PATIENCE) -> None:
        self._fold, self._clock, self._patience = fold, clock, patience
        self._jobs: dict[Asked, _Job] = {}
        self._running = asyncio.Semaphore(_AT_ONCE)

    async def get(self, asked: Asked) -> Past:
        """The campaign at that moment. Errors: Problem; KafkaError."""
        self._forget()
        job = self._jobs.get(asked) or self._begin(asked)
        job.asked_at = self._clock()
        await asyncio.wait({job.task}, timeout=self._patience)
        if not job.task.done():
            raise _still_folding(asked, job)
        try:
            return job.task.result()
        except NotYetError as error:
            raise Problem(404, "not-yet-registered", f"there was no such campaign at that moment: {error}") from None
        except LogCutError as error:
            raise Problem(410, "log-cut", str(error)) from None

    async def close(self) -> None:
        """End all folds."""
        jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs), return_exceptions=True)

    def _begin(self, asked: Asked) -> _Job:
        if sum(not job.task.done() for job in self._jobs.values()) >= _MOST:
            detail = "too many earlier moments are being folded: ask again later, or use `sendledger status --at`"
            raise Problem(503, "busy", detail, headers={"Retry-After": "30"})
        settled = asked.clock == "log" and asked.moment < datetime.now(UTC) - _SETTLED
        job = self._jobs[asked] = _Job(self._clock(), _KEEP_SETTLED if settled else _KEEP)
        job.task = asyncio.create_task(self._run(asked, job), name="an earlier moment")
        return job

    async def _run(self, asked: Asked, job: _Job) -> Past:
        def told(read: int, of: int) -> None:
            job.read, job.of = read, of
            if self._clock() - job.asked_at > _ABANDONED:
                raise _AbandonedError

        try:
            async with self._running:
                return await self._fold(asked, told)
        finally:
            job.done_at = self._clock()

    def _forget(self) -> None:
        """What is old, and what failed: whoever asks the same again gets another try."""
        now = self._clock()
        for asked, job in list(self._jobs.items()):
            failed = job.task.done() and (job.task.cancelled() or job.task.exception() is not None)
            if failed or (job.done_at is not None and now - job.done_at > job.keep):
                del self._jobs[asked]


def _still_folding(asked: Asked, job: _Job) -> Problem:
    detail = (
        f"the log is being folded up to that moment, {job.read} of {job.of} records so far: ask the same again, "
        "or use `sendledger status CAMPAIGN --at TIME`"
    )
    headers = {"Retry-After": "2"}
    return Problem(503, "still-folding", detail, headers=headers, more={"at": format_instant(asked.moment)})
