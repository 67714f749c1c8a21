"""A sender's parts around one partition and one log in memory: Kafka and the provider are lists, the rest is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from sendledger.agents.sender_calls import Calls, Claimed
from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.domain.call_ends import NeverBegan, Outcome, Taken
from sendledger.domain.pace import Pace
from sendledger.domain.sending import SECOND
from sendledger.edges.clocks import steady, wall_micros
from sendledger.edges.provider import Call, Objection
from sendledger_schemas import envelope
from sendledger_schemas.registry import Data
from tests.support.partition import NOON, Log, Worker, worker
from tests.support.processes import until
from tests.support.story import at

CALL = Call(b"", "", "")
DEADLINE = 30 * SECOND


@dataclass
class Parts:
    """The parts. `calls_made`: what the provider got; `written`: what Kafka got; `acknowledged`: whether it says so.

    `writes`: how often it got many at once. `owns`: whether the group has just confirmed the partitions.
    """

    it: Worker
    control: ControlLog
    outcome: Outcome = field(default_factory=lambda: Taken("T1"))
    calls_made: list[Call] = field(default_factory=list)
    written: list[Entry] = field(default_factory=list)
    writes: int = 0
    at_the_last: Callable[[], None] = lambda: None
    in_the_connect: Callable[[], None] = lambda: None
    in_the_call: Callable[[], None] = lambda: None
    owns: bool = True
    broker_now: int = NOON
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledging: list[asyncio.Task[None]] = field(default_factory=list)
    calls: Calls = field(init=False)
    kit: Kit = field(init=False)

    def __post_init__(self) -> None:
        self.acknowledged.set()
        pace = Pace(1_000.0)
        pace.set_share(1, 1)
        self.kit = cast(
            "Kit",
            SimpleNamespace(
                provider=SimpleNamespace(call=self.called),
                writer=SimpleNamespace(add=self.add, write=self.write, hand_over=self.hand_over),
                control=self.control,
                broker=SimpleNamespace(micros=lambda: self.broker_now),
                pace=pace,
                lease=SimpleNamespace(holds=lambda _now: self.owns),
                metrics=SenderMetrics(CollectorRegistry()),
                incarnation="i",
                strike=lambda step: self.at_the_last() if step == "before_call" else None,
                wake=asyncio.Event(),
                concurrency=4,
                call_deadline=DEADLINE,
            ),
        )
        self.calls = Calls(self.kit)

    async def called(self, call: Call, objection: Objection) -> Outcome:
        """The provider's side, as soon as there is a connection."""
        self.in_the_connect()
        if (reason := objection()) is not None:
            return NeverBegan(reason)
        self.calls_made.append(call)
        self.in_the_call()
        return self.outcome

    async def add(self, entry: Entry) -> int:
        """Kafka's side."""
        self.written.append(entry)
        offset = len(self.written) - 1
        await self.acknowledged.wait()
        return offset

    def hand_over(self, entry: Entry, done: Callable[[int], None]) -> None:
        """Kafka's side, for who does not wait."""
        self.written.append(entry)
        offset = len(self.written) - 1
        self.acknowledging.append(asyncio.create_task(self._acknowledge(offset, done)))

    async def _acknowledge(self, offset: int, done: Callable[[int], None]) -> None:
        await self.acknowledged.wait()
        done(offset)

    async def write(self, entries: Sequence[Entry]) -> list[int]:
        """Kafka's side, for many at once."""
        self.writes += 1
        first = len(self.written)
        self.written += entries
        await self.acknowledged.wait()
        return list(range(first, len(self.written)))

    def order(self, data: Data) -> None:
        """An order is read from the campaigns log."""
        offset = self.control.control.next_offset
        self.control.control.evolve(offset, envelope.event(data, id=str(offset), source="test", time=at(offset)))

    def known(self, seconds_ago: float = 0.0) -> None:
        """The orders were surely known then."""
        self.control._confirmed_at = steady() - seconds_ago

    def claimed(self, *, age: float = 0.0, expires_in: float = 60.0) -> Claimed:
        """The one message's claim, which has won."""
        (pick,) = self.it.go(1)
        message, expires = pick.message, wall_micros() + int(expires_in * SECOND)
        self.it.partition.take_in_hand()
        self.calls.begin((message.message_id, pick.attempt))
        return Claimed(self.it.partition, message, pick.attempt, CALL, steady() - age, expires)

    async def end_of(self, claimed: Claimed) -> dict[str, Any]:
        """Hand it over and wait for the event of its end."""
        self.calls.add(claimed)
        await until(lambda: claimed.name not in self.calls.active, "the attempt has its end", timeout=5)
        return self.written[0].data.model_dump(include={"reason", "tracking_id"})


@asynccontextmanager
async def running(directory: Path, log: Log, it: Worker | None = None) -> AsyncIterator[Parts]:
    """Parts whose calls run, around a worker that has read everything; `it`: this one, as far as it is."""
    if it is None:
        it = worker(directory, log)
        it.read()
    parts = Parts(it, ControlLog(cast("Any", None), asyncio.Event()))
    parts.known()
    task = asyncio.create_task(parts.calls.run())
    try:
        yield parts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        it.close()
