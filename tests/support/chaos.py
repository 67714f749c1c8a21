"""Workers that are `sendledger run …` processes with slots and directories of their own, and what is done to them."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiokafka import TopicPartition

from sendledger.config import ROLES, Settings
from sendledger.demo.ports import free_run
from sendledger.edges.kafka import consumer, producer
from sendledger.edges.publisher import Outgoing, publish
from sendledger_schemas.topics import FOLD_SOURCES, MESSAGE_STATE
from tests.support.chaos_load import Load
from tests.support.kafka import PEPPER, eventually

ROOT = Path(__file__).parents[2]
CAUGHT_UP_WITHIN = 60.0
_CURSOR = re.compile(
    r'^sendledger_consumer_cursor_offset\{group="[^"]+",partition="(\d+)",topic="([^"]+)"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True)
class Scale:
    """How long a test goes on: `CHAOS=long` makes it long, `CHAOS_SEED` repeats one; `events` on the log in all."""

    long: bool = field(default_factory=lambda: os.environ.get("CHAOS") == "long")
    seed: int = field(default_factory=lambda: int(os.environ.get("CHAOS_SEED") or random.randrange(10**6)))

    def rounds(self, short: int, long: int) -> int:
        """How often something is done to the workers."""
        return long if self.long else short

    @property
    def events(self) -> int:
        """About so many."""
        return 120_000 if self.long else 20_000


@dataclass
class Worker:
    """One process. `wanted`: it was alive when we ended it; `armed`: it may kill itself."""

    role: str
    slot: int
    process: subprocess.Popen[bytes]
    metrics: str
    armed: bool
    wanted: bool = False

    @property
    def alive(self) -> bool:
        """Whether it runs (a stopped one does)."""
        return self.process.poll() is None


class Crew:
    """The workers of a test. `traits`: of the fold's workers, as `chaos_worker` names them, without CHAOS_."""

    def __init__(self, settings: Settings, **traits: str) -> None:
        self.settings, self._traits = settings, traits
        self.now: dict[tuple[str, int], Worker] = {}
        self.past: list[Worker] = []
        self._ports: dict[int, int] = {}

    def directory(self, slot: int) -> Path:
        """The data directory of a slot."""
        return self.settings.data_dir / f"worker-{slot}"

    def start(self, slot: int = 0, role: str = "fold", **traits: str) -> Worker:
        """Start a worker in a slot; its output goes to `<role>-<slot>.log`."""
        environment = self.environment(slot, **(self._traits | traits if role == "fold" else {}))
        command = [sys.executable, "-m", "tests.support.chaos_worker", role]
        with (self.settings.data_dir / f"{role}-{slot}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.directory(slot))
        worker = self.now[role, slot] = Worker(role, slot, process, self.metrics(slot, role), "strike" in traits)
        return worker

    def environment(self, slot: int, **traits: str) -> dict[str, str]:
        """What a worker of this slot is told."""
        port = self._ports.setdefault(slot, free_run(5))
        self.directory(slot).mkdir(exist_ok=True)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SENDLEDGER_", "KAFKA_"))},
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT)))),
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka.bootstrap_servers or "",
            "SENDLEDGER_RECIPIENT_PEPPER": PEPPER,
            "SENDLEDGER_DATA_DIR": str(self.directory(slot)),
            "SENDLEDGER_FOLD_SLOT": str(slot),
            "SENDLEDGER_METRICS_PORT": str(port),
            "SENDLEDGER_SESSION_TIMEOUT": str(self.settings.session_timeout),
            **{f"CHAOS_{name.upper()}": value for name, value in traits.items()},
        }

    def metrics(self, slot: int, role: str = "fold") -> str:
        """The address of a worker's /metrics, without the path."""
        return f"http://127.0.0.1:{self._ports[slot] + ROLES.index(role)}"

    async def end(self, slot: int, number: int = signal.SIGKILL, role: str = "fold") -> int:
        """Send the signal and wait for the end; returns the exit code."""
        worker = self.now.pop((role, slot))
        worker.wanted = worker.alive
        if worker.alive:
            worker.process.send_signal(number)
        self.past.append(worker)
        return await asyncio.to_thread(worker.process.wait, 30)

    def free(self, slots: Sequence[int]) -> list[int]:
        """Those of these slots in which no fold is."""
        return [slot for slot in slots if ("fold", slot) not in self.now]

    async def buried(self, slot: int) -> bool:
        """Whether the slot is free, if only because its worker has ended by itself."""
        worker = self.now.get(("fold", slot))
        if worker is not None and not worker.alive:
            await self.end(slot)
        return slot in self.free([slot])

    def lose_state(self, slot: int) -> None:
        """Delete the directory of a slot whose worker has ended."""
        assert ("fold", slot) not in self.now
        shutil.rmtree(self.directory(slot), ignore_errors=True)

    def folds(self) -> list[Worker]:
        """The fold's workers that are alive."""
        return [worker for (role, _), worker in self.now.items() if role == "fold" and worker.alive]

    def failures(self) -> list[str]:
        """Workers that ended otherwise than they were told to, each with its exit code."""
        everybody = [*self.past, *self.now.values()]
        codes = [(worker, worker.process.poll()) for worker in everybody]
        return [
            f"{worker.role}-{worker.slot} ended with {code}"
            for worker, code in codes
            if code is not None and not _expected(worker, code)
        ]

    def close(self) -> None:
        """Kill whoever is left."""
        for worker in self.now.values():
            worker.process.kill()
        for worker in self.now.values():
            worker.process.wait(10)

    def told(self) -> str:
        """The last lines of each worker's log."""
        logs = sorted(self.settings.data_dir.glob("*-*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-12:]) for log in logs)


def is_stopped(worker: Worker) -> bool:
    """Whether it has been paused by a signal."""
    stat = Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()[0] == "T"


def has_ended(worker: Worker) -> bool:
    """Whether it is no more."""
    return not worker.alive


def _expected(worker: Worker, code: int) -> bool:
    return (worker.armed and code == -signal.SIGKILL) or (worker.wanted and code in {0, -signal.SIGKILL})


class Log:
    """The load on its way to the log, and how far the workers are."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self._settings, self._load = settings, load
        self.events = 0

    async def write(self, events: int, *, turn: bool = True) -> None:
        """The next portion of the load; with another campaign of its own unless `turn` is False."""
        if turn:
            self._load.turn()
        await self._put(self._load.portion(events))

    async def finish(self) -> None:
        """What is late, and a little everywhere."""
        await self._put(self._load.rest())

    async def _put(self, records: list[Outgoing]) -> None:
        async with producer(self._settings.kafka) as out:
            await publish(out, records)
        self.events += len(records)

    async def ends(self, *topics: str) -> dict[TopicPartition, int]:
        """The ends of keyed topics as they are now."""
        places = [TopicPartition(topic, p) for topic in topics for p in range(self._settings.partitions)]
        async with consumer(self._settings.kafka) as reader:
            return {tp: end for tp, end in (await reader.end_offsets(places)).items() if end}

    async def published(self) -> int:
        """How many message states there are."""
        return sum((await self.ends(MESSAGE_STATE)).values())

    async def something_more(self, before: int, within: float = CAUGHT_UP_WITHIN) -> None:
        """Wait until workers have published more than these message states (`published()` before the load)."""

        async def more() -> bool:
            return await self.published() > before

        await eventually(more, within, "something more is published")


async def _asked(address: str, path: str) -> str | None:
    """The body of a 200, or None."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http,
            http.get(f"{address}{path}") as answer,
        ):
            return await answer.text() if answer.status == HTTPStatus.OK else None
    except (aiohttp.ClientError, TimeoutError):
        return None


async def lives(worker: Worker) -> bool:
    """Whether it is alive and has heard of signals (it answers once it listens to them)."""
    return worker.alive and await _asked(worker.metrics, "/livez") is not None


async def cursors(address: str) -> dict[TopicPartition, int]:
    """What a worker says it has folded; nothing if it does not answer or is not ready."""
    if await _asked(address, "/readyz") is None:
        return {}
    told = await _asked(address, "/metrics") or ""
    return {TopicPartition(topic, int(p)): int(float(offset)) for p, topic, offset in _CURSOR.findall(told)}


async def caught_up(crew: Crew, log: Log, within: float = CAUGHT_UP_WITHIN, *, beside: Sequence[str] = ()) -> float:
    """Wait until those who have the partitions now have folded all of them to their ends; returns the seconds.

    `beside`: addresses of workers that somebody else started.
    """
    began = time.monotonic()
    ends = await log.ends(*FOLD_SOURCES)
    lag: dict[TopicPartition, int] = {}

    async def none_behind() -> bool:
        asked = [*beside, *(worker.metrics for worker in crew.folds())]
        found = [mine for address in asked for mine in (await cursors(address)).items()]
        lag.clear()
        lag.update({tp: end - max((at for p, at in found if p == tp), default=0) for tp, end in ends.items()})
        return not any(lag.values())

    try:
        await eventually(none_behind, within)
    except AssertionError:
        behind = {tp: by for tp, by in lag.items() if by}
        raise AssertionError(f"lag after {within:g} s: {behind}; {crew.failures()}\n{crew.told()}") from None
    return time.monotonic() - began


@asynccontextmanager
async def crew_of(settings: Settings, **traits: str) -> AsyncIterator[Crew]:
    """A crew, killed at the end."""
    crew = Crew(settings, **traits)
    try:
        yield crew
    finally:
        crew.close()
