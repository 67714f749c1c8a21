"""Folds of earlier moments that a test lets end when it likes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sendledger.domain.campaigns import Control
from sendledger.edges.log_scan import Progress
from sendledger.edges.past import Asked, Past
from tests.support.states import campaign_state


@dataclass
class Folds:
    """Takes the place of `recall`: each fold reads 3 of 7 records, waits at the gate, and ends as told."""

    began: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    error: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    _now: int = 0

    async def __call__(self, asked: Asked, told: Progress) -> Past:
        """One fold."""
        self.began.append(asked)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            told(3, 7)
            await self.gate.wait()
            told(7, 7)
            if self.error is not None:
                raise self.error
            counters = {"requested": 2, "b:delivered": 1, "b:undelivered": 1, "conflicted": 1,
                        "y:delivered-wins:+:b:delivered": 1, "y:delivered-wins:-:b:undelivered": 1}  # fmt: skip
            state = campaign_state(asked.campaign_id, as_of=asked.moment, counters=counters)
            return Past(asked, state, Control(), ())
        finally:
            self._now -= 1


def asked(campaign_id: str = "spring", *, ago: float = 3_600) -> Asked:
    """A question about a moment so many seconds ago."""
    return Asked(campaign_id, datetime.fromtimestamp(datetime.now(UTC).timestamp() - ago, UTC), "log")
