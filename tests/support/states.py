"""Records of the compacted topics, as the fold and the merge publish them, for tests of their readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sendledger_schemas.attempts import RequestPosition
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import Event, event
from sendledger_schemas.states import FOLD_VERSION, CampaignState, MessageState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def message_state(message_id: str, campaign_id: str = "spring", **over: Any) -> MessageState:
    """A message that was delivered at once."""
    given: dict[str, Any] = {
        "message_id": message_id,
        "campaign_id": campaign_id,
        "recipient_id": "recipient",
        "to_last3": "888",
        "bucket": "delivered",
        "final": True,
        "conflicted": False,
        "attempts": 1,
        "requested_at": NOW,
        "request": RequestPosition(partition=0, offset=0),
        "to": {"sms.send-requests.v1": 0},
        "version": 1,
        "fold_version": FOLD_VERSION,
        **over,
    }
    return MessageState(**given)


def campaign_state(campaign_id: str, requested: int = 1, **over: Any) -> CampaignState:
    """A campaign whose messages are all queued."""
    given: dict[str, Any] = {
        "campaign_id": campaign_id,
        "as_of": NOW,
        "counters": {"requested": requested, "b:queued": requested},
        "series": {},
        "orphans": 0,
        "to": {},
        "version": 1,
        "fold_version": FOLD_VERSION,
        **over,
    }
    return CampaignState(**given)


def registration(campaign_id: str) -> Event:
    """The event that makes a campaign known."""
    data = CampaignRegistered(campaign_id=campaign_id, by="token:test")
    return event(data, id=f"registered-{campaign_id}", source="test", time=NOW)
