"""The run of `verify`, in this order.

1. the published numbers are read, each to its end
2. partition by partition: its message states; then its five source topics to the ends that they have by then, put aside
   by recipient; then recipient by recipient the plain fold, at the `to` of every number that is published
3. the campaign states are compared with the sums over the partitions
4. what is behind the log's end gets until `patience` seconds after that end was seen; what then still is, differs
5. for each difference the messages behind it are looked up
Nothing is written and no group is joined, so a live system is not disturbed. Memory: published partials, and a bucket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer

from sendledger.config import Settings
from sendledger.domain.message import NOTHING_READ
from sendledger.domain.partial import NO_CAMPAIGN, version_of
from sendledger.domain.refold import Refold, Total, offsets_of, reaches
from sendledger.domain.settled import Policy
from sendledger.domain.verification import (
    Difference,
    Late,
    Report,
    Sums,
    Unproved,
    asks,
    beside,
    compare_partial,
    differing_policy,
    late_partials,
)
from sendledger.edges.kafka import connection, consumer
from sendledger.edges.topic_ids import topic_ids
from sendledger.edges.verify.explain import explained
from sendledger.edges.verify.log import Range, facts, ranges
from sendledger.edges.verify.proof import Proof
from sendledger.edges.verify.snapshot import Snapshot
from sendledger.edges.verify.spill import Spill
from sendledger_schemas.topics import FOLD_SOURCES

PATIENCE = 30.0
"""Seconds that a number may stay behind the log's end."""
_LOOKS = 3
_EXPLAINED = 200


class UnknownCampaignError(Exception):
    """Nothing is known of the campaign that was asked for."""


@dataclass(frozen=True)
class Options:
    """What is asked. `campaign`: only this one; `policy`: what the numbers would be under it."""

    campaign: str | None = None
    policy: Policy | None = None
    patience: float = PATIENCE


@dataclass
class Watch:
    """Who watches: `tell` takes sentences, `progress` (records read, records in all)."""

    tell: Callable[[str], None] = lambda _sentence: None
    progress: Callable[[int, int], None] = lambda _read, _all: None


async def verify(settings: Settings, options: Options, watch: Watch | None = None) -> Report:
    """Fold the log anew and compare.

    Errors: UnknownCampaignError, LogCutError, StandstillError, UnknownVersion, KafkaError.
    """
    ids = await topic_ids(connection(settings.kafka), FOLD_SOURCES)
    async with consumer(settings.kafka, group_id=None) as reader:
        looks = 1
        while True:
            run = _Run(settings, options, watch or Watch(), reader, ids)
            await run.look()
            if not run.moved or looks == _LOOKS:
                return await run.report()
            looks += 1


@dataclass
class _Run:
    settings: Settings
    options: Options
    watch: Watch
    reader: AIOKafkaConsumer
    ids: dict[str, str]
    found: Report = field(default_factory=Report)
    late: dict[tuple[str, Any], Late] = field(default_factory=dict)
    moved: dict[str, list[Difference]] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)
    spans: dict[int, Range] = field(default_factory=dict)
    unproved: dict[str, list[int]] = field(default_factory=dict)
    seen_at: float = 0.0
    doubted: dict[str, list[Difference]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.snapshot = Snapshot(self.reader, self.settings.partitions, self.ids)

    async def look(self) -> None:
        """Steps 1 to 4."""
        await self.snapshot.read()
        began = time.time()
        only = self.options.campaign
        if only is not None and only not in self.snapshot.registered.keys() | self.snapshot.published.campaigns():
            raise UnknownCampaignError(f"there is no campaign {only}")
        spans = [await ranges(self.reader, partition) for partition in range(self.settings.partitions)]
        self._all = sum(span.records for span in spans)
        for partition in range(self.settings.partitions):
            await self._partition(partition)
        self._states(began)
        await self._wait()

    # ------------------------------------------------------------------------------ the log
    async def _partition(self, partition: int) -> None:
        span = await ranges(self.reader, partition)
        with Spill(span.records + await self.snapshot.messages(partition)) as spill:
            await self.snapshot.read_messages(partition, spill)
            span = self.spans[partition] = await ranges(self.reader, partition)
            self.seen_at = time.monotonic()
            oldest: dict[str, int] = {}
            async for batch in facts(self.reader, partition, span, oldest):
                for one in batch:
                    spill.fact(one)
                self.found.records += len(batch)
                self.watch.progress(self.found.records, max(self._all, self.found.records))
            refold = await self._fold(
                partition, spill, Proof(partition, span.firsts, oldest, self.snapshot, self.settings.log_retention_days)
            )
        self.sums.take(partition, refold, self.snapshot.published.states.values())

    async def _fold(self, partition: int, spill: Spill, proof: Proof) -> Refold:
        wanted = asks(self.snapshot.published, partition, self.options.campaign)
        refold = Refold(partition, wanted, policy=self.options.policy, only=self.options.campaign)
        for seen, states in spill.buckets():
            for number, recipient in enumerate(sorted(seen.keys() | states.keys())):
                standing = {m: raw for m, raw in states.get(recipient, {}).items() if m not in self.snapshot.gone}
                refold.take(seen.get(recipient, ()), standing, proof.proved)
                if number % 500 == 0:
                    await asyncio.sleep(0)  # heartbeats and whoever shares this loop
        self._compare(partition, refold, proof)
        return refold

    def _compare(self, partition: int, refold: Refold, proof: Proof) -> None:
        published = {
            place: partial
            for place, partial in self.snapshot.published.of_partition(partition).items()
            if self.options.campaign in (None, place[0])
        }
        for place, partial in published.items():
            if proof.proved(place[0]):
                total = refold.totals.get((place[0], offsets_of(partial.to)), Total())
                self.found.differences += compare_partial(place, partial, total)
                self.found.numbers += len(total.part(place[2]))
        self.found.messages += sum(refold.compared.values())
        self.found.differences += [
            replace(
                Difference("message", "wrong", w.campaign_id, w.field, w.published, w.log, partition),
                messages=(w.message_id,),
                recipient_id=w.recipient_id or None,
            )
            for w in refold.wrong
        ]
        for late in late_partials(partition, published, refold, proof.proved):
            self.late["part", late.difference.place()] = late
        for message_id, (campaign, recipient, told, to) in refold.behind.items():
            versions = told, version_of(to)
            behind = Difference("message", "behind", campaign, "version", *versions, partition)
            named = replace(behind, messages=(message_id,), recipient_id=recipient)
            self.late["message", message_id] = Late(named, to)
        for campaign in sorted(refold.end.keys() | {place[0] for place in published}):
            if not proof.proved(campaign):
                self.unproved.setdefault(campaign, []).append(partition)

    # ------------------------------------------------------------------------------ campaign states
    def _states(self, began: float) -> None:
        states, since = self.snapshot.published.states, int((began - self.options.patience) * 1000)
        names = states.keys() | self.sums.ends.keys()
        names = {name for name in names if self.options.campaign in (None, name)}
        for campaign in sorted(names):
            state = states.get(campaign)
            if campaign in self.unproved or (state is not None and state.archived):
                continue
            if state is not None:
                self.found.numbers += len(state.counters) + sum(map(len, state.series.values()))
                orphans = self.snapshot.published.orphans_since(campaign, since)
                self._judge(campaign, list(self.sums.compare(state, orphans)))
            if (behind := self.sums.behind(campaign, state)) is not None:
                self.late["state", campaign] = Late(behind, NOTHING_READ)
            if state is not None and self.options.policy is not None and campaign != NO_CAMPAIGN:
                self.found.under[campaign] = beside(state, self.sums.under[campaign])
                self.found.differences += differing_policy(state, self.sums.under[campaign], self.options.policy)
        self.found.campaigns = len({name for name in names if name != NO_CAMPAIGN and name not in self.unproved})

    def _judge(self, campaign: str, differences: list[Difference]) -> None:
        """A state that shows a partial without its series may have been made just between the two: look again."""
        doubtful = [d for d in differences if d.day is not None]
        if doubtful and len(doubtful) == len(differences):
            self.doubted[campaign] = doubtful
        else:
            self.found.differences += differences

    # ------------------------------------------------------------------------------ waiting
    async def _wait(self) -> None:
        """What is late gets its time; what moves on is right, for its new value is the next run's to prove."""
        until = self.seen_at + self.options.patience
        if self.late or self.doubted:
            seconds = max(0.0, until - time.monotonic())
            count = len(self.late) + len(self.doubted)
            self.watch.tell(f"{count} published numbers are behind the log: waiting up to {seconds:.0f} s for them")
        async for kind, what in self.snapshot.follow(until, lambda: not self.late and not self.doubted):
            self._moved(kind, what)
        self.found.differences += [late.difference for late in self.late.values()]
        self.found.differences += [d for differences in self.doubted.values() for d in differences]

    def _moved(self, kind: str, what: Any) -> None:
        if kind == "state":
            if what in self.doubted:
                self.moved[what] = self.doubted.pop(what)
            if self.sums.behind(what, self.snapshot.published.states.get(what)) is None:
                self.late.pop((kind, what), None)
            return
        name: Any = what
        to, version = None, 0
        if kind == "message":
            name, to = what
        elif (partial := self.snapshot.published.best(what)) is not None:
            to, version = partial.to, partial.version
        late = self.late.get((kind, name))
        if late is not None and to is not None and reaches(offsets_of(to), late.wanted) and version > late.version:
            del self.late[kind, name]

    # ------------------------------------------------------------------------------ the end
    async def report(self) -> Report:
        """Step 5."""
        found = self.found
        found.differences += [d for differences in self.moved.values() for d in differences]
        found.differences.sort(key=lambda d: (d.campaign_id, d.what, d.partition or 0, d.day or "", d.messages, d.name))
        first, rest = found.differences[:_EXPLAINED], found.differences[_EXPLAINED:]
        if first:
            first = await explained(first, self.snapshot.published, self.spans, self.reader)
        found.differences = first + rest
        found.unproved = [Unproved(name, tuple(partitions)) for name, partitions in sorted(self.unproved.items())]
        return found
