"""How many postbacks a second one receiver takes, each parsed and durable on a real broker, beside an empty server.

`make bench-receiver`: wrk posts distinct receipts (postbacks.lua) in alternating rounds to the receiver (`sendledger
run receiver`, `ours`) and to the same server with an empty handler (empty_server.py, `empty`); medians count. Then
receipts are posted at half of our rate by a paced generator; latencies count from when each was due (`p99_ms`).
Every event on the topic is counted afterwards: as many different ones as there were answers of 200, and none went
through the spool. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import uvloop

from sendledger_schemas.topics import POSTBACKS
from tests.bench import traffic
from tests.bench.figures import percentile
from tests.bench.fleet import Fleet, cpu_seconds, fleet
from tests.bench.poster import Poster
from tests.support.kafka import eventually
from tests.support.receiver import free_port, records_of

SCRIPT = Path(__file__).with_name("postbacks.lua")
_A_ROUND = 10_000_000  # numbers of one round, so that no two rounds post the same
_PACED = 900_000_000
_WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """How hard: seconds a round, connections, rounds."""

    seconds: float = 8.0
    connections: int = 256
    rounds: int = 3


@dataclass
class Told:
    """What the rounds measured. `answered`: 200s of the receiver, all of which have to be on the topic."""

    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "empty": []})
    cpu_us: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "empty": []})
    p99_ms: list[float] = field(default_factory=list)
    answered: int = 0
    unknown: int = 0  # posted when wrk ended, so perhaps on the topic
    refused: int = 0


def wrk(url: str, first: int, seconds: float, connections: int) -> dict[str, float]:
    """One run. Errors: CalledProcessError, FileNotFoundError (no wrk)."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(SCRIPT), url]
    done = subprocess.run([*command, "--", str(first)], check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


@dataclass(frozen=True)
class Target:
    """A server: its address, and its process."""

    url: str
    pid: int


async def _round(told: Told, name: str, target: Target, first: int, load: Load) -> None:
    url, pid = target.url, target.pid
    before = cpu_seconds(pid)
    seen = await asyncio.to_thread(wrk, url, first, load.seconds, load.connections)
    if seen["broken"]:
        raise AssertionError(f"{seen['broken']:g} broken connections at {name}")
    told.rates[name].append(seen["requests"] / seen["seconds"])
    told.cpu_us[name].append(1e6 * (cpu_seconds(pid) - before) / seen["requests"])
    if name == "ours":
        told.answered += int(seen["requests"] - seen["refused"])
        told.refused += int(seen["refused"])
        told.unknown += load.connections


async def _paced(told: Told, poster: Poster, rate: float, load: Load, number: int) -> None:
    await poster.connect(load.connections)
    count, first = int(rate * (load.seconds + _WARM_SECONDS)), _PACED + number * _A_ROUND
    bodies = [traffic.postback(first + one, first + one, receipt=True) for one in range(count)]
    await poster.run(count, rate, bodies.__getitem__)
    poster.close()
    warm = int(rate * _WARM_SECONDS)
    told.p99_ms.append(percentile([1000 * poster.late(one, rate) for one in range(warm, count)], 0.99))
    told.answered += len(poster.answers)
    told.refused += poster.refused


@asynccontextmanager
async def empty_server(port: int) -> AsyncIterator[int]:
    """The empty server as a process; its id."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.empty_server", str(port))
    try:
        await eventually(lambda: _listens(port), what="the empty server listens")
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _metric(stage: Fleet, name: str) -> float:
    url = f"http://127.0.0.1:{stage.settings.metrics_port_of('receiver')}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def measure(stage: Fleet, load: Load) -> Told:
    """All rounds, and then what is on the topic. Errors: AssertionError if that is not what was answered."""
    told, settings = Told(), stage.settings
    path = f"/postbacks/{settings.postback_tokens[0].get_secret_value()}"
    await stage.start("receiver")
    await eventually(lambda: _metric(stage, "sendledger_receiver_kafka_up"), what="the receiver reached Kafka")
    async with empty_server(other := free_port()) as bare:
        targets = {
            "ours": Target(f"http://127.0.0.1:{settings.receiver_port}{path}", stage.programs["receiver"].process.pid),
            "empty": Target(f"http://127.0.0.1:{other}{path}", bare),
        }
        for number in range(load.rounds):
            for name, target in targets.items():
                await _round(told, name, target, number * _A_ROUND, load)
            print(f"  round {number + 1}: " + ", ".join(f"{name} {of[-1]:,.0f}/s" for name, of in told.rates.items()))
    half = statistics.median(told.rates["ours"]) / 2
    for number in range(load.rounds):
        await _paced(told, Poster(settings.receiver_port, path), half, load, number)
        print(f"  paced at {half:,.0f}/s: p99 {told.p99_ms[-1]:.1f} ms")
    if spooled := await _metric(stage, 'sendledger_receiver_postbacks_total{outcome="spool"}'):
        raise AssertionError(f"{spooled:.0f} postbacks went into the spool: this is no measure of the broker's way")
    found = {orjson.loads(record.value)["id"] for record in await records_of(settings.kafka, POSTBACKS)}
    if not told.answered <= len(found) <= told.answered + told.unknown:
        raise AssertionError(f"{told.answered} answers of 200, but {len(found)} different events")
    return told


def figures(told: Told) -> dict[str, float]:
    """The medians. `ours`, `empty`: requests/s; `…_cpu_us`: processor time of the server's process a request."""
    ours, empty = statistics.median(told.rates["ours"]), statistics.median(told.rates["empty"])
    return {
        "ours": round(ours),
        "empty": round(empty),
        "ratio": round(ours / empty, 3),
        "p99_ms": round(statistics.median(told.p99_ms), 1),
        "ours_cpu_us": round(statistics.median(told.cpu_us["ours"]), 1),
        "empty_cpu_us": round(statistics.median(told.cpu_us["empty"]), 1),
        "durable": told.answered,
        "refused": told.refused,
    }


async def main(load: Load) -> dict[str, float]:
    """Set the stage, measure, tell."""
    with tempfile.TemporaryDirectory() as directory:
        async with fleet(Path(directory)) as stage:
            began = time.monotonic()
            told = figures(await measure(stage, load))
            print(f"  {time.monotonic() - began:.0f} s")
            return told


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=Load.seconds)
    arguments.add_argument("--connections", type=int, default=Load.connections)
    arguments.add_argument("--rounds", type=int, default=Load.rounds)
    print(json.dumps(uvloop.run(main(Load(**vars(arguments.parse_args()))))))
