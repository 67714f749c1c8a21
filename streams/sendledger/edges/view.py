"""What the API reads: the compacted topics, the campaigns log and the decisions, kept up to date (DESIGN §3, §8).

A cache: made anew from the log at each start, and of two records of a key the one of the greater `rank` stands,
whatever order they come in. Two consumers, so that a flood of message states holds up neither the campaigns' numbers
nor the arbitration of batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from sendledger.domain.ended_sessions import EndedSessions
from sendledger.edges.audit import audit_entry
from sendledger.edges.campaigns_log import PLACE, CampaignsLog
from sendledger.edges.message_index import Indexed, MessageIndex
from sendledger.edges.tail import Tail
from sendledger_schemas.campaigns import ACCOUNT
from sendledger_schemas.decisions import RecipientSuppressed
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.states import CampaignState, EndedSession, rank
from sendledger_schemas.topics import (
    CAMPAIGN_STATE,
    CAMPAIGNS,
    DECISIONS,
    MESSAGE_STATE,
    RECEIVERS,
    SESSIONS,
    SUPPRESSIONS,
    TOPICS,
)

log = structlog.get_logger()

Records = Sequence[ConsumerRecord[Any, Any]]
_QUICK = (CAMPAIGNS, SUPPRESSIONS, RECEIVERS, DECISIONS, CAMPAIGN_STATE, SESSIONS)
_PAUSE = 0.05  # seconds that new records may be unseen: pages are told once a second


class _Otherwise(msgspec.Struct):
    bucket: str


class _Head(msgspec.Struct):
    """Of a message state only what the index needs; the rest stays bytes."""

    message_id: str
    campaign_id: str
    bucket: str
    fold_version: int
    version: int
    otherwise: dict[str, _Otherwise] | None = None
    error_code: str | None = None
    detail: str | None = None
    doubt_reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it is in its bucket: the code of its refusal, what its receipt says, or why it is in doubt."""
        return {"rejected": self.error_code, "undelivered": self.detail, "in_doubt": self.doubt_reason}.get(self.bucket)


_head = msgspec.json.Decoder(_Head)


def places(topics: Sequence[str], partitions: int) -> list[Any]:
    """All partitions of these topics: keyed ones have the common count, the others one."""
    return [TopicPartition(t, p) for t in topics for p in range(partitions if TOPICS[t].keyed else 1)]


class View:
    """The state of everything the API shows. `changes` grows with each record that is read, except message states.

    `changed`: campaign → `changes` when it last became another, the latest at the end. `account_changed`,
    `gaps_changed`: the same for the account's orders and the receiver's gaps.
    """

    def __init__(self, index: MessageIndex) -> None:
        self.index = index
        self.campaigns = CampaignsLog(self._hear)
        self.states: dict[str, CampaignState] = {}
        self.suppressions: dict[str, Event] = {}
        self.gaps: list[ReceiverAway] = []
        self.ended_sessions = EndedSessions()
        self.changes = 0
        self.changed: dict[str, int] = {}
        self.account_changed = 0
        self.gaps_changed = 0
        self._audit: list[tuple[str, str, str | None, str]] = []
        self._take: dict[str, Callable[[ConsumerRecord[Any, Any]], None]] = {
            CAMPAIGNS: lambda record: self.campaigns.take(record.offset, record.value),
            CAMPAIGN_STATE: self._campaign_state,
            SUPPRESSIONS: self._suppression,
            RECEIVERS: self._receiver,
            DECISIONS: self._decision,
            SESSIONS: self._ended_session,
        }

    async def apply(self, records: Records) -> None:
        """Take records of the quick topics."""
        for record in records:
            self.changes += 1
            self._take[record.topic](record)
        if self._audit:
            entries, self._audit = self._audit, []
            await asyncio.to_thread(self.index.add_audit, entries)

    async def apply_states(self, records: Records) -> None:
        """Take message states. In another thread: the disk must not hold up the answers."""
        await asyncio.to_thread(self._index, records)

    def _index(self, records: Records) -> None:
        states: list[Indexed] = []
        gone: list[str] = []
        for record in records:
            if record.value is None:
                gone.append((record.key or b"").decode("utf-8", "replace"))
                continue
            try:
                head = _head.decode(record.value)
            except msgspec.DecodeError:
                _unreadable(record)
                continue
            if gone:  # a state behind a tombstone stands
                self.index.put(states, gone=gone)
                states, gone = [], []
            states.append(_indexed(head, record.value))
        self.index.put(states, gone=gone)

    def _hear(self, offset: int, event: Event) -> None:
        campaign_id = getattr(event.data, "campaign_id", ACCOUNT)
        if campaign_id == ACCOUNT:
            self.account_changed = self.changes
        else:
            self._mark(campaign_id)
        self._audit.append(audit_entry(event, topic=CAMPAIGNS, partition=PLACE.partition, offset=offset))

    def _mark(self, campaign_id: str) -> None:
        self.changed.pop(campaign_id, None)
        self.changed[campaign_id] = self.changes

    def _campaign_state(self, record: ConsumerRecord[Any, Any]) -> None:
        key = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            self.states.pop(key, None)
            self._mark(key)
            return
        try:
            state = CampaignState.model_validate_json(record.value)
        except ValidationError:
            _unreadable(record)
            return
        known = self.states.get(state.campaign_id)
        if known is None or rank(state) >= rank(known):
            self.states[state.campaign_id] = state
            self._mark(state.campaign_id)

    def _suppression(self, record: ConsumerRecord[Any, Any]) -> None:
        key = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            self.suppressions.pop(key, None)
        elif (event := _event(record)) is not None and isinstance(event.data, RecipientSuppressed):
            self.suppressions[key] = event

    def _receiver(self, record: ConsumerRecord[Any, Any]) -> None:
        if (event := _event(record)) is not None and isinstance(event.data, ReceiverAway):
            self.gaps.append(event.data)
            self.gaps_changed = self.changes

    def _decision(self, record: ConsumerRecord[Any, Any]) -> None:
        if (event := _event(record)) is not None:
            entry = audit_entry(event, topic=DECISIONS, partition=record.partition, offset=record.offset)
            self._audit.append(entry)

    def _ended_session(self, record: ConsumerRecord[Any, Any]) -> None:
        try:
            ended = EndedSession.model_validate_json(record.value or b"")
        except ValidationError:
            _unreadable(record)
            return
        self.ended_sessions.add(ended.session, ended.ends)


def _indexed(head: _Head, document: bytes) -> Indexed:
    said = {policy: other.bucket for policy, other in (head.otherwise or {}).items()}
    others = {policy: bucket for policy, bucket in said.items() if bucket != head.bucket}
    return Indexed(
        head.message_id,
        head.campaign_id,
        head.bucket,
        head.fold_version,
        head.version,
        document,
        others,
        reason=head.reason,
    )


def tails(view: View, quick: AIOKafkaConsumer, states: AIOKafkaConsumer, *, partitions: int) -> tuple[Tail, Tail]:
    """The two readers that keep the view: the quick topics, and the message states. They start no consumer."""
    return (
        Tail(quick, places(_QUICK, partitions), view.apply, pause=_PAUSE),
        Tail(states, places((MESSAGE_STATE,), partitions), view.apply_states, pause=_PAUSE),
    )


def _event(record: ConsumerRecord[Any, Any]) -> Event | None:
    try:
        return decode(record.value or b"")
    except UnreadableEvent:
        _unreadable(record)
        return None


def _unreadable(record: ConsumerRecord[Any, Any]) -> None:
    log.warning("unreadable record", topic=record.topic, partition=record.partition, offset=record.offset)
