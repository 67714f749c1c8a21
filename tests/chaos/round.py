"""One round: the plan is carried out, then the faults cease and everything is resumed, and everything comes to its end.

A call may last 1 s, a sender's session 2.5 s, and a claim without an answer is dead 1 s after its call's deadline
(`crash_margin`; 10 s outside of tests): so each round has many dead claims, also some that are alive after all.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.config import Settings
from sendledger.edges.orders import Orders
from tests.chaos.done import Done, Hold
from tests.chaos.hands import Hand, Nursery
from tests.chaos.plan import ACCOUNT, CALM, CAMPAIGNS, SENDERS, Act, Plan, profile
from tests.chaos.provider import Provider
from tests.chaos.requests import recipient, requests
from tests.support.kafka import eventually
from tests.support.sender import post
from tests.support.sender_truth import Ours, read_ours

SESSION, CALL, CRASH_MARGIN = 2.5, 1.0, 1.0
FULL_RATE = 1_500.0
ENDS_WITHIN = 90.0
_STAYS = 1.0
_BY = "chaos"
_LOOK = 0.1


@dataclass
class Round:
    """What carries out a plan. `settings`: on topics that are empty; the data directory is the round's own."""

    settings: Settings
    plan: Plan
    provider: Provider
    nursery: Nursery
    orders: Orders
    done: Done
    slots: dict[int, Hand] = field(default_factory=dict)
    _directories: dict[int, Path] = field(default_factory=dict)
    _arms: list[str] = field(default_factory=list)
    _paused: dict[str, float] = field(default_factory=dict)
    _over: bool = False

    @property
    def chance(self) -> random.Random:
        """The round's."""
        return self.plan.chance

    async def run(self) -> Ours:
        """All of it; the log at the end."""
        self._arms = list(reversed(self.plan.arms))
        await self.ask(self.plan.asked)
        await asyncio.gather(*(self._start(slot) for slot in range(SENDERS)))
        guards = [asyncio.create_task(self._guard(slot)) for slot in range(SENDERS)]
        try:
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for act in self.plan.acts:
                    group.create_task(self._act(act, began))
            return await self._to_the_end(guards)
        finally:
            for guard in guards:
                guard.cancel()
            for hand in self.done.hands:
                hand.kill()

    # ------------------------------------------------------------------------------------------ what happens
    async def _act(self, act: Act, began: float) -> None:
        await asyncio.sleep(max(0.0, began + act.at - time.monotonic()))
        await _ACTS[act.kind](self, act)

    async def _ask(self, act: Act) -> None:
        await self.ask(int(act.amount))

    async def ask(self, count: int) -> None:
        """More requests."""
        more = requests(len(self.done.requests), count, self.chance, self.plan.seconds)
        self.done.requests += more
        await post(self.settings, more)

    async def _kill(self, act: Act) -> None:
        hand = self.slots[act.who]
        if hand.ended is None:
            self.done.faults["kill"] += 1
            hand.kill()

    async def _term(self, act: Act) -> None:
        hand = self.slots[act.who]
        if hand.ended is None and not hand.is_stopped:
            self.done.faults["term"] += 1
            hand.told = True
            hand.send(signal.SIGTERM)

    async def _stop(self, act: Act) -> None:
        hand = self.slots[act.who]
        if hand.ended is None and hand.stopped_at is None:
            self.done.faults["stop"] += 1
            hand.stop()
            await self._sleep(hand, act.seconds)

    async def _sleep(self, hand: Hand, seconds: float) -> None:
        """It sleeps; often something is paused or cancelled meanwhile, and it wakes, and is a member again, in that."""
        target = self.chance.choice((*CAMPAIGNS, ACCOUNT))
        if self.chance.random() < 0.15 and not self._over and not self.done.cancelled and target != ACCOUNT:
            await self._cancel_now(target)
        if self.chance.random() < 0.6 and not self._over and await self._begin_pause(target):
            await asyncio.sleep(max(seconds, 1.3))
            hand.wake()
            await asyncio.sleep(self.chance.uniform(1.0, SESSION))
            await self._end_pause(target)
            return
        await asyncio.sleep(seconds)
        hand.wake()

    async def _pause(self, act: Act) -> None:
        if await self._begin_pause(act.target):
            await asyncio.sleep(act.seconds)
            await self._end_pause(act.target)

    async def _begin_pause(self, target: str) -> bool:
        if target in self._paused:
            return False
        self._paused[target] = float("inf")
        self.done.faults[f"pause_{'account' if target == ACCOUNT else 'campaign'}"] += 1
        await self.orders.pause(target, by=_BY)
        self._paused[target] = time.monotonic()
        return True

    async def _end_pause(self, target: str) -> None:
        self.done.holds.append(Hold(target, self._paused[target], time.monotonic()))
        await self.orders.resume(target, by=_BY)
        del self._paused[target]

    async def _rate(self, act: Act) -> None:
        self.done.faults["rate"] += 1
        await self.orders.rate(act.amount, by=_BY)

    async def _cancel(self, act: Act) -> None:
        await self._cancel_now(act.target)

    async def _cancel_now(self, target: str) -> None:
        self.done.faults["cancel"] += 1
        self.done.cancelled.add(target)
        await self.orders.cancel(target, by=_BY)
        self.done.holds.append(Hold(target, time.monotonic(), float("inf")))

    async def _suppress(self, act: Act) -> None:
        for to in {recipient(self.chance.randrange(len(self.done.requests))) for _ in range(int(act.amount))}:
            self.done.faults["suppress"] += 1
            self.done.suppressed.add(to)
            await self.orders.suppress(to, by=_BY)
            self.done.holds.append(Hold(to, time.monotonic(), float("inf")))

    async def _fault(self, act: Act) -> None:
        self.done.faults.update(f"provider_{name}" for name in act.faults)
        await self.provider.switch(profile(act.faults, act.amount))
        await asyncio.sleep(act.seconds)
        await self.provider.switch(CALM)
        if self.chance.random() < 0.5:
            await self._resume_what_stopped()

    async def _outage(self, act: Act) -> None:
        self.done.faults["provider_killed" if act.hard else "provider_ended"] += 1
        await self.provider.end(hard=act.hard)
        await asyncio.sleep(act.seconds)
        await self.provider.start()

    async def _resume_what_stopped(self) -> None:
        """What a code of the provider has stopped by itself; not what is paused by an order of ours."""
        for target in (ACCOUNT, *CAMPAIGNS):
            if target not in self._paused:
                await self.orders.resume(target, by=_BY)

    # ------------------------------------------------------------------------------------------ the senders
    async def _start(self, slot: int, arm: str | None = None) -> None:
        if arm is None:
            arm = self._arms.pop() if self._arms and not self._over else ""
        if slot in self.slots and self.chance.random() < 0.2:
            slot_dir = self.settings.data_dir / f"sender-{slot}-{len(self.done.hands)}"
            self.done.faults["store_lost"] += 1
        else:
            slot_dir = self._directories.get(slot, self.settings.data_dir / f"sender-{slot}")
        self._directories[slot] = slot_dir
        own = self.settings.model_copy(update={"data_dir": slot_dir})
        hand = await self.nursery.bear(own, slot, arm, crash_margin=CRASH_MARGIN)
        self.slots[slot] = hand
        self.done.hands.append(hand)
        await asyncio.wait_for(hand.ready.wait(), 60)

    async def _guard(self, slot: int) -> None:
        """Who is gone is replaced soon; whoever its failpoint has stopped is woken beyond its session."""
        while True:
            await asyncio.sleep(_LOOK)
            hand = self.slots[slot]
            if hand.ended is not None:
                self._note_end(hand)
                await asyncio.sleep(0.0 if self._over else self.chance.uniform(0.0, 1.0))
                await self._start(slot)
            elif hand.stopped_at is None and hand.is_stopped:
                hand.stopped_at = time.monotonic()
                self.done.faults[f"failpoint_{hand.arm.partition('@')[0]}"] += 1
                await self._sleep(hand, self.chance.uniform(2.5, 4.0))

    def _note_end(self, hand: Hand) -> None:
        if hand.ended_by_itself:
            log = (self._directories[hand.number] / "sender.log").read_text(encoding="utf-8", errors="replace")
            last = " | ".join(log.splitlines()[-6:])
            self.done.troubles.append(f"sender {hand.pid} ended by itself with {hand.ended}: {last}")
        elif hand.ended == -signal.SIGKILL and not hand.killed:
            self.done.faults[f"failpoint_{hand.arm.partition('@')[0]}"] += 1

    # ------------------------------------------------------------------------------------------ the end
    async def _to_the_end(self, guards: list[asyncio.Task[None]]) -> Ours:
        self._over = True
        await self.orders.rate(FULL_RATE, by=_BY)
        resumed_at = float("-inf")
        until = time.monotonic() + ENDS_WITHIN
        ended_at = float("inf")
        while time.monotonic() < min(until, ended_at + _STAYS):
            if time.monotonic() - resumed_at > 2.0:  # a call in flight may have stopped it again
                resumed_at = time.monotonic()
                await self._resume_what_stopped()
            if not await self._has_ended():
                ended_at = float("inf")
            elif ended_at > time.monotonic():
                ended_at = time.monotonic()
            for guard in guards:
                if guard.done():
                    guard.result()
            await asyncio.sleep(0.4)
        await self._all_leave(guards)
        return await read_ours(self.settings)

    async def _has_ended(self) -> bool:
        """Whether all messages are at their ends or in doubt, and nobody is away who may yet answer for one."""
        away = not self._all_up()
        found = await read_ours(self.settings)
        names = {one.message_id for one in self.done.requests}
        return not away and set(found.messages) >= names and not found.under_way()

    def _all_up(self) -> bool:
        return all(hand.ended is None and hand.stopped_at is None for hand in self.slots.values())

    async def _all_leave(self, guards: list[asyncio.Task[None]]) -> None:
        """Everybody is up once more, is told to stop, and does; whoever its failpoint stops on the way is woken."""
        await eventually(self._all_up, 30, "all senders are up")
        for guard in guards:
            guard.cancel()
        for hand in self.slots.values():
            hand.told = True
            hand.send(signal.SIGTERM)

        def gone() -> bool:
            for hand in self.slots.values():
                if hand.is_stopped:
                    hand.wake()
            return all(hand.ended is not None for hand in self.slots.values())

        with contextlib.suppress(AssertionError):
            await eventually(gone, 25, "all senders are gone")
        for hand in self.slots.values():
            if hand.ended is None:
                hand.say_where()
                self.done.troubles.append(f"sender {hand.pid} was told to stop and did not within 25 s ({hand.state})")
                await asyncio.sleep(1.0)
                hand.kill()
            else:
                self._note_end(hand)


_ACTS: dict[str, Callable[[Round, Act], Awaitable[None]]] = {
    "ask": Round._ask,
    "kill": Round._kill,
    "stop": Round._stop,
    "term": Round._term,
    "pause": Round._pause,
    "rate": Round._rate,
    "cancel": Round._cancel,
    "suppress": Round._suppress,
    "fault": Round._fault,
    "outage": Round._outage,
}
