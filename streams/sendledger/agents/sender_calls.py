"""From a won claim to its answer on the log: pace, second look, call, response (DESIGN §6, rules 2 and 5–7)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_partition import Partition
from sendledger.agents.sender_pauses import Pause, pause_by_itself
from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Streaks, TooFast, response_to
from sendledger.domain.message import Message
from sendledger.domain.sending import CONTROL_KEEPS, Circumstances, SecondLook, second_look
from sendledger.edges.clocks import steady, utc_now, wall_micros
from sendledger.edges.provider import Call
from sendledger_schemas.campaigns import ACCOUNT
from sendledger_schemas.ids import event_id
from sendledger_schemas.topics import API_RESPONSES

_NAP = 0.05
_LOOK_EVERY = 0.2

_log = structlog.get_logger()


@dataclass(slots=True)
class Claimed:
    """A claim that won: `written_at` on the steady clock, before Kafka had it; `expires` in µs."""

    partition: Partition
    message: Message
    attempt: int
    call: Call | Refused = field(repr=False)
    written_at: float
    expires: int
    last_resumes: tuple[int, int] = (-1, -1)
    objection: SecondLook | None = None

    @property
    def name(self) -> tuple[str, int]:
        """What makes the attempt unique."""
        return self.message.message_id, self.attempt


class Calls:
    """The calls of one process. `in_flight`: on the wire now; `stopping`: what is claimed is not called any more."""

    def __init__(self, kit: Kit) -> None:
        self._active: set[tuple[str, int]] = set()
        self.in_flight = 0
        self.stopping = False
        self._left = asyncio.Event()
        self._ended = asyncio.Event()
        self._kit = kit
        self._ready: deque[Claimed] = deque()
        self._wake = asyncio.Event()
        self._streaks = Streaks()
        self._look_at = 0.0

    @property
    def active(self) -> Collection[tuple[str, int]]:
        """The attempts that this process has claimed, or is claiming, and that have no end yet."""
        return self._active

    def begin(self, name: tuple[str, int]) -> None:
        """An attempt is going to be claimed."""
        self._active.add(name)

    def forget(self, name: tuple[str, int]) -> None:
        """An attempt has its end on the log, or was lost to another claim."""
        self._active.discard(name)
        self._left.set()
        self._kit.wake.set()

    async def drained(self) -> None:
        """Return once no attempt is active."""
        while self._active:
            self._left.clear()
            await self._left.wait()

    def add(self, claimed: Claimed) -> None:
        """A claim that won: it is called as soon as slot and pace allow."""
        self._ready.append(claimed)
        self._wake.set()

    async def run(self) -> None:
        """Call what is added, in order, until cancelled. Errors: what must end the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            while True:
                await self._something_ready()
                claimed = self._ready[0]
                wait = self._wait(claimed)
                if wait > 0:
                    self._give_back(group)
                    await self._nap(wait)
                    continue
                self._ready.popleft()
                self._begin(claimed, group)

    def _begin(self, claimed: Claimed, group: asyncio.TaskGroup) -> None:
        group.create_task(self._one_by_one(self._counted(claimed), group))

    def _counted(self, claimed: Claimed) -> Claimed:
        """It is in flight from now on, and its partition does not wait for it any more."""
        claimed.partition.let_go()
        self.in_flight += 1
        return claimed

    async def _one_by_one(self, claimed: Claimed, group: asyncio.TaskGroup) -> None:
        """This call, and whatever may go at once when it has ended: a task for each would be much of its price."""
        following: Claimed | None = claimed
        while following is not None:
            await self._finish(following, group)
            following = self._next()
        self._ended.set()

    def _next(self) -> Claimed | None:
        if not self._ready or self._wait(self._ready[0]) > 0:
            return None
        return self._counted(self._ready.popleft())

    def _give_back(self, group: asyncio.TaskGroup) -> None:
        """Claims that an order has stopped do not wait behind the first one until they are stale."""
        now = steady()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY
        waiting, self._ready = self._ready, deque()
        for claimed in waiting:
            if self._is_stopped(claimed):
                claimed.objection = self._objection(claimed, control_matters=False)
            if claimed.objection is None:
                self._ready.append(claimed)
            else:
                self._begin(claimed, group)

    def _is_stopped(self, claimed: Claimed) -> bool:
        """By an order: the cheap part of the second look."""
        message, control = claimed.message, self._kit.control
        return control.standing(message.campaign_id) != "open" or control.is_suppressed(message.recipient_id)

    async def _something_ready(self) -> None:
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()

    async def _nap(self, seconds: float) -> None:
        """Until a call ends, at most so long and no longer than a tick: timers of its own would cost each call one."""
        self._ended.clear()
        if seconds >= _NAP:
            await self._ended.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_NAP)
            self._ended.set()

    def _wait(self, claimed: Claimed) -> float:
        """Seconds until the first claim may go on; 0 also for one that must not be called: it costs no token."""
        claimed.objection = self._objection(claimed, control_matters=False)
        if claimed.objection is not None:
            return 0.0
        if self._kit.control.age() > CONTROL_KEEPS:
            return _NAP  # a moment later it may be known again; if not, the claim goes stale
        if self.in_flight >= self._kit.concurrency:
            return _NAP
        now = steady()
        if not self._kit.lease.holds(now):
            return _NAP  # our share of the pace may be another's by now
        return self._kit.pace.wait_or_take(now)

    def _objection(self, claimed: Claimed, *, control_matters: bool = True) -> SecondLook | None:
        if claimed.partition.closing:
            return "revoked"
        if self.stopping:
            return "stopping"
        message = claimed.message
        standing = self._kit.control.standing(message.campaign_id)
        around = Circumstances(standing, self._kit.control.is_suppressed(message.recipient_id))
        return second_look(
            around,
            still_open=claimed.partition.is_open(*claimed.name),
            claim_age=steady() - claimed.written_at,
            control_age=self._kit.control.age() if control_matters else 0.0,
            expired=claimed.expires <= wall_micros(),
        )

    async def _finish(self, claimed: Claimed, group: asyncio.TaskGroup) -> None:
        began = steady()
        try:
            outcome = await self._outcome(claimed)
        finally:
            self.in_flight -= 1
        self._respond(claimed, outcome, steady() - began, group)

    async def _outcome(self, claimed: Claimed) -> Outcome:
        self._kit.strike("before_call")
        # An objection that cost neither token nor slot stands, even if its reason has gone since.
        began, objection = steady(), claimed.objection or self._objection(claimed)
        if objection is not None:
            return NeverBegan(objection)
        outcome = await self._call(claimed)
        self._kit.strike("answer_read")
        self._kit.metrics.call_seconds.observe(steady() - began)
        return outcome

    def _respond(self, claimed: Claimed, outcome: Outcome, seconds: float, group: asyncio.TaskGroup) -> None:
        """Hand the end over to be written; the call's place is free meanwhile."""
        response = response_to(claimed.message, claimed.attempt, outcome, ended=utc_now(), seconds=seconds)
        pause = self._follow(claimed, outcome)
        name = event_id(response.TYPE, claimed.message.message_id, str(claimed.attempt), self._kit.incarnation)
        entry = Entry(API_RESPONSES, claimed.partition.number, claimed.message.recipient_id, name, response)
        self._kit.writer.hand_over(entry, partial(self._written, claimed, outcome, pause, group))

    def _written(
        self, claimed: Claimed, outcome: Outcome, pause: Pause | None, group: asyncio.TaskGroup, _: int
    ) -> None:
        """The end is on the log."""
        self._kit.strike("response_written")
        self._kit.metrics.ended(outcome)
        if pause is None:
            self.forget(claimed.name)
        else:
            group.create_task(self._pause(claimed, pause))

    async def _pause(self, claimed: Claimed, pause: Pause) -> None:
        await pause_by_itself(self._kit, pause)
        self.forget(claimed.name)

    async def _call(self, claimed: Claimed) -> Outcome:
        control = self._kit.control.control
        claimed.last_resumes = control.account.last_resume, control.campaign(claimed.message.campaign_id).last_resume
        if isinstance(claimed.call, Refused):
            _log.error(
                "a request cannot be written down", message=claimed.message.message_id, why=claimed.call.error_info
            )
            return claimed.call
        return await self._kit.provider.call(claimed.call, lambda: self._objection(claimed))

    def _follow(self, claimed: Claimed, outcome: Outcome) -> Pause | None:
        """What the end of a call means for the next ones, at once; the pause to write down, in force from here."""
        now = steady()
        match outcome:
            case TooFast():
                self._kit.pace.throttled(now)
            case NeverBegan(unreachable=True, reason=reason):
                self._kit.pace.unreachable(now)
                _log.warning("the provider cannot be reached", reason=reason)
            case NeverBegan():
                pass
            case NoAnswer(reason=reason, detail=detail):
                self._kit.pace.reached()
                _log.warning("a call is in doubt", message=claimed.message.message_id, reason=reason, detail=detail)
            case _:
                self._kit.pace.reached()
        pause = self._pause_for(claimed, outcome)
        if pause is not None and not self._kit.control.is_halting(pause.campaign_id):
            self._kit.control.halt(pause.campaign_id)
        return pause

    def _pause_for(self, claimed: Claimed, outcome: Outcome) -> Pause | None:
        campaign_id = claimed.message.campaign_id
        in_a_row = self._streaks.ended(campaign_id, outcome)
        match outcome:
            case Refused(error_class="account", error_code=code):
                return Pause(ACCOUNT, f"the provider answered {code}", claimed.last_resumes[0])
            case Refused(error_code=code) if in_a_row:
                return Pause(campaign_id, f"the provider answered {code}, several in a row", claimed.last_resumes[1])
            case Refused(error_class="bug", error_code=code):
                _log.error("the provider says that our request is wrong", code=code)
                return None
            case _:
                return None
