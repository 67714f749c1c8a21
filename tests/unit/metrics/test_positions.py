"""Lag in records and in seconds, by topic and partition."""

from __future__ import annotations

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry, generate_latest

from sendledger.edges.position_metrics import PositionMetrics, Seen

ONE, TWO, THREE = (TopicPartition("t", number) for number in (1, 2, 3))


def test_cursor_end_and_lag() -> None:
    """What is caught up is 0 seconds behind; an age that could not be read is absent, not 0."""
    registry = CollectorRegistry()
    metrics = PositionMetrics(registry, "g")
    metrics.told(Seen({ONE: 5, TWO: 4, THREE: 1}, {ONE: 9, TWO: 4, THREE: 2}, {ONE: 7.5}))

    def value(name: str, place: TopicPartition) -> float | None:
        labels = {"group": "g", "topic": place.topic, "partition": str(place.partition)}
        return registry.get_sample_value(f"sendledger_consumer_{name}", labels)

    assert [value("cursor_offset", place) for place in (ONE, TWO, THREE)] == [5, 4, 1]
    assert [value("end_offset", place) for place in (ONE, TWO, THREE)] == [9, 4, 2]
    assert [value("lag_records", place) for place in (ONE, TWO, THREE)] == [4, 0, 1]
    assert [value("lag_seconds", place) for place in (ONE, TWO, THREE)] == [7.5, 0, None]
    metrics.told(Seen({TWO: 4}, {}, {}))
    assert [value("lag_records", place) for place in (ONE, TWO)] == [None, 0]


def test_a_cursor_is_told_as_soon_as_it_moves() -> None:
    """Between two looks of the watchdog, too; what is another's now is gone from every gauge at once."""
    registry = CollectorRegistry()
    metrics = PositionMetrics(registry, "g")
    metrics.told(Seen({ONE: 5, TWO: 4}, {ONE: 9, TWO: 4}, {ONE: 7.5}))
    metrics.moved({ONE: 8})
    told = generate_latest(registry).decode()
    assert 'sendledger_consumer_cursor_offset{group="g",partition="1",topic="t"} 8.0' in told
    metrics.gone([ONE, THREE])
    told = generate_latest(registry).decode()
    assert 'partition="1"' not in told
    assert told.count('partition="2"') == 4
