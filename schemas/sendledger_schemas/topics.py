"""The topics, in one typed registry with one writing role each (DESIGN §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sendledger_schemas.attempts import AttemptStarted, SendWithheld
from sendledger_schemas.campaigns import (
    BatchRegistered,
    CampaignCancelled,
    CampaignPaused,
    CampaignRegistered,
    CampaignResumed,
    RateSet,
    RepublishAsked,
    SystemRegistered,
)
from sendledger_schemas.decisions import DoubtResolved, RecipientSuppressed
from sendledger_schemas.postbacks import PostbackReceived, ReceiverAway
from sendledger_schemas.registry import Data
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendAccepted, SendNotSent, SendRejected, SendThrottled, SendUnanswered

SEND_REQUESTS = "sms.send-requests.v1"
SEND_ATTEMPTS = "sms.send-attempts.v1"
API_RESPONSES = "sms.api-responses.v1"
POSTBACKS = "sms.postbacks.v1"
DECISIONS = "sms.decisions.v1"
CAMPAIGNS = "sms.campaigns.v1"
SUPPRESSIONS = "sms.suppressions.v1"
RECEIVERS = "sms.receivers.v1"
MESSAGE_STATE = "sms.message-state.v1"
CAMPAIGN_PARTIALS = "sms.campaign-partials.v1"
CAMPAIGN_STATE = "sms.campaign-state.v1"
SESSIONS = "sms.sessions.v1"

Cleanup = Literal["delete", "compact"]
Retention = Literal["long", "short", "unlimited", "day"]


@dataclass(frozen=True)
class Topic:
    """One topic. `keyed`: it has the common partition count; others have one partition.

    `durable`: an acknowledgement must survive a power cut on a single node (flush.messages=1).
    `personal`: it may hold phone numbers and texts (P7) and needs restricted access.
    """

    name: str
    key: str
    cleanup: Cleanup
    retention: Retention
    writers: tuple[str, ...]
    events: tuple[type[Data], ...] = ()
    keyed: bool = True
    durable: bool = False
    personal: bool = False


_API = ("api", "cli")
_ALL = (
    Topic(SEND_REQUESTS, "recipient_id", "delete", "long", _API, (SendRequested,), personal=True),
    Topic(SEND_ATTEMPTS, "recipient_id", "delete", "long", ("sender",), (AttemptStarted, SendWithheld), durable=True),
    Topic(
        API_RESPONSES,
        "recipient_id",
        "delete",
        "long",
        ("sender",),
        (SendAccepted, SendRejected, SendThrottled, SendNotSent, SendUnanswered),
    ),
    Topic(
        POSTBACKS,
        "recipient_id",
        "delete",
        "long",
        ("receiver",),
        (PostbackReceived,),
        durable=True,
        personal=True,
    ),
    Topic(DECISIONS, "recipient_id", "delete", "long", _API, (DoubtResolved,)),
    Topic(
        CAMPAIGNS,
        "campaign_id",
        "delete",
        "unlimited",
        (*_API, "sender"),
        (
            CampaignRegistered,
            BatchRegistered,
            CampaignPaused,
            CampaignResumed,
            CampaignCancelled,
            RateSet,
            RepublishAsked,
            SystemRegistered,
        ),
        keyed=False,
    ),
    Topic(SUPPRESSIONS, "recipient_id", "compact", "unlimited", _API, (RecipientSuppressed,), keyed=False),
    Topic(RECEIVERS, "receiver", "delete", "long", ("receiver",), (ReceiverAway,), keyed=False),
    Topic(MESSAGE_STATE, "message_id", "compact", "unlimited", ("fold",)),
    Topic(CAMPAIGN_PARTIALS, "campaign_id/partition/slot", "compact", "unlimited", ("fold",)),
    Topic(CAMPAIGN_STATE, "campaign_id", "compact", "unlimited", ("merge",)),
    Topic(SESSIONS, "session", "delete", "day", ("api",), keyed=False),
)

TOPICS: dict[str, Topic] = {topic.name: topic for topic in _ALL}

FOLD_SOURCES = (SEND_REQUESTS, SEND_ATTEMPTS, API_RESPONSES, POSTBACKS, DECISIONS)
"""What the fold reads, in the order in which `to` lists their offsets."""


def dlq(name: str) -> str:
    """The topic that takes the records of `name` which nobody could use."""
    return f"{name}.dlq"


def dead_letter_topics() -> tuple[Topic, ...]:
    """The `.dlq` topics, one for each topic that people or machines outside may write into."""
    return tuple(
        Topic(dlq(t.name), "as it came", "delete", "short", ("any",), keyed=False, personal=t.personal)
        for t in _ALL
        if t.events
    )
