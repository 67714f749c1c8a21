"""What an event costs as the state grows, with more workers, and where one recipient or one campaign has it all.

`make bench-scale` or `python -m tests.bench.bench_scale [--millions 1,2,4,8] [--slice 100000] [--rounds 3]`. The fold
is the real process (`sendledger run fold`) on an embedded Kafka; its events are those of `growth.py`.
1. The state grows to 1, 2, 4, 8 million messages, five events each, folded while they are written. At each size the
   worker is stopped (SIGSTOP), a slice of new messages is written, and the rate is taken over that slice alone.
   Memory is the largest that the process ever had by then, disk that of its stores.
2. Slices in turns: the usual mix; a tenth of the messages to one recipient (10,000 in a slice of 100,000); all
   messages in one campaign. Of each the median; `…_slowdown` is how much slower than the usual mix.
3. A log of its own, folded from nothing by 1, 2, 3 workers (slots), which have their partitions before it is written.
The last line is JSON; `--plot FILE` writes the picture. Rates of one run compare with each other and with nothing else;
processor time an event says more where the machine has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.bench.figures import slowed
from tests.bench.fleet import Fleet, cpu_seconds, fleet
from tests.bench.growth import USUAL, Mix, write
from tests.bench.plot import Panel, picture
from tests.support.instance import Program
from tests.support.processes import until

MILLION = 1_000_000
PATIENT = {"SESSION_TIMEOUT": "90"}  # a stopped worker keeps its partitions while a slice is written
_SHARED_WITHIN = 240.0  # seconds: a member hears of a new one with its next heartbeat, a third of the session time-out
_FOLDED = re.compile(r"^sendledger_fold_records_total\{[^}]*\} (\S+)$", re.MULTILINE)
_LOOK = 0.05
_WITHIN = 3_600.0


@dataclass(frozen=True)
class Rate:
    """Of one slice. `cpu_us`: processor time an event, of all workers."""

    per_second: float
    cpu_us: float


class Workers:
    """Folds of one log, and how many records each has folded."""

    def __init__(self, stage: Fleet, session: aiohttp.ClientSession, count: int) -> None:
        self._stage, self._session = stage, session
        first = int(stage.environment["SENDLEDGER_METRICS_PORT"])
        self._ports = [first + 10 * slot for slot in range(count)]
        self.programs: list[Program] = []

    async def start(self) -> None:
        """Start all and wait until each has its share of the partitions."""
        for slot, port in enumerate(self._ports):
            over = {"FOLD_SLOT": str(slot), "METRICS_PORT": str(port), **PATIENT}
            self.programs.append(await self._stage.launch("fold", name=f"fold-{slot}", **over))
        share = self._stage.settings.partitions // len(self._ports)
        shared = "each has its partitions"
        await until(lambda: all(_partitions(one) >= share for one in self.programs), shared, timeout=_SHARED_WITHIN)

    async def stop(self) -> None:
        """Stop all."""
        await asyncio.gather(*(program.stop() for program in self.programs))

    def signal(self, number: signal.Signals) -> None:
        """To all."""
        for program in self.programs:
            program.process.send_signal(number)

    async def look(self) -> float:
        """Records that all of them have folded, a moment from now."""
        await asyncio.sleep(_LOOK)
        return sum(await asyncio.gather(*(self._folded(port) for port in self._ports)))

    async def _folded(self, port: int) -> float:
        fold_port = port + self._stage.settings.metrics_port_of("fold") - self._stage.settings.metrics_port
        async with self._session.get(f"http://127.0.0.1:{fold_port}/metrics") as answer:
            return sum(map(float, _FOLDED.findall(await answer.text())))

    async def until_folded(self, wanted: float) -> None:
        """Return once that many are folded. Errors: TimeoutError."""
        async with asyncio.timeout(_WITHIN):
            while await self.look() < wanted:
                pass

    def cpu(self) -> float:
        """Processor seconds of all."""
        return sum(cpu_seconds(program.process.pid) for program in self.programs)


class Log:
    """A growing log and how many messages and events are on it."""

    def __init__(self, stage: Fleet, workers: Workers) -> None:
        self._stage, self._workers = stage, workers
        self.messages = self.events = self.known = 0

    async def grow(self, to: int) -> None:
        """Write the usual messages up to this number while they are folded."""
        self.events += await write(self._stage.settings, self.messages, to, self.known)
        self.messages = self.known = to
        await self._workers.until_folded(self.events)

    async def slice(self, count: int, mix: Mix = USUAL) -> Rate:
        """Stop the workers, write so many messages, let the workers go on, and time them."""
        workers, before = self._workers, self.events
        workers.signal(signal.SIGSTOP)
        self.events += await write(self._stage.settings, self.messages, self.messages + count, self.known, mix)
        self.messages += count
        busy, began = workers.cpu(), time.monotonic()
        workers.signal(signal.SIGCONT)
        await workers.until_folded(self.events)
        took, events = time.monotonic() - began, self.events - before
        return Rate(events / took, 1e6 * (workers.cpu() - busy) / events)


def _partitions(worker: Program) -> int:
    """How many it said last that it reads."""
    told = [line for line in (worker.out + worker.err).splitlines() if '"reading"' in line]
    return len(json.loads(told[-1])["partitions"]) if told else 0


def memory_mb(program: Program) -> float:
    """The most memory that a process ever had."""
    status = Path(f"/proc/{program.process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def disk_bytes(directory: Path) -> int:
    """What the files of a directory take."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


async def sizes(log: Log, stage: Fleet, worker: Program, wanted: Sequence[float], count: int) -> list[dict[str, float]]:
    """Part 1."""
    found = []
    for millions in wanted:
        await log.grow(int(millions * MILLION) - count)
        rate = await log.slice(count)
        disk = disk_bytes(stage.settings.data_dir / "fold-0")
        found.append(
            {
                "millions": millions,
                "events_per_s": round(rate.per_second),
                "cpu_us_per_event": round(rate.cpu_us, 1),
                "max_rss_mb": round(memory_mb(worker)),
                "disk_bytes_per_message": round(disk / log.messages),
            }
        )
        print(f"  {json.dumps(found[-1])}", flush=True)
        log.known = log.messages
    return found


async def mixes(log: Log, count: int, rounds: int) -> dict[str, float]:
    """Part 2."""
    kinds = {"usual": USUAL, "one_recipient": Mix(heavy=10), "one_campaign": Mix(campaigns=1)}
    rates: dict[str, list[Rate]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, mix in kinds.items():
            rates[name].append(await log.slice(count, mix))
            print(f"  {name}: {rates[name][-1]}", flush=True)
    speed = {name: statistics.median(rate.per_second for rate in found) for name, found in rates.items()}
    cost = {name: statistics.median(rate.cpu_us for rate in found) for name, found in rates.items()}
    told: dict[str, float] = {}
    for name in ("one_recipient", "one_campaign"):
        told[f"{name}_slowdown"] = round(slowed(speed["usual"], speed[name]), 3)
        told[f"{name}_cpu_slowdown"] = round(cost[name] / cost["usual"] - 1, 3)
    return told


async def parallel(directory: Path, session: aiohttp.ClientSession, count: int, workers: int) -> dict[str, float]:
    """Part 3, for one number of workers."""
    async with fleet(directory) as stage:
        folds = Workers(stage, session, workers)
        await folds.start()
        rate = await Log(stage, folds).slice(count)
        await folds.stop()
    told = {"workers": workers, "events_per_s": round(rate.per_second), "cpu_us_per_event": round(rate.cpu_us, 1)}
    print(f"  {json.dumps(told)}", flush=True)
    return told


async def main(millions: Sequence[float], count: int, rounds: int, workers: Sequence[int]) -> dict[str, Any]:
    """All parts."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with aiohttp.ClientSession() as session:
            (directory / "size").mkdir()
            async with fleet(directory / "size") as stage:
                folds = Workers(stage, session, 1)
                await folds.start()
                log = Log(stage, folds)
                by_size = await sizes(log, stage, folds.programs[0], millions, count)
                told = await mixes(log, count, rounds)
                await folds.stop()
            by_workers = []
            for number in workers:
                (directory / f"workers-{number}").mkdir()
                by_workers.append(await parallel(directory / f"workers-{number}", session, count, number))
    return {"by_size": by_size, **told, "by_workers": by_workers, "slice": count}


def plotted(told: dict[str, Any]) -> str:
    """The figures as a picture."""
    sizes_, workers = told["by_size"], told["by_workers"]
    at, axis = [one["millions"] for one in sizes_], "million messages of state"
    rates = [one["events_per_s"] for one in workers]
    return picture(
        [
            Panel("events/s", axis, at, [one["events_per_s"] for one in sizes_]),
            Panel("largest memory, MB", axis, at, [one["max_rss_mb"] for one in sizes_], 400),
            Panel("disk, bytes a message", axis, at, [one["disk_bytes_per_message"] for one in sizes_], 250),
            Panel("events/s", "workers, on two cores", [one["workers"] for one in workers], rates),
        ]
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--millions", default="1,2,4,8", help="sizes of the state, with commas between")
    arguments.add_argument("--slice", type=int, default=100_000, help="messages over which a rate is taken")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--workers", default="1,2,3")
    arguments.add_argument("--plot", type=Path)
    given = arguments.parse_args()
    wanted, counts = [float(each) for each in given.millions.split(",")], [int(n) for n in given.workers.split(",")]
    measured = uvloop.run(main(wanted, given.slice, given.rounds, counts))
    if given.plot is not None:
        given.plot.write_text(plotted(measured), encoding="utf-8")
    print(json.dumps(measured))
