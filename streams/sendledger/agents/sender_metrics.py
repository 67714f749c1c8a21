"""What the sender tells about itself. Labels are closed vocabularies: no campaign, no number, no text.

Every value of a label is there from the start with 0: an increase from nothing is none to Prometheus.
"""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Outcome, Refused, Taken, TooFast
from sendledger_schemas.attempts import WithheldReason
from sendledger_schemas.responses import ErrorClass, UnansweredReason

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
        self.refusals = Counter(
            "sendledger_sender_refusals",
            "Rejected attempts, by what they are about",
            ["error_class"],
            registry=registry,
        )
        self.pace = Gauge(
            "sendledger_sender_pace_messages_per_second", "What this sender may send at the moment", registry=registry
        )
        self.limit = Gauge(
            "sendledger_sender_limit_messages_per_second", "What the whole account may send", registry=registry
        )
        self.stopped = Gauge(
            "sendledger_sender_account_stopped", "1 while the account is paused or halted", registry=registry
        )
        self.paused = Gauge(
            "sendledger_sender_campaigns_paused", "Campaigns that are paused or halted", registry=registry
        )
        self.control_age = Gauge(
            "sendledger_sender_control_age_seconds", "Since the orders were surely known", registry=registry
        )
        self.unreadable = Gauge("sendledger_sender_unreadable_records", "Journal records skipped", registry=registry)
        self.journal = Gauge(
            "sendledger_sender_journal_lag_records",
            "Attempts, responses and decisions still to be read, with the cursor as seen from outside the reader",
            ["topic"],
            registry=registry,
        )
        self.journal_age = Gauge(
            "sendledger_sender_journal_lag_seconds",
            "Age of the oldest attempt, response or decision that is still to be read",
            ["topic"],
            registry=registry,
        )
        self.call_seconds = Histogram(
            "sendledger_sender_call_seconds", "Duration of calls", buckets=_BUCKETS, registry=registry
        )
        # All series from the start: of one that begins at 1 no rate sees the first.
        self._ends = {kind: self.calls.labels(word) for kind, word in _WORDS.items()}
        self.won, self.lost = self.claims.labels("won"), self.claims.labels("lost")
        for counter, values in (
            (self.withheld, get_args(WithheldReason)),
            (self.doubts, get_args(UnansweredReason)),
            (self.pauses, ("account", "campaign")),
            (self.refusals, get_args(ErrorClass)),
        ):
            for value in values:
                counter.labels(value)

    def waits(self, topic: str, records: int, seconds: float | None) -> None:
        """How far the journal is behind; `seconds` None: not known."""
        self.journal.labels(topic).set(records)
        if seconds is None:
            self.journal_age.remove_by_labels({"topic": topic})
        else:
            self.journal_age.labels(topic).set(seconds)

    def ended(self, outcome: Outcome) -> None:
        """One claimed attempt came to its end."""
        self._ends[type(outcome)].inc()
        if isinstance(outcome, NoAnswer):
            self.doubts.labels(outcome.reason).inc()
        elif isinstance(outcome, Refused):
            self.refusals.labels(outcome.error_class).inc()
