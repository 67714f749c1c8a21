"""The merge's shell: partials in, one state a campaign out (DESIGN §5).

It holds everything in memory: both topics are compacted and are read again from their beginning at each assignment.
1. Nothing is published before the partials, and its own topic, are read to the ends that they had at the assignment.
2. Never a version below one that stands on its own topic.
3. If a lesser state of a campaign stands behind its own last one (a stale merge woke up), it publishes again.
The partials of `_none` stand in one partition, but concern every campaign: each merge reads that one on the side.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from sendledger.agents import asks
from sendledger.agents.driver import BatchApp, LogRange
from sendledger.agents.merge_metrics import MergeMetrics
from sendledger.agents.watchdog import watch
from sendledger.config import Settings
from sendledger.domain.merging import UNREADABLE, Merging, Orphans, decode_partial, fitting
from sendledger.domain.partial import NO_CAMPAIGN, since_of
from sendledger.edges.clocks import steady
from sendledger.edges.kafka import connection, consumer, producer
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.tail import Tail
from sendledger.edges.topic_ids import topic_ids
from sendledger.life import Life
from sendledger_schemas.campaigns import RepublishAsked
from sendledger_schemas.fields import format_instant
from sendledger_schemas.ids import partition_of
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES

GROUP = "sendledger-merge"
EVERY = 0.1  # seconds without a change between two looks at whether all is read
PAUSE = 0.010  # seconds at least from one round of publishing to the next: changes in between are told once
GATHER = 0.005  # seconds that partials have to come together (agents/gathering.py)
_ORPHANS_EVERY = 0.05  # seconds at least between two looks at the partials of `_none`

_log = structlog.get_logger()


class _Said(msgspec.Struct, frozen=True):
    """What a record of our own topic says, as far as it decides anything."""

    version: int
    orphans: int
    topic_ids: dict[str, str] = {}


_decode_said = msgspec.json.Decoder(_Said).decode


@dataclass
class _Mine:
    """One partition of campaigns. `last`, `own`: offset of the last record read, and of the last one written.

    `since`: of what is dirty, when the oldest fact that is new in it came to the log (ms).
    """

    merging: Merging
    ends: dict[str, int]
    dirty: set[str] = field(default_factory=set)
    since: dict[str, int] = field(default_factory=dict)
    floor: dict[str, int] = field(default_factory=dict)
    last: dict[str, tuple[int, _Said]] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)

    def read(self, topic: str, upto: int) -> None:
        if upto >= self.ends.get(topic, 0):
            self.ends.pop(topic, None)


class Merge:
    """Owner of the merge's partitions."""

    def __init__(self, out: AIOKafkaProducer, metrics: MergeMetrics, ids: Mapping[str, str]) -> None:
        self._out, self._metrics, self._ids = out, metrics, dict(ids)
        self._mine: dict[int, _Mine] = {}
        self._orphans = Orphans(ids)
        self._changed = asyncio.Event()  # there is something to publish

    # ------------------------------------------------------------------------------ reading
    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """Nothing is known yet; both topics are read from their beginning."""
        ends = {topic: span.end for topic, span in log.items() if span.end > span.first}
        self._mine[partition] = _Mine(Merging(self._ids), ends)
        return {topic: span.first for topic, span in log.items()}

    async def batch(self, partition: int, records: Mapping[str, Sequence[ConsumerRecord]]) -> None:
        """Take what came; publishing is `rounds`' work."""
        mine = self._mine[partition]
        for record in records.get(CAMPAIGN_PARTIALS, ()):
            self._partial(mine, record)
        for record in records.get(CAMPAIGN_STATE, ()):
            self._echo(mine, record)
        for topic, batch in records.items():
            mine.read(topic, batch[-1].offset + 1)
        self._look(mine)

    async def revoked(self, partitions: Collection[int]) -> None:
        """Forget them."""
        for partition in partitions:
            if (mine := self._mine.pop(partition, None)) is not None:
                self._metrics.campaigns.gone(mine.merging.campaigns())

    async def none(self, records: Sequence[ConsumerRecord]) -> None:
        """Take records of the partition that has the partials of `_none`."""
        for record in records:
            with contextlib.suppress(*UNREADABLE):  # counted by the merge that owns the partition
                changed = self._orphans.offer(decode_partial(record.value or b""))
                for mine in self._mine.values() if changed else ():
                    mine.dirty.update(changed.intersection(mine.merging.campaigns()))
                    self._look(mine)

    async def again(self, asked: RepublishAsked) -> None:
        """Publish a campaign's state once more, whatever stands there now: it was compared with the log."""
        for mine in self._mine.values():
            if asked.campaign_id in mine.merging.campaigns():
                mine.floor.pop(asked.campaign_id, None)
                mine.dirty.add(asked.campaign_id)
                self._look(mine)

    def _look(self, mine: _Mine) -> None:
        if mine.dirty and not mine.ends:
            self._changed.set()

    def _partial(self, mine: _Mine, record: ConsumerRecord) -> None:
        self._metrics.partials.inc()
        try:
            partial = decode_partial(record.value or b"")
            changed = mine.merging.offer(partial)
        except UNREADABLE:
            self._unreadable(record)
            return
        if changed:
            mine.dirty.add(partial.campaign_id)
            since = since_of(record.headers)
            if since is not None and not mine.ends:  # what stood there before this merge was told long ago
                mine.since[partial.campaign_id] = min(since, mine.since.get(partial.campaign_id, since))

    def _echo(self, mine: _Mine, record: ConsumerRecord) -> None:
        try:
            campaign, said = (record.key or b"").decode(), _decode_said(record.value or b"")
        except (*UNREADABLE, UnicodeDecodeError):
            self._unreadable(record)
            return
        if said.topic_ids != self._ids:
            return  # of another log
        mine.floor[campaign] = max(said.version, mine.floor.get(campaign, 0))
        mine.last[campaign] = record.offset, said
        self._compare(mine, campaign)

    def _unreadable(self, record: ConsumerRecord) -> None:
        self._metrics.unreadable.inc()
        _log.error("unreadable record", topic=record.topic, partition=record.partition, offset=record.offset)

    def _compare(self, mine: _Mine, campaign: str) -> None:
        """Rule 3: is the last word on our topic a lesser one than ours, and not our own?"""
        offset, said = mine.last.get(campaign, (-1, None))
        if said is None or offset <= mine.own.get(campaign, -1) or campaign not in mine.merging.campaigns():
            return
        ours = mine.merging.version(campaign), self._orphans.of(campaign)
        if said.version < ours[0] or (said.version == ours[0] and said.orphans != ours[1]):
            mine.dirty.add(campaign)

    # ------------------------------------------------------------------------------ publishing
    @property
    def caught_up(self) -> bool:
        """Rule 1, for all partitions that are ours."""
        return not any(mine.ends for mine in self._mine.values())

    async def rounds(self, life: Life, app: BatchApp, none_read: asyncio.Event) -> None:
        """Publish what changed as soon as it did, until cancelled; tell `life` whether all is read and told.

        After a round it rests for as long as that kept the processor, so that many changes cost half of one at most.
        """
        await none_read.wait()
        while True:
            self._changed.clear()
            began, busy = steady(), time.thread_time()
            await self.publish()
            if app.ready.is_set() and self.caught_up:
                life.ready.set()
            else:
                life.ready.clear()
            await asyncio.sleep(max(PAUSE - (steady() - began), time.thread_time() - busy))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._changed.wait()

    async def publish(self) -> None:
        """One round: what changed in the partitions that are read to their ends."""
        async with asyncio.TaskGroup() as group:
            for partition, mine in self._mine.items():
                if mine.dirty and not mine.ends:  # rule 1
                    group.create_task(self._publish(partition, mine))

    async def _publish(self, partition: int, mine: _Mine) -> None:
        (dirty, mine.dirty), (since, mine.since) = (mine.dirty, set()), (mine.since, {})
        sent = {}
        for campaign in sorted(dirty):
            version = mine.merging.version(campaign)
            if version >= mine.floor.get(campaign, 0):  # rule 2
                value = self._state(mine, campaign)
                sent[campaign] = await self._out.send(CAMPAIGN_STATE, value, campaign.encode(), partition)
                mine.floor[campaign] = version
        for campaign, acknowledgement in sent.items():
            mine.own[campaign] = (await acknowledgement).offset
            self._metrics.states.inc()
            if campaign in since:
                self._metrics.freshness.observe(max(0.0, time.time() - since[campaign] / 1000))
            self._compare(mine, campaign)

    def _state(self, mine: _Mine, campaign: str) -> bytes:
        merged = mine.merging.merged(campaign)
        self._metrics.campaigns.told(campaign, merged, self._orphans.of(campaign))
        return msgspec.json.encode(
            {
                "campaign_id": campaign,
                "as_of": format_instant(datetime.now(UTC)),
                "counters": merged.counters,
                "series": fitting(merged.series),
                "orphans": self._orphans.of(campaign),
                "to": merged.to,
                "version": merged.version,
                "fold_version": merged.fold_version,
                "archived": merged.archived,
                "topic_ids": self._ids,
            }
        )


async def serve(settings: Settings, life: Life) -> None:
    """The role: merge until told to stop. Errors: whatever makes that impossible, for a supervisor to restart."""
    link = connection(settings.kafka)
    ids = await topic_ids(link, FOLD_SOURCES)
    metrics, positions = MergeMetrics(life.registry, settings.metrics_campaigns), PositionMetrics(life.registry, GROUP)
    none = TopicPartition(CAMPAIGN_PARTIALS, partition_of(NO_CAMPAIGN, settings.partitions))
    async with producer(settings.kafka) as out, consumer(settings.kafka) as reader:
        owner = Merge(out, metrics, ids)
        app = BatchApp(
            link,
            GROUP,
            (CAMPAIGN_PARTIALS, CAMPAIGN_STATE),
            owner,
            contiguous=False,
            session_timeout=settings.session_timeout,
            gather=GATHER,
        )
        tail = Tail(reader, [none], owner.none, pause=_ORPHANS_EVERY)
        beside = [
            asyncio.create_task(tail.run(), name="orphans"),
            asyncio.create_task(asks.hear(settings.kafka, owner.again), name="asks"),
            asyncio.create_task(owner.rounds(life, app, tail.caught_up), name="publishing"),
            asyncio.create_task(watch(app, link, positions.told), name="watchdog"),
        ]
        for task in beside:
            task.add_done_callback(app.reap)
        try:
            await app.run(life.stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
