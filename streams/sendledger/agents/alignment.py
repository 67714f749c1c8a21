"""Topics read side by side in time: while a log is caught up with, none of its topics runs ahead of the others.

The order in which topics are folded does not matter to the result, but to the cost: the events of one message stand
close together in time, so a batch of one time span touches each document once, not once a topic. Times are the
broker's (LogAppendTime). What is a record here may as well be a packed batch of them: it is never split.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from aiokafka import TopicPartition

from sendledger.agents.fetched import how_many

MOST_AT_ONCE = 4_000
"""Records of a partition that are handed on together."""

MOST_WAITING = 500
"""Records of a topic partition that wait; with more it is not fetched until they are handed on."""

PATIENCE = 1.0
"""Seconds after which what waits for another topic is handed on all the same."""


class NotColocatedError(Exception):
    """A worker got different partitions of topics that must be read together."""


def colocated(assigned: Collection[TopicPartition], topics: Collection[str]) -> list[int]:
    """The partitions, if they are the same ones of every topic; else NotColocatedError."""
    sets = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in topics}
    if len({frozenset(partitions) for partitions in sets.values()}) > 1:
        raise NotColocatedError(f"different partitions of topics that belong together: {sets}")
    return sorted({tp.partition for tp in assigned})


class Timed(Protocol):
    """A record as aiokafka gives it, or a whole batch of them; `timestamp` in milliseconds."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102


_R = TypeVar("_R", bound=Timed)
Records = dict[str, list[_R]]


def cut(waiting: Mapping[str, Sequence[_R]], behind: Collection[str]) -> tuple[Records[_R], Records[_R]]:
    """(records to hand on, records to keep), by topic, each in order.

    `behind`: topics of which the log is known to hold more than was fetched. What is younger than the last record of
    any of these waits; a topic behind of which nothing waits holds back everything.
    """
    if any(not waiting.get(topic) for topic in behind):
        return {}, {topic: list(records) for topic, records in waiting.items() if records}
    if not behind:
        return {topic: list(records) for topic, records in waiting.items() if records}, {}
    until = min(waiting[topic][-1].timestamp for topic in behind)
    now: Records[_R] = {}
    later: Records[_R] = {}
    for topic, records in waiting.items():
        place = bisect_right(records, until, key=_time)
        for part, into in ((records[:place], now), (records[place:], later)):
            if part:
                into[topic] = list(part)
    return now, later


def limited(ready: Records[_R], later: Records[_R]) -> tuple[Records[_R], Records[_R]]:
    """The same, but the first only up to a moment by which it holds about `MOST_AT_ONCE` records; the rest is later."""
    if how_many(list(chain(*ready.values()))) <= MOST_AT_ONCE:
        return ready, later
    count, until = 0, 0
    for record in sorted(chain(*ready.values()), key=_time):
        count, until = count + how_many((record,)), _time(record)
        if count >= MOST_AT_ONCE:
            break
    now: Records[_R] = {}
    for topic, records in ready.items():
        place = bisect_right(records, until, key=_time)
        if place:
            now[topic] = records[:place]
        if place < len(records):
            later[topic] = records[place:] + later.get(topic, [])
    return now, later


def _time(record: Timed) -> int:
    return record.timestamp


class Waiting:
    """What was fetched and not handed on yet, by partition and topic."""

    def __init__(self) -> None:
        self._records: dict[int, Records[Any]] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._missing: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._held: dict[int, float] = {}  # since when nothing of a partition could be handed on

    def __bool__(self) -> bool:
        return bool(self._records)

    def clear(self) -> None:
        """Forget everything."""
        self._records, self._counts, self._missing, self._held = {}, {}, defaultdict(dict), {}

    def expect(self, topic: str, partition: int, end: int) -> None:
        """The log held records up to `end` when the partition was assigned: until then the topic is behind."""
        self._missing[partition][topic] = end

    def add(self, topic: str, partition: int, records: Sequence[Timed]) -> None:
        """Records that follow those that were added before."""
        self._records.setdefault(partition, {}).setdefault(topic, []).extend(records)
        place = topic, partition
        self._counts[place] = self._counts.get(place, 0) + how_many(records)
        if records[-1].offset + 1 >= self._missing[partition].get(topic, -1):
            self._missing[partition].pop(topic, None)

    def is_full(self, topic: str, partition: int) -> bool:
        """Whether enough of a topic partition waits (asked from another thread)."""
        return self._counts.get((topic, partition), 0) >= MOST_WAITING

    def take(self, now: float) -> dict[int, Records[Any]]:
        """What may be handed on now, by partition; everything of one of which for too long nothing could. In seconds.

        No more than about `MOST_AT_ONCE` records of each: what is in work takes ten times their bytes. Patience is each
        partition's own: the others' records come all the time, and must not hold this one up.
        """
        taken = {}
        for partition, waiting in list(self._records.items()):
            patient = now - self._held.setdefault(partition, now) < PATIENCE
            ready, later = limited(*cut(waiting, self._missing[partition] if patient else ()))
            for topic, records in ready.items():
                self._counts[topic, partition] -= how_many(records)
            if ready:
                taken[partition] = ready
                del self._held[partition]
            if later:
                self._records[partition] = later
            else:
                del self._records[partition]
        return taken
