"""Partials as the fold publishes them, for tests of those who read them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sendledger.domain.message import Offsets
from sendledger.domain.partial import bounded, offsets_by_topic, version_of
from sendledger.edges.fold_core import Origin
from sendledger_schemas.states import FOLD_VERSION


def record_key(campaign_id: str, origin: Origin, day: str | None) -> str:
    """`campaign_id/partition/slot`, and `…/day` for a series."""
    key = f"{campaign_id}/{origin.partition}/{origin.slot}"
    return key if day is None else f"{key}/{day}"


def record(campaign_id: str, origin: Origin, day: str | None, counters: Mapping[str, int], to: Offsets) -> bytes:
    """The value (`sendledger_schemas.states.CampaignPartial`)."""
    return msgspec.json.encode(
        {
            "campaign_id": campaign_id,
            "partition": origin.partition,
            "slot": origin.slot,
            "day": day,
            "counters": bounded(counters),
            "from": offsets_by_topic(origin.from_),
            "to": offsets_by_topic(to),
            "version": version_of(to),
            "fold_version": FOLD_VERSION,
            "topic_ids": origin.topic_ids,
            "archived": False,
        },
    )
