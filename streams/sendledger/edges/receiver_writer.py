"""Durable, then answered: gathers records, writes them to Kafka, and to the spool if Kafka does not answer (P3).

The order is the correctness:
1. A record waits in memory; its sender has no answer.
2. All that wait go out together, a round: one batch a partition, acks from all in-sync replicas. While one is on its
   way, another starts once there is enough for it: decoding and Kafka's syncing go on side by side.
3. What is not acknowledged `ACK_SECONDS` after it came goes into the spool, synced; the producer is given up.
4. Only now each sender learns its record's fate. Neither place took it: 503, and the provider tries again.
5. Kafka is back: the spool drains from its oldest record on; a record leaves it after its acknowledgement.
A record may so reach the topic twice, under one event id; never not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import structlog

from sendledger.edges.failpoints import Failpoint
from sendledger.edges.receiver_kafka import KafkaLink, Unreachable
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolFailed, SpoolState

ACK_SECONDS = 3.0
ANSWER_SECONDS = 4.5
_CONNECT_SECONDS = 6.0
_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 2.0
_LEAST_SECONDS = 0.05
_ROUND_RECORDS = 2_000
_WORTH_A_ROUND = 64  # records for which another round starts beside those on their way
_MOST_ROUNDS = 2
_PUT_SECONDS = 1.0  # a disk that takes longer hangs
_DRAIN_RECORDS = 500
_DRAIN_BYTES = 4 * 1024 * 1024
_MAX_WAITING_BYTES = 64 * 1024 * 1024

T = TypeVar("T")
log = structlog.get_logger()


class Fate(Enum):
    """Where a record is durable."""

    KAFKA = "kafka"
    SPOOL = "spool"
    NOWHERE = "nowhere"


@dataclass(slots=True)
class _Waiting:
    record: Record
    fate: asyncio.Future[Fate]
    came: float  # the event loop's clock
    size: int


class Writer:
    """Writes records durably. `run` as a task, `write` from the same event loop; at the end `finish`, then `close`."""

    def __init__(
        self,
        link: KafkaLink,
        spool: Spool,
        *,
        on_spool: Callable[[SpoolState], None],
        failpoint: Failpoint | None = None,
    ) -> None:
        self._link = link
        self._spool = spool
        self._on_spool = on_spool
        self._failpoint = failpoint or Failpoint()
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._look = asyncio.Event()  # the drain has something to look at: records in the spool, or a lost link
        self._connected = False
        state = spool.state()
        self._spooled = state.records
        on_spool(state)
        self._put_pending: asyncio.Future[int] | None = None
        self._put_since = 0.0
        self._rounds_out = 0
        self._refusing = False
        self._idle = asyncio.Event()  # nothing waits in memory
        self._idle.set()
        self._settled = asyncio.Event()  # nothing stands in the spool that could go to Kafka now
        self._settled.set()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    @property
    def connected(self) -> bool:
        """Whether records go to Kafka directly now."""
        return self._connected

    async def run(self) -> None:
        """Gather, write, look for Kafka; returns never. An exception out of it is a bug, and ends the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(), name="receiver rounds")
            group.create_task(self._keep_link(), name="receiver link")

    def write(self, record: Record) -> asyncio.Future[Fate]:
        """A future that tells where the record is durable, after at most `ANSWER_SECONDS` (and a little)."""
        fate: asyncio.Future[Fate] = self._loop.create_future()
        size = record.size
        if self._stopping or self._waiting_bytes + size > _MAX_WAITING_BYTES:
            fate.set_result(Fate.NOWHERE)
            return fate
        self._waiting.append(_Waiting(record, fate, self._loop.time(), size))
        self._waiting_bytes += size
        self._idle.clear()
        if self._may_start():
            self._wake.set()
        return fate

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
                if not self._waiting and not self._rounds_out:
                    self._idle.set()

    def _may_start(self) -> bool:
        if not self._rounds_out:
            return True
        return self._connected and self._rounds_out < _MOST_ROUNDS and len(self._waiting) >= _WORTH_A_ROUND

    async def _whole_round(self, gathered: list[_Waiting]) -> None:
        await self._round(gathered)
        self._waiting_bytes -= sum(waiting.size for waiting in gathered)
        self._rounds_out -= 1
        self._wake.set()

    async def _round(self, gathered: list[_Waiting]) -> None:
        """Steps 2 to 4 for the records that were waiting together."""
        came = gathered[0].came
        self._failpoint("postback_gathered")
        acknowledged = await self._to_kafka(gathered, came + ACK_SECONDS)
        if acknowledged:
            self._failpoint("postback_acknowledged")
        for position in acknowledged:
            _tell(gathered[position], Fate.KAFKA)
        if len(acknowledged) == len(gathered):
            return
        left = [waiting for position, waiting in enumerate(gathered) if position not in acknowledged]
        kept = await self._to_spool(left, came + ANSWER_SECONDS)
        self._failpoint("postback_spooled")
        for position, waiting in enumerate(left):
            _tell(waiting, Fate.SPOOL if position < kept else Fate.NOWHERE)

    async def _to_kafka(self, gathered: list[_Waiting], deadline: float) -> set[int]:
        if not self._connected:
            return set()
        seconds = max(deadline - self._loop.time(), _LEAST_SECONDS)
        acknowledged = await self._link.send([waiting.record for waiting in gathered], seconds=seconds)
        if len(acknowledged) < len(gathered):
            self._lost()
        return acknowledged

    async def _to_spool(self, left: list[_Waiting], deadline: float) -> int:
        """How many of them, from the first on, stand in the spool for sure."""
        # A disk that hangs must not gather work behind it: whoever comes meanwhile is refused.
        while self._put_pending is not None:
            patience = min(deadline, self._put_since + _PUT_SECONDS) - self._loop.time()
            if patience <= 0:
                return 0
            await asyncio.wait([self._put_pending], timeout=patience)
        records = [waiting.record for waiting in left]
        put = self._put_pending = asyncio.ensure_future(self._in_thread(lambda: self._put(records)))
        self._put_since = self._loop.time()
        put.add_done_callback(lambda _: self._put_ended(len(records), put))
        await asyncio.wait([put], timeout=max(deadline - self._loop.time(), _LEAST_SECONDS))
        return put.result() if put.done() and put.exception() is None else 0

    def _put(self, records: list[Record]) -> int:
        kept = self._spool.put(records, now=time.time())
        state = self._spool.state()
        self._loop.call_soon_threadsafe(self._on_spool, state)
        return kept

    def _put_ended(self, wanted: int, put: asyncio.Future[int]) -> None:
        self._put_pending = None
        if put.cancelled():
            return
        error = put.exception()
        kept = 0 if error else put.result()
        if kept == wanted:
            self._refusing = False
        elif not self._refusing:  # told once, not with each postback
            self._refusing = True
            log.error("spool does not take records: answering 503", reason=str(error) if error else "it is full")
        self._count_spooled(kept)
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


def _tell(waiting: _Waiting, fate: Fate) -> None:
    if not waiting.fate.done():
        waiting.fate.set_result(fate)
