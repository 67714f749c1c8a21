"""The pauses that the sender makes by itself: in force at once here, and an event for everybody (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger_schemas.campaigns import ACCOUNT, CampaignPaused
from sendledger_schemas.ids import event_id
from sendledger_schemas.topics import CAMPAIGNS

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pause:
    """Of a campaign, or of the account; void if somebody resumed after the resume that was seen (its offset)."""

    campaign_id: str
    reason: str
    last_resume_seen: int


async def pause_by_itself(kit: Kit, pause: Pause) -> None:
    """Pause, unless somebody else has. Errors: KafkaError."""
    campaign_id = pause.campaign_id
    standing = kit.control.control.campaign(campaign_id).paused
    if standing is not None:  # somebody else's pause came first: it stands for ours, and a resume lifts it
        kit.control.halted_at(campaign_id, standing.offset)
        return
    kit.control.halt(campaign_id)
    if not kit.control.may_write(campaign_id):
        return
    seen = pause.last_resume_seen
    data = CampaignPaused(
        campaign_id=campaign_id, by="sender", reason=pause.reason, automatic=True, last_resume_seen=seen
    )
    name = event_id(data.TYPE, campaign_id, str(seen), kit.incarnation)
    offset = await kit.writer.add(Entry(CAMPAIGNS, 0, campaign_id, name, data))
    kit.control.halted_at(campaign_id, offset)
    kit.metrics.pauses.labels("account" if campaign_id == ACCOUNT else "campaign").inc()
    _log.error("paused by itself", campaign=campaign_id, reason=pause.reason)
