"""What a sink tells of itself: how far it is, what it wrote, and what went wrong. Labels are closed vocabularies."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from sendledger.domain.postgres import KEYS
from sendledger.edges.position_metrics import PositionMetrics

GROUP = "sendledger-sink-postgres"
"""What stands for a consumer group in the metrics: a sink has none, its cursors are in the tables."""
Error = Literal["database_away", "unreadable_record"]
_ERRORS: tuple[Error, ...] = ("database_away", "unreadable_record")


class SinkMetrics:
    """All of them, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.positions = PositionMetrics(registry, GROUP)
        self.rows = Counter("sendledger_sink_rows", "Rows put into a table, new or newer", ["table"], registry=registry)
        self.deleted = Counter(
            "sendledger_sink_deleted_rows", "Rows deleted by tombstones", ["table"], registry=registry
        )
        self.written_at = Gauge(
            "sendledger_sink_last_write_timestamp_seconds", "When the tables were moved on last", registry=registry
        )
        self.errors = Counter(
            "sendledger_sink_errors",
            "Connections lost or refused for the moment, and records that nobody can read",
            ["kind"],
            registry=registry,
        )
        for table in KEYS:  # all from the start: of a series that begins at 1 no rate sees the first
            self.rows.labels(table)
            self.deleted.labels(table)
        for kind in _ERRORS:
            self.errors.labels(kind)

    def failed(self, kind: Error, times: int = 1) -> None:
        """Something went wrong, and the sink goes on."""
        self.errors.labels(kind).inc(times)
