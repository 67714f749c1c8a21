"""Ends a worker that is alive and reads nothing (DESIGN §5): Kafka's ends against its cursors, outside Faust.

What it sees it also tells, for the metrics: cursors, ends, and how old what stands at a cursor is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sendledger.agents.driver import BatchApp
from sendledger.edges.log_reader import LogReader
from sendledger.edges.position_metrics import Positions, Seen

LOOK_EVERY = 5.0  # seconds
PATIENCE = 60.0  # seconds without a step although there is something to read, or without an assignment
_ASK_WITHIN = 10.0
_SMALL = {"max_partition_fetch_bytes": 4096}  # a record's time is wanted, not what stands behind it

_log = structlog.get_logger()


class StalledError(Exception):
    """The worker reads nothing although there is something to read."""


@dataclass
class Progress:
    """Pure: remembers since when each partition stands still with something to read. Times in seconds, any clock."""

    patience: float
    _since: dict[TopicPartition, tuple[int, float]] = field(default_factory=dict)

    def look(self, now: float, cursors: Positions, ends: Positions) -> list[TopicPartition]:
        """The partitions that have stood still, behind their end, for longer than `patience`."""
        known, self._since = self._since, {}
        for tp, cursor in cursors.items():
            if cursor < ends.get(tp, cursor):
                before = known.get(tp)
                self._since[tp] = before if before is not None and before[0] == cursor else (cursor, now)
        return [tp for tp, (_, since) in self._since.items() if now - since > self.patience]

    def forget(self) -> None:
        """Kafka could not be asked: nobody can say who stands still."""
        self._since = {}


async def watch(
    app: BatchApp,
    connection: dict[str, Any],
    told: Callable[[Seen], None],
    *,
    every: float = LOOK_EVERY,
    patience: float = PATIENCE,
) -> None:
    """Look every few seconds, tell what is seen, and fail `app` when it stands still. Runs until cancelled."""
    progress = Progress(patience)
    idle_since = time.monotonic()
    async with AIOKafkaConsumer(**connection, **_SMALL) as consumer:
        lookups = LogReader(consumer)
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            idle_since = now if app.ready.is_set() else idle_since
            if now - idle_since > patience:
                app.fail(StalledError("no assignment was completed in time"))
            cursors = dict(app.done)
            try:
                async with asyncio.timeout(_ASK_WITHIN):
                    seen = await lookups.seen(cursors)
            except (KafkaError, TimeoutError) as error:
                _log.warning("the ends of the log cannot be asked for", error=type(error).__name__)
                progress.forget()
                continue
            told(replace(seen, cursors=dict(app.done)))  # not those of before: what is told must not go back
            if stuck := progress.look(now, cursors, seen.ends):
                app.fail(StalledError(f"nothing read for {patience:.0f} s from {sorted(stuck)}"))
