"""Delivers postbacks when they are due, by the provider's rule.

Anything but HTTP 200 within 10 s is tried again after 5 minutes, at most 5 more times; then the postback is lost.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sendledger.simulator.entries import Try, TryError, Undelivered
from sendledger.simulator.ledger import Ledger
from sendledger.simulator.notices import CONTENT_TYPES, Delivery
from sendledger.simulator.posting import Poster, UnreadableAnswer

_OK = 200
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The provider's rule: `deadline` in real seconds, `retry_after` in the provider's (see `Rules.scale`)."""

    deadline: float = 10
    retry_after: float = 300
    retries: int = 5
    concurrency: int = 64


class Postman:
    """Holds the postbacks to come and delivers them; `pending` are those whose end is still open."""

    def __init__(self, poster: Poster | None, rule: Rule, scale: float, ledger: Ledger) -> None:
        self._poster = poster
        self._rule = rule
        self._retry_after = rule.retry_after * scale
        self._ledger = ledger
        self._due: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(rule.concurrency)
        self._open: dict[int, Delivery] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        """How many postbacks may still be posted."""
        return len(self._open)

    def hold(self, deliveries: Iterable[Delivery]) -> None:
        """Counts postbacks as pending, before it is time to schedule them."""
        for delivery in deliveries:
            self._open[delivery.entry.postback] = delivery
            self.counts["planned"] += 1

    def schedule(self, delivery: Delivery, at: float) -> None:
        """Tries it at this monotonic time, and again by the rule."""
        heapq.heappush(self._due, (at, next(self._order), delivery))
        if self._due[0][2] is delivery:
            self._wake.set()

    async def deliver_early(self, delivery: Delivery) -> None:
        """One try now; returns when it is over, or after 2 s: a caller waits for its answer meanwhile."""
        if (trying := self._start(delivery)) is not None:
            await asyncio.wait({trying}, timeout=_PATIENCE)

    async def _deliver(self, delivery: Delivery, poster: Poster) -> None:
        """One try; on anything but 200 the next one is scheduled, or the postback given up."""
        async with self._slots:
            status, error = await self._try(poster, delivery)
        delivery.tries += 1
        self.counts["tries"] += 1
        self._ledger.append(
            [
                Try(
                    mono=time.monotonic(),
                    wall=time.time(),
                    postback=delivery.entry.postback,
                    attempt=delivery.tries,
                    http_status=status,
                    error=error,
                )
            ]
        )
        if status == _OK:
            self.counts["delivered"] += 1
            del self._open[delivery.entry.postback]
        elif delivery.tries > self._rule.retries:
            self._end(delivery, "given_up")
        else:
            self.schedule(delivery, time.monotonic() + self._retry_after)

    async def run(self) -> None:
        """Delivers what is due, until cancelled."""
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                # A slot is taken before the next one is looked at: thousands that are due at once wait in the heap.
                await self._slots.acquire()
                self._slots.release()
                self._start(heapq.heappop(self._due)[2])
            self._wake.clear()
            delay = self._due[0][0] - time.monotonic() if self._due else None
            if delay is None or delay > 0:
                await _wait(self._wake, delay)

    async def stop(self) -> None:
        """Ends all tries under way and writes down what was never delivered."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for delivery in list(self._open.values()):
            self._end(delivery, "shutdown")
        if self._poster is not None:
            self._poster.close()

    def _start(self, delivery: Delivery) -> asyncio.Task[None] | None:
        """The try, under way; None if there is no address to try, which is the end of it."""
        if self._poster is None:
            self._end(delivery, "no_callback")
            return None
        task = asyncio.create_task(self._deliver(delivery, self._poster))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _try(self, poster: Poster, delivery: Delivery) -> tuple[int | None, TryError | None]:
        try:
            async with asyncio.timeout(self._rule.deadline):
                return await poster.post(delivery.body, CONTENT_TYPES[delivery.entry.form]), None
        except TimeoutError:
            return None, "timeout"
        except ConnectionRefusedError:
            return None, "refused"
        except OSError:
            return None, "reset"
        except UnreadableAnswer:
            return None, "unreadable"

    def _end(self, delivery: Delivery, reason: Literal["given_up", "shutdown", "no_callback"]) -> None:
        self.counts[reason] += 1
        self._open.pop(delivery.entry.postback, None)
        self._ledger.append(
            [
                Undelivered(
                    mono=time.monotonic(),
                    wall=time.time(),
                    postback=delivery.entry.postback,
                    tries=delivery.tries,
                    reason=reason,
                )
            ]
        )


async def _wait(event: asyncio.Event, delay: float | None) -> None:
    try:
        async with asyncio.timeout(delay):
            await event.wait()
    except TimeoutError:
        return
