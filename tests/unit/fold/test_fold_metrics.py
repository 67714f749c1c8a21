"""What the fold tells of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.edges.position_metrics import PositionMetrics
from sendledger_schemas.topics import FOLD_SOURCES


def test_dead_letters_have_a_series_for_each_topic_from_the_start() -> None:
    """A series that begins at 1 has no increase: an alert would miss the first dead letter."""
    registry = CollectorRegistry()
    FoldMetrics(registry, PositionMetrics(registry, "g"))
    name = "sendledger_fold_dead_letters_total"
    assert {registry.get_sample_value(name, {"topic": topic}) for topic in FOLD_SOURCES} == {0.0}
