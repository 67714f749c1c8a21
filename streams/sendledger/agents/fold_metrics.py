"""What the fold tells of itself, on the registry that it is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendledger.edges.fold_core import Partial
from sendledger.edges.position_metrics import PositionMetrics
from sendledger_schemas.topics import FOLD_SOURCES


class FoldMetrics:
    """Counters and gauges of one fold process. `positions`: where each batch's cursor is told, too."""

    def __init__(self, registry: CollectorRegistry, positions: PositionMetrics) -> None:
        self._positions = positions
        self.records = Counter("sendledger_fold_records", "Records folded", ["topic"], registry=registry)
        self.letters = Counter(
            "sendledger_fold_dead_letters", "Records nobody could read", ["topic"], registry=registry
        )
        self.batch_seconds = Histogram(
            "sendledger_fold_batch_seconds",
            "From a batch's first step to its WriteBatch",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.remaining = Gauge(
            "sendledger_fold_replay_remaining_records",
            "Of the log that stood when the partitions were assigned: records still to be folded",
            registry=registry,
        )
        self.imbalance = Gauge("sendledger_fold_imbalance", "|requested - sum of buckets| (P6)", registry=registry)
        self.imbalance.set(0)
        for topic in FOLD_SOURCES:  # all from the start: of a series that begins at 1 no rate sees the first
            self.records.labels(topic)
            self.letters.labels(topic)
        self._broken: dict[tuple[int, str], int] = {}

    def batch(self, partition: int, cursor: Mapping[str, int], partials: Iterable[Partial]) -> None:
        """A batch is on disk."""
        self._positions.moved({TopicPartition(topic, partition): offset for topic, offset in cursor.items()})
        for partial in partials:
            if partial.imbalance is not None:
                self._broken[partition, partial.campaign_id] = partial.imbalance
        self._broken = {part: by for part, by in self._broken.items() if by}
        self.imbalance.set(sum(self._broken.values()))

    def gone(self, partition: int, topics: Collection[str]) -> None:
        """The partition is somebody else's now."""
        self._positions.gone([TopicPartition(topic, partition) for topic in topics])
        self._broken = {part: by for part, by in self._broken.items() if part[0] != partition}
