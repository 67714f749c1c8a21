"""How far a role, or a sink, is with its topics, as it is seen from outside its reader: one set of names for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry, Gauge

_LABELS = ("group", "topic", "partition")

Positions = Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Seen:
    """One look. `ages`: seconds since the record at the cursor came to the log, of what is behind and could be read."""

    cursors: Positions
    ends: Positions
    ages: Mapping[TopicPartition, float]


def behind(cursors: Positions, ends: Positions) -> dict[TopicPartition, int]:
    """Where there is something to read: the cursors."""
    return {tp: cursor for tp, cursor in cursors.items() if cursor < ends.get(tp, cursor)}


class PositionMetrics:
    """Cursor, end, and the distance between them in records and in time.

    `group`: the consumer group, or what stands for one.
    """

    def __init__(self, registry: CollectorRegistry, group: str) -> None:
        self._group = group
        self.cursor = Gauge("sendledger_consumer_cursor_offset", "Next offset to be done", _LABELS, registry=registry)
        self.end = Gauge("sendledger_consumer_end_offset", "Offset after the last record", _LABELS, registry=registry)
        self.lag = Gauge("sendledger_consumer_lag_records", "Records still to be done", _LABELS, registry=registry)
        self.age = Gauge(
            "sendledger_consumer_lag_seconds",
            "Age of the oldest record that is still to be done",
            _LABELS,
            registry=registry,
        )

    def told(self, seen: Seen) -> None:
        """What was seen. Partitions that are another's now are gone."""
        for gauge in (self.cursor, self.end, self.lag, self.age):
            gauge.clear()
        self.moved(seen.cursors)
        for place, cursor in seen.cursors.items():
            labels = self._labels(place)
            end = seen.ends.get(place, cursor)
            self.end.labels(*labels).set(end)
            self.lag.labels(*labels).set(max(0, end - cursor))
            if (age := 0.0 if end <= cursor else seen.ages.get(place)) is not None:
                self.age.labels(*labels).set(age)

    def moved(self, cursors: Positions) -> None:
        """Cursors as they are now: who compares them with the ends need not wait for the watchdog's next look."""
        for place, cursor in cursors.items():
            self.cursor.labels(*self._labels(place)).set(cursor)

    def gone(self, places: Iterable[TopicPartition]) -> None:
        """Somebody else's now."""
        for place in places:
            for gauge in (self.cursor, self.end, self.lag, self.age):
                gauge.remove_by_labels(dict(zip(_LABELS, self._labels(place), strict=True)))

    def _labels(self, place: TopicPartition) -> tuple[str, str, str]:
        return self._group, place.topic, str(place.partition)
