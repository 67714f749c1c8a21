"""Events as tests tell them: short functions that put real, encoded events on an in-memory log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sendledger.domain.facts import Fact, decode_fact
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from sendledger_schemas import attempts, decisions, envelope, ids, postbacks, requests, responses, topics
from sendledger_schemas.registry import Data
from tests.support.native import Changes, PartitionFold

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = Origin(partition=3, slot=0, from_=NOTHING_READ, topic_ids={})
TOPIC_OF: dict[type[Data], int] = {
    event: number for number, name in enumerate(topics.FOLD_SOURCES) for event in topics.TOPICS[name].events
}
Read = tuple[int, int, Fact]


def at(seconds: float) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=seconds)


@dataclass
class Log:
    """The five source topics of one partition."""

    topics: list[list[bytes]] = field(default_factory=lambda: [[] for _ in topics.FOLD_SOURCES])

    def add(self, data: Data, when: float = 0, event_id: str | None = None) -> None:
        """Append one event to its topic."""
        topic = self.topics[TOPIC_OF[type(data)]]
        name = event_id or ids.event_id(data.TYPE, str(len(topic)))
        topic.append(envelope.encode(envelope.event(data, id=name, source="story", time=at(when))))

    def reads(self) -> list[list[Read]]:
        """Each topic as the fold reads it."""
        return [[(t, offset, decode_fact(raw)) for offset, raw in enumerate(log)] for t, log in enumerate(self.topics)]

    def in_order(self) -> list[Read]:
        """Topic after topic."""
        return [read for topic in self.reads() for read in topic]


def names(message: str, recipient: str, campaign: str) -> dict[str, Any]:
    """The ids that every event of a message carries."""
    return {"message_id": message, "recipient_id": recipient, "campaign_id": campaign}


def requested(message: str = "m1", recipient: str = "r1", campaign: str = "c1", **over: object) -> Data:
    """SendRequested."""
    fields = {"to": "15551234888", "sender": "60856", "text": "hello", **names(message, recipient, campaign), **over}
    return requests.SendRequested.model_validate(fields)


def started(message: str = "m1", recipient: str = "r1", campaign: str = "c1", attempt: int = 1) -> Data:
    """AttemptStarted."""
    where = attempts.RequestPosition(partition=3, offset=0)
    who = names(message, recipient, campaign)
    return attempts.AttemptStarted(**who, attempt=attempt, worker="w", incarnation="i", request=where)


def accepted(tracking: str, message: str = "m1", recipient: str = "r1", campaign: str = "c1", attempt: int = 1) -> Data:
    """SendAccepted."""
    who = names(message, recipient, campaign)
    return responses.SendAccepted(**who, attempt=attempt, tracking_id=tracking, duration_ms=1)


def unanswered(
    message: str = "m1",
    recipient: str = "r1",
    campaign: str = "c1",
    attempt: int = 1,
    reason: responses.UnansweredReason = "timeout",
) -> Data:
    """SendUnanswered."""
    return responses.SendUnanswered(**names(message, recipient, campaign), attempt=attempt, reason=reason)


def rejected(message: str = "m1", recipient: str = "r1", campaign: str = "c1", attempt: int = 1) -> Data:
    """SendRejected."""
    who = names(message, recipient, campaign)
    return responses.SendRejected(**who, attempt=attempt, error_code="E110", error_info="", error_class="message")


def throttled(message: str = "m1", recipient: str = "r1", campaign: str = "c1", attempt: int = 1) -> Data:
    """SendThrottled."""
    who = names(message, recipient, campaign)
    return responses.SendThrottled(**who, attempt=attempt, error_code="E120", retry_at=at(60))


def not_sent(message: str = "m1", recipient: str = "r1", campaign: str = "c1", attempt: int = 1) -> Data:
    """SendNotSent."""
    return responses.SendNotSent(**names(message, recipient, campaign), attempt=attempt, reason="refused")


def withheld(
    reason: attempts.WithheldReason = "cancelled", message: str = "m1", recipient: str = "r1", campaign: str = "c1"
) -> Data:
    """SendWithheld."""
    return attempts.SendWithheld(**names(message, recipient, campaign), reason=reason)


def resolved(
    resolution: decisions.Resolution,
    message: str = "m1",
    recipient: str = "r1",
    campaign: str = "c1",
    attempt: int = 1,
) -> Data:
    """DoubtResolved."""
    who = names(message, recipient, campaign)
    return decisions.DoubtResolved(**who, attempt=attempt, resolution=resolution, by="op")


def postback(  # noqa: PLR0917 — a story reads best in few words
    claim: postbacks.Claim,
    tracking: str = "T1",
    recipient: str = "r1",
    received: float = 10,
    detail: str | None = None,
    provider: float | None = None,
) -> Data:
    """PostbackReceived."""
    return postbacks.PostbackReceived(
        recipient_id=recipient,
        origin="SMS_MT",
        code="N201",
        claim=claim,
        detail=detail,
        tracking_id=tracking,
        provider_time=at(received - 1 if provider is None else provider),
        received_at=at(received),
        raw="<NOTIFICATION/>",
    )


@dataclass
class Folded:
    """A fold over an in-memory store: what the shell does around the pure fold, without Kafka and RocksDB."""

    stored: dict[bytes, bytes] = field(default_factory=dict)
    published: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, bytes] = field(default_factory=dict)
    history: list[tuple[str, bytes]] = field(default_factory=list)
    origin: Origin = ORIGIN

    def __post_init__(self) -> None:
        self.fold = PartitionFold(lambda keys: [self.stored.get(key) for key in keys], self.origin)

    def batch(self, reads: Iterable[Read]) -> Changes:
        """Fold one batch, publish, write."""
        changes = self.fold.fold(list(reads))
        for record in changes.partials:
            self.published[record.key] = record.value
            self.history.append((record.key, record.value))
        for record in changes.messages:
            self.states[record.key] = record.value
        self.stored.update(changes.documents)
        return changes
