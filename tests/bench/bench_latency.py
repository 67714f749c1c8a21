"""How long it takes from the receiver's 200 to a postback's place in the numbers, with everything on one machine.

`make bench-latency` or `python -m tests.bench.bench_latency [--rate 1000] [--seconds 30] [--stages]`. All five roles
run as processes beside an embedded Kafka. Messages stand accepted on the log; their postbacks come over HTTP at
a fixed pace, due whether or not the one before was answered. Of each the time is taken from its 200 to the arrival,
in this process, of the first record of `sms.campaign-state.v1` whose `to` reaches the postback's own offset: it counts
it then, and not before. The first seconds are not counted. The last line is JSON: `p50_ms`, `p99_ms`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from sendledger.config import Settings
from sendledger.edges.kafka import consumer
from sendledger.wiring import ROLES
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, POSTBACKS
from tests.bench import traffic
from tests.bench.figures import Sightings, percentile
from tests.bench.fleet import Fleet, fleet
from tests.bench.poster import Poster
from tests.support.processes import until
from tests.support.receiver import records_of

WARM_SECONDS = 5
CONNECTIONS = 64
_SETTLED_WITHIN = 60.0


class _State(msgspec.Struct):
    campaign_id: str
    to: dict[str, dict[str, int]]
    counters: dict[str, int]


class _Partial(msgspec.Struct):
    campaign_id: str
    partition: int
    to: dict[str, int]
    day: str | None = None


class _Data(msgspec.Struct):
    notification_id: str


class _Event(msgspec.Struct):
    data: _Data


_state = msgspec.json.Decoder(_State).decode
_event = msgspec.json.Decoder(_Event).decode
_partial = msgspec.json.Decoder(_Partial).decode


@dataclass
class Watch:
    """Reads `sms.campaign-state.v1` as it grows. `seen`: by (campaign, partition), offsets of `sms.postbacks.v1`."""

    seen: Sightings = field(default_factory=Sightings)
    folded: Sightings = field(default_factory=Sightings)
    states: int = 0
    delivered: dict[str, int] = field(default_factory=dict)

    async def run(self, settings: Settings) -> None:
        """Follow the topic until cancelled."""
        async with consumer(settings.kafka, CAMPAIGN_STATE) as reader:
            while True:
                for records in (await reader.getmany(timeout_ms=1_000)).values():
                    now = time.monotonic()
                    for record in records:
                        self._take(_state(record.value), now)

    async def run_partials(self, settings: Settings) -> None:
        """The same with the fold's partials, to tell where the time goes. Follows until cancelled."""
        async with consumer(settings.kafka, CAMPAIGN_PARTIALS) as reader:
            while True:
                for records in (await reader.getmany(timeout_ms=1_000)).values():
                    now = time.monotonic()
                    for partial in map(_partial, (record.value for record in records)):
                        if partial.day is None:
                            self.folded.see((partial.campaign_id, partial.partition), partial.to[POSTBACKS], now)

    def _take(self, state: _State, now: float) -> None:
        self.states += 1
        for partition, to in state.to.items():
            self.seen.see((state.campaign_id, int(partition)), to[POSTBACKS], now)
        self.delivered[state.campaign_id] = state.counters.get("b:delivered", 0)


async def places(settings: Settings) -> dict[int, tuple[int, int]]:
    """Number of the postback → its partition and offset on the log."""
    records = await records_of(settings.kafka, POSTBACKS)
    return {int(_event(record.value).data.notification_id): (record.partition, record.offset) for record in records}


async def until_counted(watch: Watch, receipts: int) -> None:
    """Wait until all receipts are in the numbers. Errors: AssertionError."""
    what = f"{receipts} receipts in the numbers"
    await until(lambda: sum(watch.delivered.values()) >= receipts, what, timeout=_SETTLED_WITHIN)


def latencies(poster: Poster, where: dict[int, tuple[int, int]], seen: Sightings, first: int) -> list[float]:
    """Milliseconds from its 200 to the first sighting, of each postback from number `first` on; inf: never seen."""
    found = []
    for number, answered in poster.answers.items():
        partition, offset = where[number]
        counted = seen.counted_at((traffic.campaign(number // 2), partition), offset)
        if number >= first:
            found.append(math.inf if counted is None else 1000 * (counted - answered))
    return found


def told(name: str, found: list[float]) -> dict[str, float]:
    """The figures of one stage."""
    figures = {"p50_ms": percentile(found, 0.5), "p99_ms": percentile(found, 0.99), "max_ms": max(found)}
    return {f"{name}{figure}": round(value, 1) for figure, value in figures.items()}


async def load(
    stage: Fleet, rate: float, seconds: float, *, warm: float = WARM_SECONDS, stages: bool = False
) -> dict[str, float]:
    """Post, wait until all is counted, and compute."""
    count = int(rate * (seconds + warm))
    settings, watch = stage.settings, Watch()
    watching = [asyncio.create_task(watch.run(settings))]
    if stages:
        watching.append(asyncio.create_task(watch.run_partials(settings)))
    poster = Poster(settings.receiver_port, f"/postbacks/{settings.postback_tokens[0].get_secret_value()}")
    await poster.connect(CONNECTIONS)
    busy, began = stage.cpu_seconds(), time.monotonic()
    await poster.run(count, rate, lambda number: traffic.postback(number // 2, number, receipt=number % 2 == 1))
    took = time.monotonic() - began
    for name, after in sorted(stage.cpu_seconds().items()):
        print(f"  {name:10} {100 * (after - busy[name]) / took:5.1f} % of one core")
    await until_counted(watch, count // 2)
    for task in watching:
        task.cancel()
    poster.close()
    where, first = await places(settings), int(rate * warm)
    if stages:
        print(f"  {json.dumps(told('folded_', latencies(poster, where, watch.folded, first)))}")
    found = latencies(poster, where, watch.seen, first)
    over = {"postbacks": len(found), "refused": poster.refused, "most_due_at_once": poster.most_waiting}
    return {**told("", found), **over, "states_per_s": round(watch.states / took), "rate": rate}


async def main(rate: float, seconds: float, *, stages: bool) -> dict[str, float]:
    """Set the stage, load it, and tell."""
    with tempfile.TemporaryDirectory() as directory:
        async with fleet(Path(directory), API_TOKENS="read:of-nobody-here-1234567890") as stage:
            await traffic.write_accepted(stage.settings, 0, int(rate * (seconds + WARM_SECONDS)) // 2 + 1)
            await stage.start(*ROLES)
            return await load(stage, rate, seconds, stages=stages)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=float, default=1_000.0)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--stages", action="store_true", help="tell where the time goes (costs a little itself)")
    given = arguments.parse_args()
    print(json.dumps(uvloop.run(main(given.rate, given.seconds, stages=given.stages))))
