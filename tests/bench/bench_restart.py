"""How long the numbers stand still when the fold's worker dies, is restarted, or loses its state, under load.

`make bench-restart` or `python -m tests.bench.bench_restart [--backlog 300000] [--rate 1000] [--seconds 6]`. Real
processes on an embedded Kafka; a stream of events goes on all the time. Each case is timed by the campaign's own
numbers on `sms.campaign-state.v1`: *current* is the first moment from which on every event was in them within a second
of its acknowledgement, counted from the signal; *pause* is the longest time in which those of one partition did not
move. Cases:
1. kill -9, started again as the supervisor does, with its state: within 15 s (of these 6 s session time-out)
2. SIGTERM and a new start: within 5 s, counted from the signal
3. kill -9 and no state: the log is folded again, at the benchmark's speed, with progress in log and metric
4. two workers, one is killed with -9: the other takes over
The last line is JSON. At the end the numbers have to be exact: as many messages as were written, each delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

from tests.bench.events import Plan, fill
from tests.bench.figures import current_from, longest_pause
from tests.bench.fleet import Fleet, fleet
from tests.bench.stream import Reader, Writer
from tests.support.instance import Program
from tests.support.processes import until

LATE = 1.0  # seconds
RESTART_DELAY = 0.5  # seconds: the supervisor's first
FOLDED = "the log is folded"
CASES = ("killed", "stopped", "bare", "taken_over")
_REMAINING = re.compile(r"^sendledger_fold_replay_remaining_records (\S+)$", re.MULTILINE)
_WITHIN = 300.0


@dataclass
class Case:
    """What was seen of one case. Times on the monotonic clock; `facts`: more figures of it."""

    name: str
    began: float
    ended: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)


class Drill:
    """The cases, one after the other, on one stage."""

    def __init__(self, stage: Fleet, seconds: float) -> None:
        self.stage, self.seconds = stage, seconds
        self.cases: list[Case] = []

    async def settle(self, case: Case) -> None:
        """Let the load go on for a while after the worker is ready."""
        await self.stage.ready("fold")
        await asyncio.sleep(self.seconds)
        case.ended = time.monotonic()
        self.cases.append(case)

    async def killed(self) -> None:
        """Case 1."""
        case = Case("kill", time.monotonic())
        await self.stage.programs["fold"].stop(signal.SIGKILL)
        await asyncio.sleep(RESTART_DELAY)
        await self.stage.launch("fold")
        await self.settle(case)

    async def stopped(self) -> None:
        """Case 2."""
        case = Case("clean", time.monotonic())
        await self.stage.programs["fold"].stop()
        case.facts["clean_stop_s"] = round(time.monotonic() - case.began, 2)
        await self.stage.launch("fold")
        await self.settle(case)

    async def bare(self, events: int) -> None:
        """Case 3: `events` are on the log."""
        case = Case("bare", time.monotonic())
        await self.stage.programs["fold"].stop(signal.SIGKILL)
        shutil.rmtree(self.stage.settings.data_dir / "fold-0")
        await asyncio.sleep(RESTART_DELAY)
        worker = await self.stage.launch("fold")
        await self.stage.ready("fold")
        began = time.monotonic()
        await until(lambda: any(FOLDED in line for line in progress(worker)), FOLDED, timeout=_WITHIN)
        took = time.monotonic() - began
        await self.settle(case)
        case.facts |= {"bare_events": events, "bare_events_per_s": round(events / took)}
        case.facts |= {"bare_progress_lines": len(progress(worker)), "bare_remaining": await self._remaining()}

    async def _remaining(self) -> float:
        port = self.stage.settings.metrics_port_of("fold")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            found = _REMAINING.search(await answer.text())
        return float(found.group(1)) if found else math.inf

    async def taken_over(self) -> None:
        """Case 4: the second worker has half of the partitions; what it leaves the first one knows from before."""
        ports = int(self.stage.environment["SENDLEDGER_METRICS_PORT"]) + 10
        second = await self.stage.launch("fold", name="fold-1", FOLD_SLOT="1", METRICS_PORT=str(ports))
        await until(lambda: has_partitions(second), "the second worker has partitions", timeout=60)
        await asyncio.sleep(self.seconds)
        case = Case("takeover", time.monotonic())
        await second.stop(signal.SIGKILL)
        await asyncio.sleep(8)  # the session time-out and more: readiness says nothing here
        await self.settle(case)


def progress(worker: Program) -> list[str]:
    """Its lines about the folding of the log."""
    return [line for line in (worker.out + worker.err).splitlines() if "folding the log" in line or FOLDED in line]


def has_partitions(worker: Program) -> bool:
    """Whether it said that it reads some."""
    return any(
        '"reading"' in line and '"partitions": []' not in line for line in (worker.out + worker.err).splitlines()
    )


def figures(case: Case, writer: Writer, reader: Reader) -> dict[str, float]:
    """The case's line."""
    part = {
        place: [(offset, when) for offset, when in records if when < case.ended - LATE]
        for place, records in writer.written.items()
    }
    found = current_from(part, reader.seen, case.began, LATE)
    current = -1.0 if found is None else round(found - case.began, 2)
    seen = reader.seen
    pauses = [longest_pause(seen.moves(partition), case.began, case.ended) for partition in seen.partitions()]
    return {f"{case.name}_current_s": current, f"{case.name}_pause_s": round(max(pauses), 2), **case.facts}


async def drill(
    directory: Path, backlog: int, rate: float, seconds: float, cases: Sequence[str] = CASES, **over: str
) -> dict[str, float]:
    """These cases. `over`: settings without SENDLEDGER_. Errors: AssertionError if the numbers are not exact."""
    async with fleet(directory, **over) as stage:
        plan = Plan.of(backlog, stage.settings.partitions)
        await fill(stage.settings, plan)
        await stage.start("merge", "fold")
        writer, reader = Writer(stage.settings, rate / 5), Reader(stage.settings)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(reader.run())
            writing = group.create_task(writer.run())
            await until(lambda: reader.counters.get("requested", 0) > 0, "the numbers move", timeout=_WITHIN)
            await asyncio.sleep(seconds)
            drilled = Drill(stage, seconds)
            for name in cases:
                match name:
                    case "killed":
                        await drilled.killed()
                    case "stopped":
                        await drilled.stopped()
                    case "bare":
                        await drilled.bare(plan.events + 5 * writer.messages)
                    case _:
                        await drilled.taken_over()
            writer.stop()
            await writing
            wanted = {"requested": writer.messages, "b:delivered": writer.messages}
            exact = lambda: all(reader.counters.get(name) == count for name, count in wanted.items())  # noqa: E731
            await until(exact, f"exact numbers: {wanted}", timeout=60)
            reading.cancel()
        told: dict[str, float] = {}
        for case in drilled.cases:
            told |= figures(case, writer, reader)
        return {**told, "messages": writer.messages, "rate": rate}


async def main(backlog: int, rate: float, seconds: float) -> dict[str, float]:
    """All cases on a stage of their own."""
    with tempfile.TemporaryDirectory() as directory:
        return await drill(Path(directory), backlog, rate, seconds)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backlog", type=int, default=300_000, help="events on the log before it begins")
    arguments.add_argument("--rate", type=float, default=1_000.0, help="events a second meanwhile")
    arguments.add_argument("--seconds", type=float, default=6.0, help="of load after each case")
    given = arguments.parse_args()
    print(json.dumps(uvloop.run(main(given.backlog, given.rate, given.seconds))))
