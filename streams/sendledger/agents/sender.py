"""The sender's shell: membership and partitions on Faust, the journal beside it, one life (DESIGN §6).

| task | what it does |
|---|---|
| `BatchApp` | hands over the requests of the partitions that are ours |
| `ControlLog` | knows the orders, and how old that knowledge is |
| `JournalReader` / `JournalWriter` | attempts, responses, decisions: in and out |
| `Claims` → `Calls` | what is due → claims → calls → responses |
| `FailureWatch` | halts campaigns by their failure share, if that is set |
| `ThrottleWatch` | slows down with the others |
| `Housekeeping` | dead claims become doubts; the rate; a look whether anything stands still |
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.lease import Lease
from sendledger.agents.sender_calls import Calls
from sendledger.agents.sender_claims import Claims
from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_failures import FailureWatch
from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.agents.sender_journal import UNHURRIED, JournalReader, JournalWriter
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.agents.sender_partition import JOURNAL, Partition
from sendledger.agents.sender_requests import Requests
from sendledger.agents.sender_throttles import FROM_THE_END, ThrottleWatch
from sendledger.agents.watchdog import watch
from sendledger.config import Settings
from sendledger.domain.pace import Pace
from sendledger.edges import failpoints
from sendledger.edges.clocks import BrokerClock
from sendledger.edges.kafka import connection, consumer, producer
from sendledger.edges.log_reader import LogReader
from sendledger.edges.memory import spare_memory
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.provider import Provider
from sendledger.edges.publisher import MAX_BATCH_BYTES
from sendledger.edges.sender_store_opening import open_store, shared_cache
from sendledger.edges.topic_ids import topic_ids
from sendledger.life import Life
from sendledger_schemas.topics import SEND_REQUESTS

GROUP = "sendledger-sender"
_AT_ONCE = 500
_COLLECT_AFTER = 10_000  # objects; at Python's default (700) a call cost a quarter more
_CLOSE_WITHIN = 10.0

_log = structlog.get_logger()


class Sender:
    """Owner of the partitions. `log`: the ids of the topics, which make a store another's."""

    def __init__(self, kit: Kit, journal: JournalReader, claims: Claims, log: str) -> None:
        self._kit, self._journal, self._claims = kit, journal, claims
        self._log = log
        self._cache = shared_cache()

    @property
    def partitions(self) -> dict[int, Partition]:
        """Those that are ours."""
        return self._claims.partitions

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Open the store, or begin it anew, and follow the journal from its cursors."""
        await self.revoked([partition])
        journal = await self._kit.lookups.ranges(JOURNAL, partition)
        requests = log[SEND_REQUESTS]
        ranges = {SEND_REQUESTS: (requests.first, requests.end), **journal}
        ends = {topic: end for topic, (_, end) in ranges.items()}
        path = self._kit.settings.data_dir / f"sender-{partition}"
        store = await asyncio.to_thread(open_store, path, self._cache, self._log, ends)
        cut = await self._cut(partition, ranges)
        targets = {topic: ends[topic] for topic in JOURNAL}
        mine = Partition(partition, store, targets, cut=cut, default_expiry=self._kit.default_expiry)
        for topic, (first, _) in ranges.items():
            mine.cursors[topic] = max(mine.cursors.get(topic, 0), first)
        self.partitions[partition] = mine
        self._shared_out()
        return {SEND_REQUESTS: mine.cursors[SEND_REQUESTS]}

    async def batch(self, partition: int, records: Mapping[str, Sequence[ConsumerRecord[bytes, bytes]]]) -> None:
        """Fold requests, a little at a time: calls in flight must not wait for a flood."""
        mine = self.partitions[partition]
        batch = records.get(SEND_REQUESTS, ())
        self._claims.requests.remember(partition, batch)
        for start in range(0, len(batch), _AT_ONCE):
            mine.apply(SEND_REQUESTS, batch[start : start + _AT_ONCE])
            self._kit.wake.set()
            await asyncio.sleep(0)

    async def revoked(self, partitions: Collection[int]) -> None:
        """Let what is claimed come to its end (a call, or not sent), then close: the next owner finds no dead claim."""
        leaving = [self.partitions[number] for number in partitions if number in self.partitions]
        for mine in leaving:
            mine.closing = True
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                for mine in leaving:
                    await mine.idle()
        except TimeoutError:
            _log.warning("claims were left behind", partitions=[mine.number for mine in leaving])
        for mine in leaving:
            del self.partitions[mine.number]
            mine.abandon()
            mine.store.close()
        self._shared_out()

    def _shared_out(self) -> None:
        self._kit.pace.set_share(len(self.partitions), self._kit.settings.partitions)
        self._journal.follow(self.partitions)
        self._kit.wake.set()

    async def _cut(self, partition: int, ranges: Mapping[str, tuple[int, int]]) -> int:
        """The first request that is not older than what retention left of the journal; older ones are never sent."""
        cut = 0
        requests = TopicPartition(SEND_REQUESTS, partition)
        for topic in JOURNAL:
            first, end = ranges[topic]
            if first == 0:
                continue
            left = await self._kit.lookups.read(TopicPartition(topic, partition), first) if first < end else []
            since = await self._kit.lookups.since(requests, left[0].timestamp) if left else None
            cut = max(cut, ranges[SEND_REQUESTS][1] if since is None else since)
        return cut


async def serve(settings: Settings, life: Life) -> None:
    """The role: send until told to stop. Errors: whatever makes that impossible, for a supervisor to restart.

    Stop: 1 nothing new is claimed · 2 calls in flight end and their responses are written · 3 the group is left.
    """
    settings.require("provider_url", "provider_api_key")
    spare_memory(_COLLECT_AFTER)
    async with AsyncExitStack() as stack:
        await _Process(settings, life).run(stack)


class _Process:
    """The parts of one sender, made and joined."""

    def __init__(self, settings: Settings, life: Life) -> None:
        self._settings, self._life = settings, life

    async def run(self, stack: AsyncExitStack) -> None:
        """Start everything in order, run, and stop in order."""
        link = connection(self._settings.kafka)
        ids = await topic_ids(link, (SEND_REQUESTS, *JOURNAL))
        kit = await self._kit(stack)
        journal = await stack.enter_async_context(consumer(self._settings.kafka, **UNHURRIED))
        throttles = await stack.enter_async_context(consumer(self._settings.kafka, **UNHURRIED, **FROM_THE_END))
        reader = JournalReader(journal, kit.broker, kit.wake, kit.strike)
        kit.writer.told = reader.wrote
        calls = Calls(kit)
        claims = Claims(kit, calls, Requests(kit.lookups))
        owner = Sender(kit, reader, claims, " ".join(f"{topic}={ids[topic]}" for topic in sorted(ids)))
        async with asyncio.TaskGroup() as group:
            others = ThrottleWatch(kit, throttles, claims.partitions)
            parts = (kit.control, reader, kit.writer, calls, claims, others, Housekeeping(kit, claims, calls))
            tasks = [group.create_task(part.run(), name=type(part).__name__) for part in parts]
            if (share := self._settings.halt_failure_share) is not None:
                answers = await stack.enter_async_context(consumer(self._settings.kafka))
                tasks.append(group.create_task(FailureWatch(kit, answers, share).run(), name="FailureWatch"))
            await self._caught_up(group, kit)
            timeout = self._settings.session_timeout
            ready, lease = self._life.ready, kit.lease
            app = BatchApp(link, GROUP, (SEND_REQUESTS,), owner, ready=ready, session_timeout=timeout, lease=lease)
            told = PositionMetrics(self._life.registry, GROUP).told
            tasks.append(group.create_task(watch(app, link, told)))
            await self._until_stopped(group, app, claims, calls)
            for task in tasks:
                task.cancel()

    async def _caught_up(self, group: asyncio.TaskGroup, kit: Kit) -> None:
        """All orders are known before the first partition is: a pause of last week holds from the first call on."""
        waits = [group.create_task(fact.wait()) for fact in (kit.control.caught_up, self._life.stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _kit(self, stack: AsyncExitStack) -> Kit:
        settings, broker, wake = self._settings, BrokerClock(), asyncio.Event()
        url, key = settings.provider_url, settings.provider_api_key
        assert url is not None and key is not None  # noqa: S101, PT018 — `serve` required them
        timeout, concurrency = settings.provider_timeout, settings.sender_concurrency
        strike = failpoints.from_environment()
        provider = Provider(url, key, timeout=timeout, concurrency=concurrency, strike=strike)
        quick = {"fetch_max_wait_ms": 100}  # what is asked on the same connection waits behind a fetch
        small = {"max_partition_fetch_bytes": 256 * 1024}  # single records are wanted, not megabytes around them
        out = await stack.enter_async_context(producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES))
        return Kit(
            settings=settings,
            provider=await stack.enter_async_context(provider),
            writer=JournalWriter(out, broker),
            control=ControlLog(await stack.enter_async_context(consumer(settings.kafka, **quick)), wake),
            lookups=LogReader(await stack.enter_async_context(consumer(settings.kafka, **quick, **small))),
            broker=broker,
            pace=Pace(settings.send_rate),
            lease=Lease(settings.session_timeout),
            metrics=SenderMetrics(self._life.registry),
            worker=f"{socket.gethostname()}-{os.getpid()}",
            incarnation=secrets.token_hex(8),
            strike=strike,
            wake=wake,
        )

    async def _until_stopped(self, group: asyncio.TaskGroup, app: BatchApp, claims: Claims, calls: Calls) -> None:
        leave = asyncio.Event()
        membership = group.create_task(app.run(leave), name="membership")
        told = group.create_task(self._life.stop.wait())
        await asyncio.wait({membership, told}, return_when=asyncio.FIRST_COMPLETED)
        self._life.ready.clear()
        claims.stopping = calls.stopping = True  # 1
        drained = group.create_task(calls.drained())
        patience = self._settings.provider_timeout + _CLOSE_WITHIN
        await asyncio.wait({membership, drained}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)  # 2
        leave.set()  # 3
        told.cancel()
        drained.cancel()
        await asyncio.wait({membership})
