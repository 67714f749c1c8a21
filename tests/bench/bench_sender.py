"""One sender beside the same calls with aiohttp alone: real Kafka, the simulator as the provider of both.

`make bench-sender` or `python -m tests.bench.bench_sender [--messages 20000] [--rounds 3] [--grow 200000,1000000]`.
- `bare`: as many loops as the sender has calls in flight, each posting the same form with aiohttp, nothing else: no
  journal, no pace, no reading of what the answer says. A process of its own.
- `ours`: `sendledger run sender`, from its first accepted message to the last one whose response is acknowledged; the
  requests are on the log before. Claims are durable before each call, responses behind it.
- They take turns; the figures are medians (messages/s), `ratio` that of the medians.
- `--grow`: the process's largest memory (MB) after so many requests, the last of them written while it has nothing else
  to do than to keep up with them.
The last line is JSON. Processor time a message says more than the rate where the machine has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from pydantic import SecretStr

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.provider import Call, Provider
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.wire.sendsms import FORM_CONTENT_TYPE
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.ids import partition_of
from sendledger_schemas.topics import SEND_REQUESTS
from tests.bench.bench_scale import memory_mb
from tests.bench.fleet import Fleet, cpu_seconds, fleet
from tests.support.instance import Program, running
from tests.support.processes import until
from tests.support.sender import request

_KEY = SecretStr("key-of-no-account")
_RATE = 10_000.0  # the most there is, and more than anybody reaches: the pace must not be what is measured
_AT_ONCE = 5_000
_LOOK = 0.5  # each look is a page of metrics that the sender has to make: at 0.2 that was 4 % of its work
_BEYOND = 1.1  # requests on the log for each that is timed, so that it is never short of them
_WITHIN = 1_800.0
_WARM = 500
_ACCEPTED = re.compile(r'^sendledger_sender_calls_total\{outcome="accepted"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Rate:
    """Messages/s, and processor time a message (µs) of the process that calls."""

    per_second: float
    cpu_us: float


# ---------------------------------------------------------------------------------------------- aiohttp alone
async def _bare(url: str, concurrency: int, count: int) -> Rate:
    prepared = Provider(url, _KEY, timeout=30, concurrency=concurrency).prepare(request(1))
    assert isinstance(prepared, Call)
    body, headers = prepared.body, {"Content-Type": FORM_CONTENT_TYPE}
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def some(number: int) -> None:
            for _ in range(number):
                async with session.post(url, data=body, headers=headers) as response:
                    assert b"Success" in await response.read()

        await asyncio.gather(*(some(1) for _ in range(concurrency)))
        each = max(1, count // concurrency)
        began, busy = time.perf_counter(), time.process_time()
        await asyncio.gather(*(some(each) for _ in range(concurrency)))
        done = each * concurrency
        return Rate(done / (time.perf_counter() - began), 1e6 * (time.process_time() - busy) / done)


async def _bare_process(url: str, concurrency: int, count: int) -> Rate:
    command = [sys.executable, "-m", "tests.bench.bench_sender", "--bare", url, str(concurrency), str(count)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return Rate(**json.loads(out))


# ---------------------------------------------------------------------------------------------- ours
class Stage:
    """A broker, the simulator, and the requests of numbered messages."""

    def __init__(self, crew: Fleet, url: str, session: aiohttp.ClientSession) -> None:
        self._crew, self.url, self._session = crew, url, session
        self._written = 0
        self.shares: dict[str, int] = {}
        """Processor time of the last round, µs a message, by process (see `Fleet.cpu_seconds`)."""

    @property
    def settings(self) -> Settings:
        """As every role has them."""
        return self._crew.settings

    async def write(self, count: int) -> None:
        """The requests of the next messages."""
        first, self._written = self._written, self._written + count
        async with producer(self.settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
            for start in range(first, first + count, _AT_ONCE):
                rows = range(start, min(start + _AT_ONCE, first + count))
                await publish(out, (_outgoing(self.settings, row) for row in rows))

    @contextlib.asynccontextmanager
    async def sender(self) -> AsyncIterator[Program]:
        """The role as a process."""
        program = await self._crew.launch("sender", PROVIDER_URL=self.url, SEND_RATE=str(_RATE))
        try:
            yield program
        finally:
            await program.stop()

    async def accepted(self) -> float:
        """Messages whose acceptance is on the log, of the sender that runs now; 0 until it can be asked."""
        port = self.settings.metrics_port_of("sender")
        try:
            async with self._session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                return sum(map(float, _ACCEPTED.findall(await answer.text())))
        except aiohttp.ClientError:
            return 0.0

    async def round(self, count: int) -> Rate:
        """Write the requests, start a sender, and time it."""
        await self.write(int(count * _BEYOND))
        async with self.sender() as program:
            pid = program.process.pid
            first = await self.until(program, _WARM)
            began, busy, before = time.perf_counter(), cpu_seconds(pid), self._crew.cpu_seconds()
            done = await self.until(program, count) - first
            took, after = time.perf_counter() - began, self._crew.cpu_seconds()
            self.shares = {name: round(1e6 * (after[name] - before[name]) / done) for name in after}
            return Rate(done / took, 1e6 * (cpu_seconds(pid) - busy) / done)

    async def until(self, program: Program, wanted: float) -> float:
        """Return how many once at least so many are accepted. Errors: TimeoutError, RuntimeError if it ended."""
        async with asyncio.timeout(_WITHIN):
            while (seen := await self.accepted()) < wanted:
                if program.process.returncode is not None:
                    raise RuntimeError(f"the sender ended: {program.err[-500:]}")
                await asyncio.sleep(_LOOK)
        return seen


def _outgoing(settings: Settings, row: int) -> Outgoing:
    data = request(row, campaign=f"c{row % 3}")
    value = encode(event(data, id=data.message_id, source="bench", time=datetime.now(UTC)))
    partition = partition_of(data.recipient_id, settings.partitions)
    return Outgoing(SEND_REQUESTS, partition, data.recipient_id.encode(), value, HEADERS)


@contextlib.asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    """A broker, the simulator as a process, no role."""
    address = directory / "address"
    async with fleet(directory) as crew:
        known = ("--address-file", str(address), "--ledger", str(directory / "ledger.jsonl"))
        async with running("simulator", "simulator", *known, env=crew.environment, directory=directory) as simulator:
            crew.programs["simulator"] = simulator
            await until(address.exists, "the simulator listens")
            async with aiohttp.ClientSession() as session:
                yield Stage(crew, address.read_text(encoding="utf-8").strip(), session)


async def speed(on: Stage, count: int, rounds: int) -> dict[str, Any]:
    """Both in turns."""
    bare, ours = [], []
    for turn in range(rounds):
        bare.append(await _bare_process(on.url, on.settings.sender_concurrency, count))
        ours.append(await on.round(count))
        print(f"round {turn + 1}: bare {bare[-1].per_second:,.0f}/s ({bare[-1].cpu_us:.0f} us), "
              f"ours {ours[-1].per_second:,.0f}/s ({ours[-1].cpu_us:.0f} us): {on.shares}", flush=True)  # fmt: skip
    rate, other = _median(ours), _median(bare)
    told = {"ours": round(rate), "bare": round(other), "ratio": round(rate / other, 3)}
    return {**told, "ours_cpu_us": round(statistics.median(one.cpu_us for one in ours))}


def _median(rates: Sequence[Rate]) -> float:
    return statistics.median(one.per_second for one in rates)


async def growth(on: Stage, sizes: Sequence[int]) -> dict[str, Any]:
    """The largest memory of one sender after each of these numbers of requests."""
    told: dict[str, Any] = {}
    async with on.sender() as program:
        done = 0
        for size in sizes:
            await on.write(size - done)
            done = size
            await on.until(program, size)
            told[f"rss_mb_{size}"] = round(memory_mb(program), 1)
            print(f"{size:,} requests: {told[f'rss_mb_{size}']} MB", flush=True)
    return told


async def measure(count: int, rounds: int, sizes: Sequence[int]) -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        async with stage(Path(name)) as on:
            told = await speed(on, count, rounds)
            if sizes:
                told |= await growth(on, sizes)
                told["rss_growth_mb"] = round(told[f"rss_mb_{sizes[-1]}"] - told[f"rss_mb_{sizes[0]}"], 1)
    return told


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grow", default="200000,1000000", help="sizes, or nothing")
    parser.add_argument("--bare", nargs=3, metavar=("URL", "CONCURRENCY", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        url, concurrency, count = given.bare
        print(json.dumps(vars(uvloop.run(_bare(url, int(concurrency), int(count))))))
        return
    sizes = [int(size) for size in given.grow.split(",") if size]
    print(json.dumps(uvloop.run(measure(given.messages, given.rounds, sizes))))


if __name__ == "__main__":
    main()
