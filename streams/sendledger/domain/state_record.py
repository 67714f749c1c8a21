"""The record of one message on `sms.message-state.v1` (`sendledger_schemas.states.MessageState`), from its facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from sendledger.domain.contribution import operator_of
from sendledger.domain.message import Offsets
from sendledger.domain.partial import offsets_by_topic, version_of
from sendledger.domain.postbacks import conflicted, detail_of, first_claim, means
from sendledger.domain.settled import Facts, bucket, counting
from sendledger_schemas.states import FOLD_VERSION

_FINAL = frozenset({"cancelled", "expired", "suppressed", "rejected", "delivered", "undelivered"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StateRecord(msgspec.Struct, omit_defaults=False, gc=False):
    """The fields of `MessageState`, encoded by msgspec on the fold's path."""

    message_id: str
    campaign_id: str
    recipient_id: str
    to_last3: str
    bucket: str
    final: bool
    conflicted: bool
    detail: str | None
    error_code: str | None
    doubt_reason: str | None
    tracking_id: str | None
    history_id: str | None
    operator_id: str | None
    attempts: int
    requested_at: datetime | None
    attempted_at: datetime | None
    responded_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    request: dict[str, int]
    to: dict[str, int]
    version: int
    fold_version: int


def _time(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)


_encode = msgspec.json.Encoder().encode


def encode(facts: Facts, to: Offsets, partition: int) -> bytes:
    """The state of a message that has its request, as it is published."""
    message, brief = facts.message, facts.outline
    request = message.request
    if request is None:
        raise ValueError("a message without its request has no state to publish")
    where = bucket(facts)
    settled = counting(facts.final)
    sent = first_claim(facts.notices, "sent")
    return _encode(
        StateRecord(
            message.message_id,
            message.campaign_id,
            message.recipient_id,
            request.to_last3,
            where,
            where in _FINAL,
            conflicted(facts.final),
            None if settled is None or means(settled) == "delivered" else detail_of(settled),
            None if brief.rejected is None else brief.rejected.code,
            brief.doubt,
            facts.tracking_id or (None if brief.accepted is None else brief.accepted.tracking_id),
            next((n.history_id for n in facts.notices if n.history_id), None),
            operator_of(facts),
            brief.attempts,
            _time(request.at),
            _time(brief.first_claim),
            _time(_responded_at(facts)),
            _time(None if sent is None else sent.received_at),
            _time(_settled_at(facts, where)),
            {"partition": partition, "offset": request.offset},
            offsets_by_topic(to),
            version_of(to),
            FOLD_VERSION,
        ),
    )


def _responded_at(facts: Facts) -> int | None:
    if facts.outline.accepted is not None:
        return facts.outline.accepted.at
    return facts.outline.calls[-1][1].at if facts.outline.calls else None


def _settled_at(facts: Facts, where: str) -> int | None:
    settled = counting(facts.final)
    if settled is not None:
        return settled.received_at
    if where == "rejected":
        return _responded_at(facts)
    if where in _FINAL:
        withheld = facts.message.withheld
        return facts.outline.decided_at if withheld is None else withheld.at
    return None
