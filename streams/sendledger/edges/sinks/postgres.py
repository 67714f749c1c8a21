"""Keeps tables in a PostgreSQL as the compacted topics are: `sendledger sink postgres`.

Start                                  Why in this place
 1. the database, the cursors          what is wrong with it is said before anything is read
 2. the topics from the cursors on     the group of a consumer knows nothing: the truth is in the tables
Loop, for each stretch of one partition
 1. lock its cursor                    two sinks at once take turns, and the second finds the work done
 2. delete, upsert                     a row only by one of a greater rank
 3. move the cursor                    in the same transaction: a kill at any moment leaves both or neither
After a lost connection it begins again with the start, for `patience` seconds without any step done; then it gives up.
Beside it, every few seconds: where the topics end, and how old what waits is, for the metrics.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sendledger.config import Settings
from sendledger.domain.changes import Changes, campaign_of, message_of
from sendledger.domain.postgres import KEYS
from sendledger.edges.kafka import connection, consumer
from sendledger.edges.log_reader import LogReader
from sendledger.edges.log_scan import Progress
from sendledger.edges.sinks.metrics import SinkMetrics
from sendledger.edges.sinks.sink import Sink, SinkError
from sendledger.edges.sinks.tables import Away, Place, Tables, connected
from sendledger.edges.topic_ids import topic_ids
from sendledger.life import Life
from sendledger_schemas.topics import CAMPAIGN_STATE, MESSAGE_STATE

log = structlog.get_logger()

_TABLES = {MESSAGE_STATE: "messages", CAMPAIGN_STATE: "campaigns"}
_READERS = {MESSAGE_STATE: message_of, CAMPAIGN_STATE: campaign_of}
_POLL_MS = 500
_AT_ONCE = 5_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_LOOK_EVERY = 5.0
_SMALL = {"max_partition_fetch_bytes": 4096}  # a record's time is wanted, not what stands behind it


async def keep(
    settings: Settings,
    sink: Sink,
    *,
    progress: Progress,
    life: Life | None = None,
    caught_up: Callable[[], None] = lambda: None,
) -> None:
    """Keep the tables until cancelled. `life` is ready while they follow the topics. Errors: SinkError, KafkaError."""
    ids = await topic_ids(connection(settings.kafka), tuple(_TABLES))
    places = [(topic, partition) for topic in _TABLES for partition in range(settings.partitions)]
    reader, life = consumer(settings.kafka, group_id=None), life or Life()
    run = _Run(sink, reader, ids, progress=progress, caught_up=caught_up, places=places, life=life)
    watching = [] if sink.once else [asyncio.create_task(run.watch(settings), name="sink's watch")]
    try:
        await run.until_done()
    finally:
        life.ready.clear()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await reader.stop()


class _Run:
    def __init__(
        self,
        sink: Sink,
        reader: AIOKafkaConsumer,
        ids: dict[str, str],
        *,
        places: list[Place],
        progress: Progress,
        caught_up: Callable[[], None],
        life: Life,
    ) -> None:
        self._life, self._metrics = life, SinkMetrics(life.registry)
        self._sink, self._reader, self._ids, self._places = sink, reader, ids, places
        self._progress, self._caught_up = progress, caught_up
        self._at: dict[Place, int] = {}
        self._reads = False
        self._stood = time.monotonic()  # the last moment at which a step was done

    async def until_done(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with connected(self._sink.dsn, self._sink.schema) as tables:
                    if self._sink.create:
                        await tables.create()
                    await self._from_cursors(tables)
                    pause = _FIRST_PAUSE
                    await self._follow(tables)
                    return
            except Away as error:
                self._life.ready.clear()
                self._metrics.failed("database_away")
                stood = time.monotonic() - self._stood
                if stood > self._sink.patience:
                    raise SinkError(f"PostgreSQL is away for {stood:.0f} s: {error}") from None
                log.warning("PostgreSQL is away, trying again", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _from_cursors(self, tables: Tables) -> None:
        self._at = await tables.cursors(self._ids, self._places)
        if not self._reads:
            await self._reader.start()
            self._reader.assign([TopicPartition(*place) for place in self._places])
            self._reads = True
        ends = await self._reader.end_offsets([TopicPartition(*place) for place in self._places])
        for place, offset in self._at.items():
            if offset > ends[TopicPartition(*place)]:
                raise SinkError(f"the tables are ahead of {place[0]}: its end was lost, so they cannot be trusted")
            self._reader.seek(TopicPartition(*place), offset)
        self._ends = {place: ends[TopicPartition(*place)] for place in self._places}
        self._stood = time.monotonic()

    async def _follow(self, tables: Tables) -> None:
        everything, told = sum(self._ends[place] - at for place, at in self._at.items()), False
        while True:
            left = sum(max(0, self._ends[place] - at) for place, at in self._at.items())
            self._progress(everything - left, everything)
            if not left and not told:
                told = True
                self._life.ready.set()
                self._caught_up()
                if self._sink.once:
                    return
            fetched = await self._reader.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            for found, records in fetched.items():
                await self._step(tables, (found.topic, found.partition), records)
            await self._past_gaps(tables)

    async def _step(self, tables: Tables, place: Place, records: list[object]) -> None:
        changes = _changes(place)
        await asyncio.to_thread(_taken, changes, records)
        if changes.unreadable:
            log.warning("records that nobody can read are left out", topic=place[0], records=changes.unreadable)
            self._metrics.failed("unreadable_record", changes.unreadable)
        position = await self._reader.position(TopicPartition(*place))
        await self._move(tables, place, changes, position)

    async def _past_gaps(self, tables: Tables) -> None:
        """Where compaction left nothing behind the last record, or at all, the cursor moves alone."""
        for place, at in self._at.items():
            if at < self._ends[place]:
                position = await self._reader.position(TopicPartition(*place))
                if position > at:
                    await self._move(tables, place, _changes(place), position)

    async def _move(self, tables: Tables, place: Place, changes: Changes, position: int) -> None:
        table = _TABLES[place[0]]
        moved = await tables.apply(place, table, changes, self._at[place], position)
        self._at[place] = moved.cursor
        self._metrics.positions.moved({TopicPartition(*place): moved.cursor})
        self._stood = time.monotonic()
        if moved.cursor != position:  # another sink was here
            self._reader.seek(TopicPartition(*place), moved.cursor)
            return
        self._metrics.rows.labels(table).inc(moved.put)
        self._metrics.deleted.labels(table).inc(moved.deleted)
        self._metrics.written_at.set_to_current_time()

    async def watch(self, settings: Settings) -> None:
        """Tell every few seconds how far the tables are, until cancelled. Also while the database is away."""
        async with consumer(settings.kafka, group_id=None, **_SMALL) as started:
            lookups = LogReader(started)
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                cursors = {TopicPartition(*place): at for place, at in self._at.items()}
                try:
                    seen = await lookups.seen(cursors)
                except KafkaError as error:
                    log.warning("the ends of the topics cannot be asked for", error=type(error).__name__)
                    continue
                now = {TopicPartition(*place): at for place, at in self._at.items()}
                self._metrics.positions.told(replace(seen, cursors=now))


def _changes(place: Place) -> Changes:
    return Changes(KEYS[_TABLES[place[0]]], _READERS[place[0]])


def _taken(changes: Changes, records: list[object]) -> None:
    for record in records:
        changes.take((record.key or b"").decode("utf-8", "replace"), record.value)  # type: ignore[attr-defined]
