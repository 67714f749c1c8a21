"""Our fold, whole, in a process of its own: until it is at the end of a log of so many events.

Arguments: bootstrap servers, directory of the state, partitions, events. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.fetched import Packed, how_many
from sendledger.agents.fold import COLLECT_AFTER, GROUP, Fold
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.config import KafkaSettings
from sendledger.edges.kafka import connection, producer
from sendledger.edges.memory import spare_memory
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.publisher import MAX_BATCH_BYTES
from sendledger.edges.topic_ids import topic_ids
from sendledger_schemas.topics import FOLD_SOURCES


class Timed:
    """The fold's owner, with a watch on it: `first` when the first record was taken, `last` when the last was done."""

    def __init__(self, fold: Fold, events: int, finished: asyncio.Event) -> None:
        self._fold, self._left, self._finished = fold, events, finished
        self.first = self.last = 0.0

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Handed on."""
        return await self._fold.assigned(partition, log)

    async def batch(self, partition: int, records: Mapping[str, Sequence[Packed]]) -> None:
        """Handed on and counted; done means published and written."""
        self.first = self.first or time.perf_counter()
        await self._fold.batch(partition, records)
        self._left -= sum(map(how_many, records.values()))
        if self._left <= 0:
            self.last = time.perf_counter()
            self._finished.set()

    async def revoked(self, partitions: Collection[int]) -> None:
        """Handed on."""
        await self._fold.revoked(partitions)


async def main(servers: str, directory: Path, partitions: int, events: int) -> None:
    """Fold to the end, as `fold.serve` does; print how long it took."""
    spare_memory(COLLECT_AFTER)
    kafka = KafkaSettings(bootstrap_servers=servers)
    link, stop = connection(kafka), asyncio.Event()
    names = await topic_ids(link, FOLD_SOURCES)
    async with producer(kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        registry = CollectorRegistry()
        metrics = FoldMetrics(registry, PositionMetrics(registry, GROUP))
        fold = Fold(directory, out, metrics, slot=0, partitions=partitions, ids=names, connection=link)
        owner = Timed(fold, events, stop)
        await BatchApp(link, "bench-fold", FOLD_SOURCES, owner, packed=True).run(stop)
    print(json.dumps({"seconds": owner.last - owner.first}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
