"""How many events a second the whole fold takes: decode, documents, partials, message states, WriteBatch; real Kafka.

`python -m tests.bench.bench_fold [--events 300000] [--partitions 8] [--broker host:port]` prints one line of JSON.
The events are those of `tests.bench.events`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from sendledger.agents.driver import BatchApp
from sendledger.agents.fold import COLLECT_AFTER, GROUP, Fold
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.config import KafkaSettings, Settings
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.kafka import connection, producer
from sendledger.edges.memory import spare_memory
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.publisher import MAX_BATCH_BYTES
from sendledger.edges.topic_ids import topic_ids
from sendledger.edges.topics import create
from sendledger_schemas.topics import FOLD_SOURCES
from tests.bench.events import Plan, fill


@asynccontextmanager
async def kafka(broker: str | None, directory: Path) -> AsyncIterator[KafkaSettings]:
    """A broker of its own, or the one that is named (with fresh topics)."""
    if broker is not None:
        yield KafkaSettings(bootstrap_servers=broker)
        return
    async with EmbeddedKafka(directory) as embedded:
        yield embedded.kafka


async def measure(settings: Settings, directory: Path, events: int) -> tuple[float, float]:
    """Events a second from the first batch to the last WriteBatch, and µs of processor time an event."""
    spare_memory(COLLECT_AFTER)  # as `fold.serve` does
    stop, link = asyncio.Event(), connection(settings.kafka)
    ids_of = await topic_ids(link, FOLD_SOURCES)
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        registry = CollectorRegistry()
        metrics = FoldMetrics(registry, PositionMetrics(registry, GROUP))
        count = settings.partitions
        owner = Fold(directory / "fold", out, metrics, slot=0, partitions=count, ids=ids_of, connection=link)
        app = BatchApp(link, "bench-fold", FOLD_SOURCES, owner, packed=True)
        running = asyncio.create_task(app.run(stop))
        await app.ready.wait()
        began, busy, before = time.perf_counter(), time.process_time(), sum(app.done.values())
        while sum(app.done.values()) - before < events:
            if running.done():
                break
            await asyncio.sleep(0.01)
        took, busy = time.perf_counter() - began, time.process_time() - busy
        stop.set()
        await running
    return events / took, busy / events * 1e6


async def main(events: int, partitions: int, broker: str | None) -> None:
    """Fill, measure, print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with kafka(broker, directory) as reached:
            settings = Settings(kafka=reached, partitions=partitions, replication_factor=1)
            await create(settings)
            plan = Plan.of(events, partitions)
            size = await fill(settings, plan)
            rate, busy = await measure(settings, directory, plan.events)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"events": plan.events, "event_bytes": size, "cpu_us_per_event": round(busy, 1), "max_rss_mb": memory}
    print(json.dumps({"fold_per_s": round(rate), **told}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument("--partitions", type=int, default=8)
    arguments.add_argument("--broker")
    given = arguments.parse_args()
    asyncio.run(main(given.events, given.partitions, given.broker))
