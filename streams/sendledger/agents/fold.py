"""The fold's shell: a partition's records in, its numbers published, its state on disk (DESIGN §5).

The order within a batch is what makes a crash cost time and never a wrong number:
1. fold: read the records, load the documents that they name, work out what changes; what is no event of ours becomes a
   dead letter, an unknown version stops the worker
2. publish dead letters, message states and partials, and await all acknowledgements
3. write documents, partials and cursor in one WriteBatch
A crash between 2 and 3 publishes the same again; the other order would leave what others see stale for ever.
A batch of many records is folded on a thread: the library that does it lets go of Python's lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog
from aiokafka import AIOKafkaProducer

from sendledger.agents import archive, asks, replay
from sendledger.agents.decoding import Judge
from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.fetched import Packed, how_many
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.agents.watchdog import watch
from sendledger.config import Settings
from sendledger.domain.message import Offsets
from sendledger.domain.partial import since_header
from sendledger.edges.dead_letters import DeadLetter, as_record
from sendledger.edges.fold_core import Changes, DamagedDocumentError, Origin, PartitionFold
from sendledger.edges.kafka import connection, producer
from sendledger.edges.memory import spare_memory
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.edges.state_store import Identity, Memory, StateStore, open_store, sole_user
from sendledger.edges.topic_ids import topic_ids
from sendledger.life import Life
from sendledger_schemas.campaigns import RepublishAsked
from sendledger_schemas.ids import partition_of
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, FOLD_SOURCES, MESSAGE_STATE

GROUP = "sendledger-fold"

COLLECT_AFTER = 2_000
"""Objects. A batch makes thousands, none of them in a cycle, which Python's default (700) looks at over and over; with
100,000 what Faust leaves in cycles, fetched batches among it, was 80 MB."""

KEEP_EVERY = 60.0  # seconds
GATHER = 0.005  # seconds that records have to come together (agents/gathering.py)

_FEW = 64
"""Records of a batch that is folded without a thread: to change threads and back costs more than to fold them."""

_THREADS = 2
"""More take turns at Python's lock, and keep memory apart from each other."""

_T = TypeVar("_T")
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Open:
    """What belongs to one partition while it is ours. `told`: topic → what lies before was told by earlier folds."""

    store: StateStore
    fold: PartitionFold
    told: Mapping[str, int]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # what is published twice must not overtake what is new


class Fold:
    """Owner of the fold's partitions. `directory`: one store a partition in it; `partitions`: of each keyed topic."""

    def __init__(
        self,
        directory: Path,
        out: AIOKafkaProducer,
        metrics: FoldMetrics,
        *,
        slot: int,
        partitions: int,
        ids: Mapping[str, str],
        connection: dict[str, Any],
    ) -> None:
        self._directory, self._out, self._metrics, self._connection = directory, out, metrics, connection
        self._slot, self._partitions, self._ids = slot, partitions, dict(ids)
        self._memory = Memory()
        self._open: dict[int, _Open] = {}
        self._places: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "fold")

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Open the state, or begin it anew; its cursor is where reading starts."""
        await self.revoked([partition])
        identity = Identity(FOLD_VERSION, self._ids, {topic: log[topic].first for topic in FOLD_SOURCES}, partition)
        ends = {topic: log[topic].end for topic in FOLD_SOURCES}
        store = open_store(self._directory / f"p{partition}", self._memory, identity, ends)
        anew = store.identity is None
        if anew:
            try:
                store.begin(identity, await self._archived(partition, identity))
            except BaseException:
                store.close()
                raise
        begun = store.identity or identity
        from_ = cast("Offsets", tuple(begun.from_[topic] for topic in FOLD_SOURCES))
        origin = Origin(partition, self._slot, from_, self._ids)
        self._open[partition] = _Open(store, PartitionFold(store.load, origin, store.archived), ends if anew else {})
        self._metrics.batch(partition, store.cursor, ())  # who compares cursors with the ends need not wait for a batch
        return dict(store.cursor)

    async def _archived(self, partition: int, identity: Identity) -> frozenset[str]:
        """A log that does not begin at 0: what stands of campaigns that it no longer has whole is marked and left."""
        if not any(identity.from_.values()):
            return frozenset()
        found = await archive.standing(self._connection, self._partitions, partition, identity)
        await publish(self._out, archive.archived(found, self._slot))
        campaigns = frozenset(campaign for campaign, _ in found)
        if campaigns:
            _log.warning("campaigns older than the log are archived", partition=partition, campaigns=sorted(campaigns))
        return campaigns

    async def batch(self, partition: int, records: Mapping[str, Sequence[Packed]]) -> None:
        """Fold one batch, in the order that the module's first lines give."""
        began = time.perf_counter()
        mine, judge = self._open[partition], Judge(records, partition)
        do = self._here if sum(map(how_many, records.values())) <= _FEW else self._aside
        async with mine.turn:
            try:
                changes = await do(mine.fold.fold, records, judge)  # 1
            except DamagedDocumentError:
                mine.store.distrust()
                raise
            await self._publish(partition, changes, judge.letters, _since(mine, records))  # 2
            cursor = {topic: batch[-1].offset + 1 for topic, batch in records.items()}
            await do(mine.store.write, changes.documents, cursor)  # 3
        self._count(partition, records, judge.letters, changes, cursor)
        self._metrics.batch_seconds.observe(time.perf_counter() - began)

    async def _here(self, work: Callable[..., _T], *given: Any) -> _T:
        """Do it now. What partitions fetched together have to say then goes to Kafka in one request, too."""
        return work(*given)

    async def _aside(self, work: Callable[..., _T], *given: Any) -> _T:
        """Do it on a thread, beside the loop that fetches and publishes."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *given))

    async def again(self, asked: RepublishAsked) -> None:
        """Publish once more what is stored of a campaign, if the partition is ours."""
        mine = None if asked.partition is None else self._open.get(asked.partition)
        if mine is None or asked.partition is None:
            return
        async with mine.turn:
            if self._open.get(asked.partition) is mine:
                messages = dict(zip(asked.messages, asked.recipients, strict=False))
                changes = await self._aside(mine.fold.again, asked.campaign_id, asked.days, messages)
                await self._publish(asked.partition, changes, (), None)

    async def revoked(self, partitions: Collection[int]) -> None:
        """Close the stores: whoever opens them next must find them free."""
        for partition in partitions:
            mine = self._open.pop(partition, None)
            if mine is not None:
                async with mine.turn:
                    mine.store.close()
                self._metrics.gone(partition, FOLD_SOURCES)

    async def keep(self) -> None:
        """Have the stores put what is new into files every minute, however little it is, until cancelled.

        A crash then costs a minute's folding at most, and no cursor stays so far behind that retention passes it.
        """
        while True:
            await asyncio.sleep(KEEP_EVERY)
            for mine in list(self._open.values()):
                mine.store.keep()

    async def _publish(
        self, partition: int, changes: Changes, letters: Sequence[DeadLetter], since: int | None
    ) -> None:
        records, headers = [_buried(letter) for letter in letters], since_header(since)
        for key, campaign, value, _ in changes.partials:
            records.append(Outgoing(CAMPAIGN_PARTIALS, self._place(campaign), key, value, headers))
        await publish(self._out, records, [(MESSAGE_STATE, partition, batch) for batch in changes.messages])

    def _place(self, campaign_id: str) -> int:
        place = self._places.get(campaign_id)
        if place is None:
            place = self._places[campaign_id] = partition_of(campaign_id, self._partitions)
        return place

    def _count(
        self,
        partition: int,
        records: Mapping[str, Sequence[Packed]],
        letters: Sequence[DeadLetter],
        changes: Changes,
        cursor: Mapping[str, int],
    ) -> None:
        for topic, batch in records.items():
            self._metrics.records.labels(topic).inc(how_many(batch))
        for letter in letters:
            self._metrics.letters.labels(letter.topic).inc()
        self._metrics.batch(partition, cursor, changes.partials)


def _since(mine: _Open, records: Mapping[str, Sequence[Packed]]) -> int | None:
    """When the oldest of these records came to the log, in ms; None while all of the log is read anew."""
    if any(mine.store.cursor.get(topic, 0) < end for topic, end in mine.told.items()):
        return None
    return min(packed.timestamp for batch in records.values() for packed in batch)


def _buried(letter: DeadLetter) -> Outgoing:
    record = as_record(letter)
    return Outgoing(record.topic, record.partition, record.key or b"", record.value, list(record.headers))


async def serve(settings: Settings, life: Life) -> None:
    """The role: fold until told to stop. Errors: whatever makes that impossible, for a supervisor to restart."""
    spare_memory(COLLECT_AFTER)
    link = connection(settings.kafka)
    ids = await topic_ids(link, FOLD_SOURCES)
    positions = PositionMetrics(life.registry, GROUP)
    metrics = FoldMetrics(life.registry, positions)
    directory = settings.data_dir / f"fold-{settings.fold_slot}"
    with sole_user(directory):
        async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
            owner = Fold(
                directory,
                out,
                metrics,
                slot=settings.fold_slot,
                partitions=settings.partitions,
                ids=ids,
                connection=link,
            )
            app = BatchApp(
                link,
                GROUP,
                FOLD_SOURCES,
                owner,
                ready=life.ready,
                session_timeout=settings.session_timeout,
                packed=True,
                gather=GATHER,
            )
            beside = [
                asyncio.create_task(watch(app, link, positions.told), name="watchdog"),
                asyncio.create_task(owner.keep(), name="keeping"),
                asyncio.create_task(asks.hear(settings.kafka, owner.again), name="asks"),
                asyncio.create_task(replay.tell(app, metrics.remaining.set), name="progress"),
            ]
            for task in beside:
                task.add_done_callback(app.reap)
            try:
                await app.run(life.stop)
            finally:
                for task in beside:
                    task.cancel()
