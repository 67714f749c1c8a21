"""What the sender tells about itself. Labels are closed vocabularies: no campaign, no number, no text."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WORDS: dict[type[Outcome], str] = {
    Taken: "accepted",
    Refused: "rejected",
    TooFast: "throttled",
    NeverBegan: "not_sent",
    NoAnswer: "unanswered",
}


class SenderMetrics:
    """All of them, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter("sendledger_sender_calls", "Ends of claimed attempts", ["outcome"], registry=registry)
        self.claims = Counter("sendledger_sender_claims", "Claims, by who won", ["result"], registry=registry)
        self.withheld = Counter("sendledger_sender_withheld", "Messages withheld", ["reason"], registry=registry)
        self.doubts = Counter("sendledger_sender_doubts", "Attempts put in doubt", ["reason"], registry=registry)
        self.pauses = Counter("sendledger_sender_automatic_pauses", "Pauses by itself", ["scope"], registry=registry)
        self.in_flight = Gauge("sendledger_sender_in_flight", "Calls in flight", registry=registry)
        self.open = Gauge("sendledger_sender_open_attempts", "Claims without an end", registry=registry)
        self.pace = Gauge("sendledger_sender_pace", "Messages a second that may go at the moment", registry=registry)
        self.lag = Gauge("sendledger_sender_lag", "Records still to be read", ["partition"], registry=registry)
        self.control_age = Gauge(
            "sendledger_sender_control_age_seconds", "Since the orders were surely known", registry=registry
        )
        self.unreadable = Gauge("sendledger_sender_unreadable_records", "Journal records skipped", registry=registry)
        self.call_seconds = Histogram(
            "sendledger_sender_call_seconds", "Duration of calls", buckets=_BUCKETS, registry=registry
        )
        self._ends = {kind: self.calls.labels(word) for kind, word in _WORDS.items()}
        self.won, self.lost = self.claims.labels("won"), self.claims.labels("lost")

    def ended(self, outcome: Outcome) -> None:
        """One claimed attempt came to its end."""
        self._ends[type(outcome)].inc()
        if isinstance(outcome, NoAnswer):
            self.doubts.labels(outcome.reason).inc()

    def told_lag(self, behind: Mapping[int, int]) -> None:
        """Records of requests still to be read, by partition."""
        for partition, records in behind.items():
            self.lag.labels(str(partition)).set(records)
