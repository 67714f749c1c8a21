"""Lets records gather: after a fetch that gave few, the next one is asked for a moment later.

Without it each record that comes is fetched by itself: a request for all partitions, a round of its own, and answers
that others fetch by themselves. Where all roles share two cores that is most of what they do, and each waits for all
others. The moment costs less than that waiting (DECISIONS 52).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from sendledger.agents.fetched import Batch, how_many
from sendledger.agents.lease import LeasedConsumer
from sendledger.edges.clocks import steady

FEW = 256
"""Records. Whoever gets more is behind, and fetches on at once."""


def together(batches: list[Batch]) -> list[list[Batch]]:
    """What goes through Faust as one message: few records of all partitions, for its work is a message's; else a batch.

    Its queues are bounded by messages: what is large must not hide in them.
    """
    if sum(how_many(batch.records) for batch in batches) > FEW:
        return [[batch] for batch in batches]
    return [batches] if batches else []


class Gathering:
    """When the next fetch may go. `seconds`: the moment; 0 = always at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rests_until = float("-inf")

    def took(self, fetched: Iterable[Sequence[Any]], now: float) -> None:
        """These records, or packed ones, were taken from what was fetched."""
        few = sum(map(how_many, fetched)) <= FEW
        self._rests_until = now + self._seconds if few else float("-inf")

    def left(self, now: float) -> float:
        """Seconds until the next fetch may be asked for, 0 or less: now."""
        return self._rests_until - now


def spaced(fetch: Callable[..., Awaitable[bool]], gathering: Gathering) -> Callable[..., Awaitable[bool]]:
    """A request for records (aiokafka's own: of one node), when `gathering` lets it go."""

    async def later(*given: Any) -> bool:
        if (left := gathering.left(steady())) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                return False  # as the stock one answers: closed, or other partitions are ours by now
        return await fetch(*given)

    return later


class GatheringConsumer(LeasedConsumer):
    """Asks for no fetch before its gathering lets it."""

    def __init__(self, *topics: str, gathering: Gathering, **given: Any) -> None:
        super().__init__(*topics, **given)
        self._gathering = gathering

    async def start(self) -> None:
        """As the leased consumer starts, and stand between its fetcher and the broker."""
        await super().start()
        # the only place that every fetch passes; aiokafka's version is pinned
        self._fetcher._proc_fetch_request = spaced(self._fetcher._proc_fetch_request, self._gathering)  # noqa: SLF001
