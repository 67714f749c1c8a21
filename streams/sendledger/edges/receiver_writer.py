"""Durable, then answered: gathers records, writes them to Kafka, and to the spool if Kafka does not answer (P3).

The order is the correctness:
1. A record, or a body that becomes one (receiver_waiting.py), waits in memory; its sender has no answer.
2. All that wait go out together, a round: one batch a partition, acks from all in-sync replicas; more start beside it
   once there is enough. A few bodies out of the ordinary are decoded with their round, more of them for a later one.
3. What is not acknowledged `ACK_SECONDS` after it came goes into the spool, synced; the producer is given up.
4. Only now each sender learns its record's fate. Neither place took it: 503, and the provider tries again.
5. Kafka is back: the spool drains from its oldest record on; a record leaves it after its acknowledgement.
A record may so reach the topic twice, under one event id; never not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import structlog

from sendledger.edges.failpoints import Failpoint
from sendledger.edges.receiver_kafka import KafkaLink, Unreachable
from sendledger.edges.receiver_spooling import Spooling
from sendledger.edges.receiver_waiting import DECODED_WITH_A_ROUND, Bodies, Fate, Load, Waiting, size_of
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolFailed, SpoolState

ACK_SECONDS = 3.0
ANSWER_SECONDS = 4.5
_CONNECT_SECONDS = 6.0
_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 2.0
_LEAST_SECONDS = 0.05
_ROUND_RECORDS = 2_000
_WORTH_A_ROUND = 80  # records for which another round starts beside those on their way
_MOST_ROUNDS = 3
_DRAIN_RECORDS = 500
_DRAIN_BYTES = 4 * 1024 * 1024
_MAX_WAITING_BYTES = 64 * 1024 * 1024
_AT_A_TIME_SECONDS = 0.005  # of decoding one by one, before others have their turn

T = TypeVar("T")
log = structlog.get_logger()


class Writer:
    """Writes records durably. `run` as a task, `write` from the same event loop; at the end `finish`, then `close`."""

    def __init__(
        self,
        link: KafkaLink,
        spool: Spool,
        *,
        on_spool: Callable[[SpoolState], None],
        bodies: Bodies,
        failpoint: Failpoint | None = None,
    ) -> None:
        self._link = link
        self._bodies = bodies
        self._spool = spool
        self._on_spool = on_spool
        self._failpoint = failpoint or Failpoint()
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._left = deque[Waiting]()  # bodies to be decoded one by one
        self._decode = asyncio.Event()
        self._turn_ends = 0.0
        self._wake = asyncio.Event()
        self._look = asyncio.Event()  # the drain has something to look at: records in the spool, or a lost link
        self._connected = False
        state = spool.state()
        self._spooled = state.records
        on_spool(state)
        self._rounds_out = 0
        self._idle = asyncio.Event()  # nothing waits in memory
        self._idle.set()
        self._settled = asyncio.Event()  # nothing stands in the spool that could go to Kafka now
        self._settled.set()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._spooling = Spooling(spool, self._thread, on_kept=self._kept, on_spool=on_spool)

    @property
    def connected(self) -> bool:
        """Whether records go to Kafka directly now."""
        return self._connected

    async def run(self) -> None:
        """Gather, write, look for Kafka; returns never. An exception out of it is a bug, and ends the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(), name="receiver rounds")
            group.create_task(self._decode_left(), name="receiver decoding")
            group.create_task(self._keep_link(), name="receiver link")

    def write(self, record: Record) -> asyncio.Future[Fate]:
        """A future that tells where the record is durable, after at most `ANSWER_SECONDS` (and a little)."""
        fate: asyncio.Future[Fate] = self._loop.create_future()
        self._admit(Waiting(fate, self._loop.time(), record.size, record))
        return fate

    def post(self, body: bytes, received_at: datetime) -> Waiting:
        """The same for the body of a postback, any bytes: await its `fate`; `kept` then tells more, or is None."""
        waiting = Waiting.of_body(body, received_at, self._loop.create_future(), self._loop.time())
        self._admit(waiting)
        return waiting

    def _admit(self, waiting: Waiting) -> None:
        if self._stopping or self._waiting_bytes + waiting.size > _MAX_WAITING_BYTES:
            waiting.tell(Fate.NOWHERE)
            return
        self._waiting.append(waiting)
        self._waiting_bytes += waiting.size
        self._idle.clear()
        if self._may_start():
            self._wake.set()

    async def finish(self, *, seconds: float) -> None:
        """While `run` runs: wait until nothing waits, and until the spool is drained if Kafka is there to take it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
                self._stopping = True
                await self._settled.wait()

    async def close(self) -> SpoolState:
        """After `run`: close all. What it returns is what is left in the spool, and stays there."""
        await self._link.close(seconds=2.0)
        state = await self._in_thread(self._spool.state)
        await self._in_thread(self._spool.close)
        self._thread.shutdown(wait=False)
        return state

    # -------------------------------------------------------------------------------------------------- rounds
    async def _rounds(self) -> None:
        async with asyncio.TaskGroup() as out:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and self._may_start():
                    gathered, self._waiting = self._waiting[:_ROUND_RECORDS], self._waiting[_ROUND_RECORDS:]
                    self._rounds_out += 1
                    out.create_task(self._whole_round(gathered), name="receiver round")
                if not self._waiting and not self._rounds_out and not self._left:
                    self._idle.set()

    def _may_start(self) -> bool:
        if not self._rounds_out:
            return True
        return self._connected and self._rounds_out < _MOST_ROUNDS and len(self._waiting) >= _WORTH_A_ROUND

    async def _whole_round(self, gathered: list[Waiting]) -> None:
        # Without Kafka there is nothing to pack: records are spooled one by one.
        load, left = self._bodies.load(gathered) if self._connected else (Load(gathered, [], []), [])
        decoded = await self._decoded(few := left[:DECODED_WITH_A_ROUND])
        load = load.joined_by(decoded) if decoded else load
        self._waiting_bytes -= size_of(few) - size_of(decoded)
        if more := left[DECODED_WITH_A_ROUND:]:
            self._left += more
            self._decode.set()
        if load.waiting:
            await self._round(load)
        self._waiting_bytes -= size_of(load.waiting)
        self._rounds_out -= 1
        self._wake.set()

    async def _decode_left(self) -> None:
        """Bodies that are too many for their round, one by one; they go with a later one."""
        while True:
            await self._decode.wait()
            self._decode.clear()
            while self._left:
                waiting = self._left[0]  # it stays there, and nothing is idle, until it is done
                if self._bodies.keep(waiting):
                    self._waiting.append(waiting)
                else:
                    self._waiting_bytes -= waiting.size
                self._left.popleft()
                self._wake.set()
                await self._others_turn()

    async def _round(self, load: Load) -> None:
        """Steps 2 to 4 for those that were waiting together."""
        gathered = load.waiting
        came = min(waiting.came for waiting in gathered)
        self._failpoint("postback_gathered")
        acknowledged = await self._to_kafka(load, came + ACK_SECONDS)
        if acknowledged:
            self._failpoint("postback_acknowledged")
        for position in acknowledged:
            gathered[position].tell(Fate.KAFKA)
        if len(acknowledged) == len(gathered):
            return
        left = await self._decoded([one for position, one in enumerate(gathered) if position not in acknowledged])
        records = [waiting.record for waiting in left if waiting.record is not None]
        kept = await self._spooling.put(records, came + ANSWER_SECONDS)
        self._failpoint("postback_spooled")
        for position, waiting in enumerate(left):
            waiting.tell(Fate.SPOOL if position < kept else Fate.NOWHERE)

    async def _decoded(self, some: list[Waiting]) -> list[Waiting]:
        """Those that have a record at last, in their order."""
        decoded: list[Waiting] = []
        for waiting in some:
            if self._bodies.keep(waiting):
                decoded.append(waiting)
            await self._others_turn()
        return decoded

    async def _others_turn(self) -> None:
        if self._loop.time() > self._turn_ends:
            await asyncio.sleep(0)
            self._turn_ends = self._loop.time() + _AT_A_TIME_SECONDS

    async def _to_kafka(self, load: Load, deadline: float) -> set[int]:
        if not self._connected:
            return set()
        seconds = max(deadline - self._loop.time(), _LEAST_SECONDS)
        acknowledged = await self._link.send(load.records, seconds=seconds, ready=load.ready)
        if len(acknowledged) < len(load.waiting):
            self._lost()
        return acknowledged

    def _kept(self, more: int) -> None:
        self._count_spooled(more)
        self._look.set()

    # -------------------------------------------------------------------------------------------------- Kafka
    def _lost(self) -> None:
        if self._connected:
            log.warning("kafka does not acknowledge, spooling", waiting=len(self._waiting))
        self._set_connected(connected=False)
        self._look.set()

    def _set_connected(self, *, connected: bool) -> None:
        self._connected = connected
        self._count_spooled(0)

    def _count_spooled(self, more: int) -> None:
        self._spooled += more
        if self._connected and self._spooled:
            self._settled.clear()
        else:
            self._settled.set()

    async def _keep_link(self) -> None:
        """Step 5, and the way back to step 2: connect, drain, and watch until the link is lost."""
        delay = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self._link.connect(seconds=_CONNECT_SECONDS)
            except Unreachable as error:
                if delay < _LAST_RETRY_SECONDS:
                    log.warning("kafka cannot be reached, spooling", reason=str(error))
                await self._show_spool()
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_RETRY_SECONDS)
                continue
            if await self._drain_once():  # a first batch proves the link before waiting senders depend on it
                delay = _FIRST_RETRY_SECONDS
                self._set_connected(connected=True)
                log.info("kafka reached", spooled=self._spooled)
                await self._watch()
            await self._link.give_up()
            await asyncio.sleep(delay)

    async def _watch(self) -> None:
        while self._connected:
            if self._spooled and not await self._drain_once():
                self._lost()
            elif not self._spooled:
                await self._look.wait()
                self._look.clear()

    async def _drain_once(self) -> bool:
        """Write the oldest records of the spool to Kafka and forget them; False if Kafka did not take all of them."""
        try:
            entries = await self._in_thread(lambda: self._spool.head(records=_DRAIN_RECORDS, size=_DRAIN_BYTES))
            acknowledged = await self._link.send([record for _, record in entries], seconds=ACK_SECONDS)
            if acknowledged:
                self._failpoint("spool_acknowledged")
                done = [entries[position] for position in sorted(acknowledged)]
                await self._in_thread(lambda: self._spool.remove(done))
                self._count_spooled(-len(done))
            await self._show_spool()
        except SpoolFailed as error:
            log.error("spool cannot be drained", reason=str(error))  # noqa: TRY400 — the reason says it all
            await asyncio.sleep(_LAST_RETRY_SECONDS)
            return True
        return len(acknowledged) == len(entries)

    async def _show_spool(self) -> None:
        self._on_spool(await self._in_thread(self._spool.state))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, work)
