"""Our fold beside other stream processors, on the same events of one log, to the same counts; real Kafka.

`make bench-fold`, or `python -m tests.bench.bench_peers [--events 1000000] [--rounds 3] [--only ours,kafka_streams]`.
Last line JSON: events/s of each (the median of its rounds, which alternate) and `ratio_kafka_streams`. Everybody has
one process, Kafka Streams the JVM's defaults, and is timed by itself: from taking the first record to having done the
last (ours: published, acknowledged, written to its state), so that no start of a process or a JVM counts. Whose counts
differ from what the events were made to come to ends the benchmark with 1. Stock Faust takes the first 20,000 messages,
100,000 events, once. On a slow machine later rounds of the Python peers are left out, so that it ends in 15 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sendledger.config import Settings
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.topics import create
from tests.bench.events import Plan, fill
from tests.bench.peers.counted import Counts, counted, fresh_topic, places, remove_topics
from tests.bench.peers.runs import PEERS, Job, Run, run

FAUST_EVENTS = 100_000
ROUNDS = 3
LONG = 600.0
"""Seconds since the start, after which only ours and Kafka Streams go on to another round."""
TWO = ("ours", "kafka_streams")


@dataclass(frozen=True)
class Bench:
    """A log with `events`, which come to `expected`: campaign → counts. `directory`: for the states."""

    settings: Settings
    events: int
    expected: Mapping[str, Counter[str]]
    directory: Path

    async def round(self, name: str, number: int) -> Run:
        """Let one of them fold the log. Errors: AssertionError if its counts are wrong, RuntimeError if it failed."""
        peer, job = PEERS[name], self.job(name, number)
        await fresh_topic(self.settings, job.output)
        before = await places(self.settings, peer.told_on(job))
        done = await asyncio.to_thread(run, peer, job)
        check(name, await counted(self.settings, before), self.expected)
        tell(f"round {number + 1}  {name:14} {told(done)}, counts are right")
        await remove_topics(self.settings, job.name)
        await asyncio.to_thread(shutil.rmtree, job.directory)
        return done

    def job(self, name: str, number: int) -> Job:
        """What the process is told."""
        servers = self.settings.kafka.bootstrap_servers or ""
        unique = f"bench-{name.replace('_', '-')}-{number}"
        return Job(servers, unique, self.directory / unique, self.settings.partitions, self.events)


def check(name: str, found: Counts, expected: Mapping[str, Counter[str]]) -> None:
    """Raise AssertionError if the counts are not those that the events were made to come to."""
    wrong = {
        campaign: (dict(found.get(campaign, {})), dict(expected.get(campaign, {})))
        for campaign in found.keys() | expected.keys()
        if found.get(campaign) != expected.get(campaign)
    }
    if wrong:
        raise AssertionError(f"{name} counts differently (found, expected): {wrong}")


@asynccontextmanager
async def filled(plan: Plan, directory: Path) -> AsyncIterator[Bench]:
    """A broker of its own with the plan's events."""
    async with EmbeddedKafka(directory) as broker:
        settings = Settings(kafka=broker.kafka, partitions=plan.partitions, replication_factor=1)
        await create(settings)
        began = time.perf_counter()
        size = await fill(settings, plan)
        tell(f"{plan.events:,} events of {size} bytes on the log in {time.perf_counter() - began:.0f} s")
        yield Bench(settings, plan.events, plan.expected(), directory)


async def measure(
    plan: Plan, names: Sequence[str], directory: Path, *, rounds: int = 1, until: float = 0.0
) -> dict[str, list[Run]]:
    """Fill a log once, then let each of `names` fold it, in turn, `rounds` times. `until`: of `time.monotonic`."""
    results: dict[str, list[Run]] = {name: [] for name in names}
    async with filled(plan, directory) as bench:
        for number in range(rounds):
            for name in names:
                if number and name not in TWO and time.monotonic() > until:
                    tell(f"round {number + 1}  {name:14} left out: it takes too long")
                else:
                    results[name].append(await bench.round(name, number))
    return results


def told(done: Run) -> str:
    """One run in words."""
    rate = f"{done.rate:9,.0f} events/s"
    return f"{rate}, {done.cpu_us:5.1f} µs processor time an event, {done.max_rss_mb} MB"


def tell(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


def summary(results: Mapping[str, Sequence[Run]]) -> dict[str, object]:
    """The last line."""
    line: dict[str, object] = {name: round(statistics.median(r.rate for r in runs)) for name, runs in results.items()}
    if set(TWO) <= results.keys():
        ours, theirs = (statistics.median(run.rate for run in results[name]) for name in TWO)
        line["ratio_kafka_streams"] = round(ours / theirs, 2)
    line["max_rss_mb"] = {name: max(run.max_rss_mb for run in runs) for name, runs in results.items()}
    cpu = {name: round(statistics.median(run.cpu_us for run in runs), 1) for name, runs in results.items()}
    return {**line, "cpu_us_per_event": cpu}


async def main(events: int, names: Sequence[str], rounds: int) -> None:
    """Measure and print."""
    results: dict[str, list[Run]] = {}
    until = time.monotonic() + LONG
    with tempfile.TemporaryDirectory() as directory:
        if "faust" in names:
            results = await measure(Plan.of(min(events, FAUST_EVENTS)), ["faust"], Path(directory, "faust"))
        if others := [name for name in names if name != "faust"]:
            where = Path(directory, "others")
            results = await measure(Plan.of(events), others, where, rounds=rounds, until=until) | results
    print(json.dumps(summary(results)))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--only", default=",".join(PEERS), help="comma-separated: " + ", ".join(PEERS))
    given = arguments.parse_args()
    chosen = given.only.split(",")
    if unknown := set(chosen) - set(PEERS):
        sys.exit(f"no such peers: {', '.join(sorted(unknown))}")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # it warns of each new topic before it knows it
    asyncio.run(main(given.events, chosen, given.rounds))
