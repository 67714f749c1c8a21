"""Topics read side by side in time: while a log is caught up with, none of its topics runs ahead of the others.

The order in which topics are folded does not matter to the result, but to the cost: the events of one message stand
close together in time, so a batch of one time span touches each document once, not once a topic. Times are the
broker's (LogAppendTime).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from aiokafka import ConsumerRecord, TopicPartition

MOST_WAITING = 500
"""Records of a topic partition that wait; with more it is not fetched until they are handed on."""


class NotColocatedError(Exception):
    """A worker got different partitions of topics that must be read together."""


def colocated(assigned: Collection[TopicPartition], topics: Collection[str]) -> list[int]:
    """The partitions, if they are the same ones of every topic; else NotColocatedError."""
    sets = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in topics}
    if len({frozenset(partitions) for partitions in sets.values()}) > 1:
        raise NotColocatedError(f"different partitions of topics that belong together: {sets}")
    return sorted({tp.partition for tp in assigned})


class Timed(Protocol):
    """A record as aiokafka gives it; `timestamp` in milliseconds."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102


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


def _time(record: Timed) -> int:
    return record.timestamp


def pieces(records: Mapping[str, Sequence[_R]], size: int) -> Iterator[dict[str, Sequence[_R]]]:
    """The batch in pieces of about so many records, each topic's share at a time: these stand side by side in time."""
    count = -(-sum(map(len, records.values())) // size)
    for number in range(count):
        yield {
            topic: batch[len(batch) * number // count : len(batch) * (number + 1) // count]
            for topic, batch in records.items()
        }


class Waiting:
    """What was fetched and not handed on yet, by partition and topic."""

    def __init__(self) -> None:
        self._records: dict[int, Records[ConsumerRecord]] = {}
        self._missing: defaultdict[int, dict[str, int]] = defaultdict(dict)

    def __bool__(self) -> bool:
        return bool(self._records)

    def clear(self) -> None:
        """Forget everything."""
        self._records, self._missing = {}, defaultdict(dict)

    def expect(self, topic: str, partition: int, end: int) -> None:
        """The log held records up to `end` when the partition was assigned: until then the topic is behind."""
        self._missing[partition][topic] = end

    def add(self, topic: str, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Records that follow those that were added before."""
        self._records.setdefault(partition, {}).setdefault(topic, []).extend(records)
        if records[-1].offset + 1 >= self._missing[partition].get(topic, -1):
            self._missing[partition].pop(topic, None)

    def is_full(self, topic: str, partition: int) -> bool:
        """Whether enough of a topic partition waits."""
        return len(self._records.get(partition, {}).get(topic, ())) >= MOST_WAITING

    def take(self, *, aligned: bool) -> dict[int, Records[ConsumerRecord]]:
        """What may be handed on now, by partition; with `aligned=False` everything."""
        taken = {}
        for partition, waiting in list(self._records.items()):
            now, later = cut(waiting, self._missing[partition] if aligned else ())
            if now:
                taken[partition] = now
            if later:
                self._records[partition] = later
            else:
                del self._records[partition]
        return taken
