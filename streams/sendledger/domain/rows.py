"""What stands in the analysts' tables, made of states and events: rows by the names of `sendledger_schemas.tables`.

Values are those of JSON: times as text in UTC, so that no reader's time zone can shift a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sendledger.domain.campaign_view import numbers_of
from sendledger.domain.numbers import overdue
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger_schemas.fields import format_instant
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.states import CampaignState, MessageState

Row = dict[str, Any]

_DATE = len("2026-03-01")
_RATES = ("acceptance", "delivery_confirmed", "delivery_resolved", "receipt_coverage")
_AT_READING = "unknown"  # of the moment at which it is read: a row that is kept has none


def masked(last3: str) -> str:
    """A number as it is shown."""
    return f"***{last3}"


def message_row(state: MessageState, policy: Policy = DEFAULT, now: datetime | None = None) -> Row:
    """A row of `messages`, settled as the policy says, the number masked; `now` None: to be kept, without `unknown`."""
    requested_at = format_instant(state.requested_at)
    other = None if state.otherwise is None else state.otherwise.get(policy)
    settled = state if other is None else other
    return {
        "message_id": state.message_id,
        "campaign_id": state.campaign_id,
        "to": masked(state.to_last3),
        "bucket": settled.bucket,
        "final": state.final,
        "conflicted": state.conflicted,
        "detail": settled.detail,
        "error_code": state.error_code,
        "doubt_reason": state.doubt_reason,
        "doubt_since": _instant(state.doubt_since),
        "open_since": _instant(state.open_since),
        **({} if now is None else {_AT_READING: state.open_since is not None and overdue(state.open_since, now)}),
        "tracking_id": state.tracking_id,
        "history_id": state.history_id,
        "operator_id": state.operator_id,
        "attempts": state.attempts,
        "requested_at": requested_at,
        "attempted_at": _instant(state.attempted_at),
        "responded_at": _instant(state.responded_at),
        "sent_at": _instant(state.sent_at),
        "settled_at": _instant(settled.settled_at),
        "recipient_id": state.recipient_id,
        "version": state.version,
        "fold_version": state.fold_version,
        "day": requested_at[:_DATE],
    }


def campaign_row(state: CampaignState, policy: Policy = DEFAULT, now: datetime | None = None) -> Row:
    """A row of `campaigns`, as the policy counts; `now` None: to be kept, without `unknown`."""
    numbers = numbers_of(state, now or state.as_of, policy)
    counts = {name: count for name, count in numbers.counts().items() if name != _AT_READING or now is not None}
    rates = numbers.rates()
    return {
        "campaign_id": state.campaign_id,
        "as_of": format_instant(state.as_of),
        **counts,
        **{name: numbers.main.get(name, 0) for name in ("accepted_ever", "carrier", "receipt")},
        **{name: numbers.quality()[name] for name in ("conflicted", "duplicates", "late", "orphans")},
        **{name: rates[name]["value"] for name in _RATES},
        "archived": state.archived,
        "version": state.version,
        "fold_version": state.fold_version,
    }


def postback_row(event_id: str, postback: PostbackReceived) -> Row:
    """A row of `postbacks`, but for whose it is; without `raw` (P7)."""
    p = postback
    return {
        "event_id": event_id,
        "recipient_id": p.recipient_id,
        "origin": p.origin,
        "code": p.code,
        "claim": p.claim,
        "detail": p.detail,
        "tracking_id": p.tracking_id,
        "history_id": p.history_id,
        "notification_id": p.notification_id,
        "operator_id": p.operator_id,
        "provider_time": _instant(p.provider_time),
        "provider_timestamp": _instant(p.provider_timestamp),
        "received_at": _instant(p.received_at),
    }


def _instant(when: datetime | None) -> str | None:
    return None if when is None else format_instant(when)


_LARGEST = 2**63 - 1


def storable(row: Mapping[str, Any]) -> Row:
    """The row as databases can keep it: without the one character that their texts cannot hold (U+0000).

    Errors: ValueError for an integer of more than 64 bits, which no column holds.
    """
    if any(isinstance(value, int) and value > _LARGEST for value in row.values()):
        raise ValueError("an integer that no column holds")
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}
