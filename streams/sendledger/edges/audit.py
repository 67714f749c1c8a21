"""Who did what: the events of `sms.campaigns.v1` and the decisions, as entries that `GET /v1/audit` shows."""

from __future__ import annotations

import json

from sendledger_schemas.envelope import Event
from sendledger_schemas.fields import format_instant

_PREFIX = "sendledger."
_SHOWN = ("message_id", "batch", "rows", "name", "campaign_ref", "reason", "automatic", "per_second", "attempt",
          "resolution", "note", "partitions", "partition")  # fmt: skip


def audit_entry(event: Event, *, topic: str, partition: int, offset: int) -> tuple[str, str, str | None, str]:
    """(time, place on the log, campaign, JSON of the entry). `what` is the event's name without prefix and version."""
    data = event.data.model_dump(mode="json", exclude_none=True)
    campaign_id = data.get("campaign_id")
    entry = {
        "at": format_instant(event.time),
        "what": event.type.removeprefix(_PREFIX).rpartition(".v")[0],
        "campaign_id": campaign_id,
        "by": data.get("by"),
        **{name: data[name] for name in _SHOWN if name in data},
    }
    return format_instant(event.time), f"{topic}/{partition}/{offset:020d}", campaign_id, json.dumps(entry)
