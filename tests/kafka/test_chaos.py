"""Workers killed, paused, and sent to and fro while a load is on its way: the numbers are those of the log (P4).

Three workers, each `sendledger run fold` with a slot and a directory of its own, eight partitions, one merge. A short
round each; `make chaos` takes the long ones. The seed is printed; CHAOS_SEED=n repeats it.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import pytest

from sendledger.config import Settings
from tests.support.chaos import Crew, Log, Scale, caught_up, crew_of, cursors, has_ended, is_stopped, lives
from tests.support.chaos_load import Load
from tests.support.chaos_truth import judge
from tests.support.kafka import eventually

SLOTS = (0, 1, 2)
MANY_SMALL_BATCHES = {"fetch": "24000", "slow": "0.04"}
FULL_SPEED = {"fetch": "", "slow": "0"}
STRIKES = ("acked", "send", "written", "write")
SCALE = Scale()


@dataclass
class Stage:
    """What every test here begins with."""

    crew: Crew
    log: Log
    chance: random.Random

    async def work_until(self, fact: Callable[[], bool], what: str) -> None:
        """Write a little again and again until something has happened to a worker."""

        async def happened() -> bool:
            await self.log.write(150, turn=False)
            return fact()

        await eventually(happened, 150, what)  # a busy machine starts slowly; nothing is promised here

    async def published_or_struck(self, before: int) -> None:
        """Wait until more message states are published, or a worker has struck itself: all may have, before that."""

        async def happened() -> bool:
            return len(self.crew.folds()) < len(SLOTS) or await self.log.published() > before

        await eventually(happened, 150, "something more is published")

    async def judged(self, what: str, *, compacts: bool = True) -> None:
        """The end of each test: everything is read within a minute, and right."""
        took = await caught_up(self.crew, self.log)
        verdict = await judge(self.crew.settings, compacts=compacts)
        print(f"{what}: seed {SCALE.seed}, lag 0 after {took:.1f} s, {verdict}")  # noqa: T201


@pytest.fixture
async def stage(shared_kafka: Settings) -> AsyncIterator[Stage]:
    """Nobody works yet, nothing is on the log."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    log = Log(shared_kafka, Load(SCALE.seed, shared_kafka.partitions))
    async with crew_of(shared_kafka, **MANY_SMALL_BATCHES) as crew:
        yield Stage(crew, log, random.Random(SCALE.seed))


LOSING = {"kept": 0.0, "lost": 1.0} if SCALE.long else {"kept or lost": 0.5}


@pytest.mark.parametrize("losing", LOSING.values(), ids=list(LOSING))
async def test_killed_again_and_again(stage: Stage, losing: float) -> None:
    """Kill -9 every few seconds, from outside or at a chosen step, with state or without, costs no number."""
    crew, log, chance, strikes = stage.crew, stage.log, stage.chance, cycle(STRIKES)
    rounds = SCALE.rounds(2, 24)
    await log.write(SCALE.events // 2)
    crew.start(0, "merge")
    for begun in (crew.settings.partitions, 0):  # a store's beginning is a write of its own
        # an odd one after that: what is not written together would be torn apart here
        struck = crew.start(0, strike=f"written@{begun + chance.randrange(5, 15, 2)}:kill")
        await stage.work_until(partial(has_ended, struck), "a lone worker has struck itself")
        await crew.end(0)
    for number in range(rounds):
        for slot in crew.free(SLOTS):
            crew.start(slot, strike=f"{next(strikes)}@{chance.randint(8, 24)}:kill")
        before = await log.published()
        await log.write(SCALE.events // 2 // rounds)
        if number % 2:
            await stage.published_or_struck(before)
            if alive := sorted(set(SLOTS).difference(crew.free(SLOTS))):
                await crew.end(chance.choice(alive))
        else:
            await stage.work_until(lambda: len(crew.folds()) < len(SLOTS), "somebody has struck itself")
        for slot in SLOTS:
            if await crew.buried(slot) and chance.random() < losing:
                crew.lose_state(slot)
    for slot in SLOTS:
        if slot not in crew.free(SLOTS):
            await crew.end(slot)
        crew.start(slot, **FULL_SPEED)
    await log.finish()
    await stage.judged("killed", compacts=False)
    assert crew.failures() == []


async def test_paused_beyond_the_session(stage: Stage) -> None:
    """SIGSTOP between folding and publishing, until others have its partitions; what it writes when woken harms nobody.

    Every second one dies right after that, so that it cannot mend by itself what it may have spoiled.
    """
    crew, log, chance = stage.crew, stage.log, stage.chance
    await log.write(SCALE.events // 4)
    crew.start(0, "merge")
    for slot in SLOTS:
        crew.start(slot)
    for number in range(SCALE.rounds(2, 12)):
        slot, dies = chance.choice(SLOTS), number % 2 == 0
        await crew.end(slot)
        strike = f"send@{chance.randint(1, 12)}:stop{'+die' * dies}"
        sleeper = crew.start(slot, strike=strike)
        await log.write(100)
        await stage.work_until(partial(is_stopped, sleeper), f"{strike} strikes")
        await log.write(1_000, turn=False)  # the campaigns that it holds in its hands grow meanwhile
        await caught_up(crew, log)
        sleeper.process.send_signal(signal.SIGCONT)
        if dies:
            await eventually(partial(has_ended, sleeper), 30, "it dies at its next write")
        else:
            await eventually(partial(cursors, sleeper.metrics), 30, "it is a member again")
        await stage.judged(strike, compacts=False)
        await crew.end(slot)
        crew.start(slot)
    assert crew.failures() == []


async def test_a_storm_of_rebalances(stage: Stage) -> None:
    """Workers join and leave every second or two, batches get lost on the way: every record counts once."""
    crew, log, chance = stage.crew, stage.log, stage.chance
    await log.write(SCALE.events // 3)
    crew.start(0, "merge")
    leaving: set[asyncio.Task[int]] = set()
    rounds = SCALE.rounds(8, 100)
    for _ in range(rounds):
        slot = chance.choice((*SLOTS, 3))
        worker = crew.now.get(("fold", slot))
        if worker is None:
            if slot not in {int(task.get_name()) for task in leaving if not task.done()}:
                crew.start(slot, lose="3")
        elif await lives(worker):
            leaving.add(asyncio.create_task(crew.end(slot, signal.SIGTERM), name=str(slot)))
        await log.write(SCALE.events // 2 // rounds)
        await asyncio.sleep(chance.uniform(1, 2))  # the storm's own pace: nothing is waited for
    await asyncio.gather(*leaving)
    for slot in SLOTS:
        if slot in crew.free(SLOTS):
            crew.start(slot, lose="3")
    await log.write(SCALE.events // 6)
    await log.finish()
    await stage.judged("storm", compacts=False)
    assert crew.failures() == []
