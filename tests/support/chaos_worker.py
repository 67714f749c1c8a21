"""`sendledger run <role>` that can be made to break at a chosen place: `python -m tests.support.chaos_worker <role>`.

CHAOS_STRIKE   `send@3:kill` at the third time that it gives something to the producer; `acked@…` once that is
               acknowledged; `write@…` before, `written@…` after a write to the disk; `stop` instead of `kill` pauses
               it there, and `stop+die` kills it at its next write after it was woken
CHAOS_SLOW     seconds that handing over a batch takes at most: a broker that is slow, so that there is a backlog
CHAOS_FETCH    bytes of one fetch of a partition: many small batches instead of few large ones
CHAOS_LOSE     so many fetched batches get lost on their way, as Faust may lose them at a rebalance
CHAOS_BLOCK    what SIGUSR1 blocks for ever: `fetch`, `batch` or `loop`
CHAOS_MEMORY   anything: so little memory for the stores that they soon write files
CHAOS_PATIENCE seconds after which the watchdog ends a worker that stands still (a loop that does: twice as many)
"""

from __future__ import annotations

import asyncio
import os
import random
import runpy
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rocksdict
from aiokafka import AIOKafkaProducer

from sendledger.agents import driver, fold, transport, watchdog
from sendledger.edges import deadman, rocksdb
from tests.support import damage


@dataclass
class Strike:
    """One place, the visit at which it strikes, and how."""

    place: str = ""
    nth: int = 0
    action: str = ""
    visits: int = 0

    @classmethod
    def parse(cls, text: str) -> Strike:
        """`place@n:action`, or nothing."""
        if not text:
            return cls()
        place, _, rest = text.partition("@")
        nth, _, action = rest.partition(":")
        return cls(place, int(nth), action)

    def at(self, place: str, first: Callable[[], object] | None = None) -> None:
        """Strike if this is the place and the time, and do something `first`."""
        if place != self.place:
            return
        self.visits += 1
        if self.visits < self.nth:
            return
        action, self.place = self.action, ""
        if action == "stop+die":
            self.place, self.nth, self.visits, self.action = "write", 1, 0, "kill"
        if first is not None:
            first()
        os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def arm_sending(strike: Strike, slow: float) -> None:
    """Whatever is handed to the producer passes here."""
    chance = random.Random(os.getpid())

    def passing(plain: Callable[..., Any], share: float) -> Callable[..., Any]:
        async def handed_over(*args: Any, **kwargs: Any) -> Any:
            strike.at("send")
            if slow:
                await asyncio.sleep(chance.uniform(0, slow * share))
            acknowledged = await plain(*args, **kwargs)
            acknowledged.add_done_callback(lambda _: strike.at("acked"))
            return acknowledged

        return handed_over

    AIOKafkaProducer.send_batch = passing(AIOKafkaProducer.send_batch, 1)
    AIOKafkaProducer.send = passing(AIOKafkaProducer.send, 1 / 8)


def arm_disk(strike: Strike) -> None:
    """Whatever is written to a store passes here. What it holds in memory is put into files before it breaks."""
    plain = rocksdict.Rdict

    class Rdict:
        """A store of which each write can be the last."""

        def __init__(self, *args: Any) -> None:
            self._store = plain(*args)

        def write(self, batch: Any) -> None:
            """Write, with a chance to break before and after it."""
            strike.at("write", self._store.flush)
            self._store.write(batch)
            strike.at("written", self._store.flush)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

    rocksdb.Rdict = Rdict  # type: ignore[assignment,attr-defined]  # imported there and used only there


def arm_losing(count: int) -> None:
    """Some batches never reach the driver."""
    plain, chance, left = driver.BatchApp._take, random.Random(os.getpid()), [count]

    async def take(self: driver.BatchApp, batch: Any) -> None:
        high = self._consumer._thread._ensure_consumer().highwater(batch.tp) or 0
        if (
            left[0] and batch.next < high and chance.random() < 0.3
        ):  # one that has others behind it, which show the hole
            left[0] -= 1
            return
        await plain(self, batch)

    driver.BatchApp._take = take  # type: ignore[method-assign]


def arm_block(what: str) -> None:
    """From SIGUSR1 on nothing is fetched, no batch ends, or the loop does not turn."""
    blocked: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda *_: blocked.append(True))
    fetch, batch = transport._Thread._fetch_records, fold.Fold.batch

    async def no_fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if blocked:
            await asyncio.sleep(0.05)
            return {}
        return await fetch(self, *args, **kwargs)

    async def no_batch(self: Any, *args: Any) -> None:
        if blocked and what == "loop":
            time.sleep(3600)  # noqa: ASYNC251 — that is the point
        if blocked:
            await asyncio.Event().wait()
        await batch(self, *args)

    if what == "fetch":
        transport._Thread._fetch_records = no_fetch  # type: ignore[method-assign]
    else:
        fold.Fold.batch = no_batch  # type: ignore[method-assign,assignment]


def defaults_of(function: Callable[..., Any], **values: Any) -> None:
    """Other defaults for keyword-only parameters."""
    known = function.__kwdefaults__
    assert known is not None
    assert known.keys() >= values.keys()
    known.update(values)


def arm(environment: dict[str, str]) -> None:
    """Everything that the environment asks for."""
    strike = Strike.parse(environment.get("CHAOS_STRIKE", ""))
    arm_sending(strike, float(environment.get("CHAOS_SLOW", "0")))
    arm_disk(strike)
    if fetch := environment.get("CHAOS_FETCH"):
        defaults_of(driver.BatchApp.__init__, fetch_bytes=int(fetch))
    if environment.get("CHAOS_MEMORY"):
        setattr(fold, "Memory", damage.small)  # noqa: B010 — mypy takes the name for one that is not exported
    if lose := environment.get("CHAOS_LOSE"):
        arm_losing(int(lose))
    if block := environment.get("CHAOS_BLOCK"):
        arm_block(block)
    if patience := environment.get("CHAOS_PATIENCE"):
        defaults_of(watchdog.watch, every=float(patience) / 5, patience=float(patience))
        defaults_of(deadman.guarded, turns_within=2 * float(patience))


if __name__ == "__main__":
    arm(dict(os.environ))
    sys.argv = ["sendledger", "run", *sys.argv[1:]]
    runpy.run_module("sendledger", run_name="__main__", alter_sys=True)
