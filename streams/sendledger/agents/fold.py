"""The fold's shell: a partition's records in, its numbers published, its state on disk (DESIGN §5).

The order within a batch is what makes a crash cost time and never a wrong number:
1. decode; what is no event of ours becomes a dead letter, an unknown version stops the worker
2. load the documents that the facts name (inside `PartitionFold.fold`)
3. fold
4. publish dead letters, message states and partials, and await all acknowledgements
5. write documents, partials and cursor in one WriteBatch
A crash between 4 and 5 publishes the same again; the other order would leave what others see stale for ever.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord

from sendledger.agents import archive
from sendledger.agents.decoding import decode
from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.agents.watchdog import watch
from sendledger.config import Settings
from sendledger.domain.fold import Changes, PartitionFold
from sendledger.domain.message import Offsets
from sendledger.domain.partial import Origin
from sendledger.edges.dead_letters import DeadLetter, as_record
from sendledger.edges.kafka import connection, producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.edges.state_store import Identity, Memory, StateStore, open_store, sole_user
from sendledger.edges.topic_ids import topic_ids
from sendledger.life import Life
from sendledger_schemas.ids import partition_of
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, FOLD_SOURCES, MESSAGE_STATE

GROUP = "sendledger-fold"

_COLLECT_AFTER = 100_000
"""Objects. A batch makes tens of thousands, none of them in a cycle; Python's default (700) looks at all of them over
and over: measured at a fifth of the fold's time."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Open:
    """What belongs to one partition while it is ours."""

    store: StateStore
    fold: PartitionFold


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

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Open the state, or begin it anew; its cursor is where reading starts."""
        await self.revoked([partition])
        identity = Identity(FOLD_VERSION, self._ids, {topic: log[topic].first for topic in FOLD_SOURCES})
        ends = {topic: log[topic].end for topic in FOLD_SOURCES}
        store = open_store(self._directory / f"p{partition}", self._memory, identity, ends)
        if store.identity is None:
            store.begin(identity, await self._archived(partition, identity))
        begun = store.identity or identity
        from_ = cast("Offsets", tuple(begun.from_[topic] for topic in FOLD_SOURCES))
        fold = PartitionFold(store.load, Origin(partition, self._slot, from_, self._ids))
        self._open[partition] = _Open(store, fold)
        for topic in FOLD_SOURCES:
            if log[topic].first > store.cursor[topic]:
                lost = log[topic].first - store.cursor[topic]
                _log.error("retention cut records that were not folded", topic=topic, partition=partition, records=lost)
        cursor = {topic: max(store.cursor[topic], log[topic].first) for topic in FOLD_SOURCES}
        self._metrics.batch(partition, cursor, ())  # who compares cursors with the log's ends need not wait for a batch
        return cursor

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

    async def batch(self, partition: int, records: Mapping[str, Sequence[ConsumerRecord]]) -> None:
        """Fold one batch, in the order that the module's first lines give."""
        began = time.perf_counter()
        mine = self._open[partition]
        facts, letters = decode(records)  # 1
        changes = mine.fold.fold(facts)  # 2, 3
        await publish(self._out, self._outgoing(partition, changes, letters))  # 4
        cursor = {topic: batch[-1].offset + 1 for topic, batch in records.items()}
        mine.store.write(changes.documents, cursor)  # 5
        self._count(partition, records, letters, changes, cursor)
        self._metrics.batch_seconds.observe(time.perf_counter() - began)

    async def revoked(self, partitions: Collection[int]) -> None:
        """Close the stores: whoever opens them next must find them free."""
        for partition in partitions:
            mine = self._open.pop(partition, None)
            if mine is not None:
                mine.store.close()
                self._metrics.gone(partition, FOLD_SOURCES)

    def _outgoing(self, partition: int, changes: Changes, letters: Sequence[DeadLetter]) -> Iterator[Outgoing]:
        for letter in letters:
            record = as_record(letter)
            yield Outgoing(record.topic, record.partition, record.key or b"", record.value, list(record.headers))
        for message in changes.messages:
            yield Outgoing(MESSAGE_STATE, partition, message.key.encode(), message.value)
        archived = self._open[partition].store.archived
        for partial in changes.partials:
            if partial.campaign_id in archived:
                continue
            yield Outgoing(CAMPAIGN_PARTIALS, self._place(partial.campaign_id), partial.key.encode(), partial.value)

    def _place(self, campaign_id: str) -> int:
        place = self._places.get(campaign_id)
        if place is None:
            place = self._places[campaign_id] = partition_of(campaign_id, self._partitions)
        return place

    def _count(
        self,
        partition: int,
        records: Mapping[str, Sequence[ConsumerRecord]],
        letters: Sequence[DeadLetter],
        changes: Changes,
        cursor: Mapping[str, int],
    ) -> None:
        for topic, batch in records.items():
            self._metrics.records.labels(topic).inc(len(batch))
        for letter in letters:
            self._metrics.letters.labels(letter.topic).inc()
        self._metrics.batch(partition, cursor, changes.partials)


def seldom_collect() -> None:
    """Tell Python's garbage collector about a process that folds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


async def serve(settings: Settings, life: Life) -> None:
    """The role: fold until told to stop. Errors: whatever makes that impossible, for a supervisor to restart."""
    seldom_collect()
    link = connection(settings.kafka)
    ids = await topic_ids(link, FOLD_SOURCES)
    metrics = FoldMetrics(life.registry)
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
            timeout = settings.session_timeout
            app = BatchApp(link, GROUP, FOLD_SOURCES, owner, ready=life.ready, session_timeout=timeout)
            watchdog = asyncio.create_task(watch(app, link, metrics.told_lag), name="watchdog")
            watchdog.add_done_callback(app.reap)
            try:
                await app.run(life.stop)
            finally:
                watchdog.cancel()
