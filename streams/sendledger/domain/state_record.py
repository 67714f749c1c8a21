"""The record of one message on `sms.message-state.v1` (`sendledger_schemas.states.MessageState`), from its facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sendledger.domain.message import ATTEMPTS, DECISIONS, POSTBACKS, REQUESTS, RESPONSES, Offsets
from sendledger.domain.partial import version_of
from sendledger.domain.policies import OTHERS
from sendledger.domain.postbacks import Notice, conflicted, detail_of, earliest, means
from sendledger.domain.settled import Facts, bucket, counting
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import FOLD_SOURCES

_FINAL = frozenset({"cancelled", "expired", "suppressed", "rejected", "delivered", "undelivered"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"


class Otherwise(msgspec.Struct, gc=False):
    """How a message is settled under a policy by which another of its final claims counts."""

    bucket: str
    detail: str | None
    settled_at: str | None


class _Place(msgspec.Struct, frozen=True, gc=False):
    partition: int
    offset: int


def _topic(number: int) -> Any:
    return msgspec.field(name=FOLD_SOURCES[number])


class _To(msgspec.Struct, frozen=True, gc=False):
    """Offsets by topic: a struct costs a fifth of a dict."""

    requests: int = _topic(REQUESTS)
    attempts: int = _topic(ATTEMPTS)
    responses: int = _topic(RESPONSES)
    postbacks: int = _topic(POSTBACKS)
    decisions: int = _topic(DECISIONS)


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
    requested_at: str | None
    attempted_at: str | None
    responded_at: str | None
    sent_at: str | None
    settled_at: str | None
    doubt_since: str | None
    request: _Place
    to: _To
    version: int
    fold_version: int
    open_since: str | UnsetType | None = UNSET
    otherwise: dict[str, Otherwise] | UnsetType = UNSET


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[: len("YYYY-MM-DDTHH:MM:SS")]


def _time(at: int | None) -> str | None:
    """RFC 3339 as msgspec and pydantic write a datetime, at half the price: microseconds, or none at all."""
    if at is None:
        return None
    second, rest = divmod(at, 1_000_000)
    try:
        return f"{_second(second)}.{rest:06d}Z" if rest else f"{_second(second)}Z"
    except OverflowError:  # a time zone has carried it beyond the calendar's first or last day
        return _FIRST if at < 0 else _LAST


_encode = msgspec.json.Encoder().encode


def encode(facts: Facts, to: Offsets, partition: int) -> bytes:
    """The state of a message that has its request, as it is published."""
    message, brief = facts.message, facts.outline
    request = message.request
    if request is None:
        raise ValueError("a message without its request has no state to publish")
    where = bucket(facts)
    settled = counting(facts.final)
    return _encode(
        StateRecord(
            message.message_id,
            message.campaign_id,
            message.recipient_id,
            request.to_last3,
            where,
            where in _FINAL,
            conflicted(facts.final),
            None if settled is None else _detail(settled),
            None if brief.rejected is None else brief.rejected.code,
            brief.doubt,
            facts.tracking_id or (None if brief.accepted is None else brief.accepted.tracking_id),
            _history_id(facts),
            facts.operator_id,
            brief.attempts,
            _time(request.at),
            _time(brief.first_claim),
            _time(_responded_at(facts)),
            _time(None if facts.sent is None else facts.sent.received_at),
            _time(_settled_at(facts, where)),
            _time(brief.doubt_since),
            _Place(partition, request.offset),
            _To(*to),
            version_of(to),
            FOLD_VERSION,
            _time(brief.began) if where in ("accepted", "sent") else UNSET,
            _otherwise(facts) if len(facts.final) > 1 else UNSET,
        ),
    )


def _detail(settled: Notice) -> str | None:
    return None if means(settled) == "delivered" else detail_of(settled)


def _history_id(facts: Facts) -> str | None:
    named = earliest([notice for notice in facts.notices if notice.history_id])
    return None if named is None else named.history_id


def _otherwise(facts: Facts) -> dict[str, Otherwise] | UnsetType:
    """By policy, where another final claim counts than by default."""
    found: dict[str, Otherwise] = {}
    for policy in OTHERS:
        settled = counting(facts.final, policy)
        if settled is not None and settled is not facts.final[0]:
            found[policy] = Otherwise(means(settled), _detail(settled), _time(settled.received_at))
    return found or UNSET


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
