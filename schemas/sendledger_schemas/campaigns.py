"""`sms.campaigns.v1`: what was registered and ordered, a campaign (`*` = the account) at a time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from sendledger_schemas.fields import CampaignId, EventData, Id

ACCOUNT = "*"
SYSTEM = "_system"

FASTEST = 10_000.0
"""Messages a second: nobody may order more. An event may hold more: an older program wrote it."""


class CampaignEvent(EventData):
    """What every event of a campaign carries; `campaign_id` is the record's key too."""

    campaign_id: CampaignId
    by: str


class CampaignRegistered(CampaignEvent):
    """A campaign became known; its first messages register it."""

    TYPE: ClassVar[str] = "sendledger.campaign-registered.v1"

    name: str | None = None
    campaign_ref: str | None = None


class BatchRegistered(CampaignEvent):
    """One POST or file, written before its requests. The first one of an idempotency key in log order wins.

    `region`: of its numbers with a leading 0 (ISO 3166, empty if none was set); absent in older events.
    """

    TYPE: ClassVar[str] = "sendledger.batch-registered.v1"

    batch: Id
    body_sha256: str
    rows: Annotated[int, Field(ge=0)]
    region: str | None = None


class CampaignPaused(CampaignEvent):
    """Nothing new is attempted. `last_resume_seen`: an automatic pause is void if a later resume stands on the log."""

    TYPE: ClassVar[str] = "sendledger.campaign-paused.v1"

    reason: str = ""
    automatic: bool = False
    last_resume_seen: int = -1


class CampaignResumed(CampaignEvent):
    """Goes on; lifts every pause before it."""

    TYPE: ClassVar[str] = "sendledger.campaign-resumed.v1"

    reason: str = ""


class CampaignCancelled(CampaignEvent):
    """Withholds what was not attempted; final, absorbs everything after it."""

    TYPE: ClassVar[str] = "sendledger.campaign-cancelled.v1"

    reason: str = ""


class RateSet(CampaignEvent):
    """Messages a second for the account, from now on."""

    TYPE: ClassVar[str] = "sendledger.rate-set.v1"

    per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RepublishAsked(CampaignEvent):
    """`verify --repair` found published records that are not what their owner last published (DESIGN §5).

    The fold that owns `partition` publishes the campaign's part, those of these `days`, and the states of these
    messages again as it has them; the merge publishes the campaign's state again. Without a partition only the merge.
    `recipients`: the recipient ids of the messages, in their order; without theirs the fold finds no message.
    """

    TYPE: ClassVar[str] = "sendledger.republish-asked.v1"

    partition: Annotated[int, Field(ge=0)] | None = None
    days: tuple[str, ...] = ()
    messages: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    recipients: Annotated[tuple[str, ...], Field(max_length=1000)] = ()


class SystemRegistered(CampaignEvent):
    """What never may change under a log: the pepper's fingerprint and the partition count (DESIGN §2)."""

    TYPE: ClassVar[str] = "sendledger.system-registered.v1"

    pepper_fingerprint: str
    partitions: Annotated[int, Field(ge=1)]
