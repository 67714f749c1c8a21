"""What the receiver tells about itself. Labels are of closed lists: nothing that a postback says becomes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendledger.edges.spool import SpoolState
from sendledger.wire.postbacks import UndecodableReason

Outcome = Literal[
    "kafka",  # durable on the topic, 200
    "spool",  # durable in the spool, 200
    "unavailable",  # durable nowhere, 503
    "not_found",  # wrong path, method or token, 404
    "too_large",  # 413
    "encoded",  # 415
    "gone",  # the sender left before its body was complete
]
_OUTCOMES: tuple[Outcome, ...] = ("kafka", "spool", "unavailable", "not_found", "too_large", "encoded", "gone")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ReceiverMetrics:
    """The receiver's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        postbacks = Counter(
            "sendledger_receiver_postbacks",
            "Requests to the receiver by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._outcomes = {outcome: postbacks.labels(outcome=outcome) for outcome in _OUTCOMES}
        self._seconds = Histogram(
            "sendledger_receiver_seconds",
            "From the complete body of a postback until its record was durable.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._dead_letters = Counter(
            "sendledger_receiver_dead_letters",
            "Postbacks with a valid token that could not be read, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in get_args(UndecodableReason):  # the first one has to be an increase, not a beginning
            self._dead_letters.labels(reason=reason)
        self._spool_records = Gauge("sendledger_receiver_spool_records", "Records in the spool.", registry=registry)
        self._spool_bytes = Gauge("sendledger_receiver_spool_bytes", "Bytes in the spool.", registry=registry)
        self._spool_limit = Gauge("sendledger_receiver_spool_limit_bytes", "What it may hold.", registry=registry)
        self._spool_oldest = Gauge(
            "sendledger_receiver_spool_oldest_timestamp_seconds",
            "When the oldest record came into the spool; 0 if it is empty.",
            registry=registry,
        )
        self._kafka = Gauge(
            "sendledger_receiver_kafka_up", "1 while postbacks go to Kafka directly.", registry=registry
        )
        self._late = Counter(
            "sendledger_receiver_late_requests", "Connections closed in mid-request: too slow.", registry=registry
        )

    def watch_kafka(self, up: Callable[[], bool]) -> None:
        """Ask `up` at each scrape."""
        self._kafka.set_function(lambda: float(up()))

    def count(self, outcome: Outcome) -> None:
        """One request ended so."""
        self._outcomes[outcome].inc()

    def took(self, seconds: float) -> None:
        """One postback became durable after so long."""
        self._seconds.observe(seconds)

    def dead_letter(self, reason: str) -> None:
        """One postback could not be read; `reason` is of the decoder's closed list."""
        self._dead_letters.labels(reason=reason).inc()

    def late(self) -> None:
        """One connection was closed because its request did not become complete in time."""
        self._late.inc()

    def spool(self, state: SpoolState) -> None:
        """How full the spool is, in records and bytes."""
        self._spool_records.set(state.records)
        self._spool_bytes.set(state.bytes)
        self._spool_limit.set(state.limit)
        self._spool_oldest.set(state.oldest or 0.0)
