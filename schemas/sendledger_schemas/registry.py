"""All events on one screen: type name → model (DESIGN §3)."""

from __future__ import annotations

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
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendAccepted, SendNotSent, SendRejected, SendThrottled, SendUnanswered

Data = (
    SendRequested
    | AttemptStarted
    | SendWithheld
    | SendAccepted
    | SendRejected
    | SendThrottled
    | SendNotSent
    | SendUnanswered
    | PostbackReceived
    | DoubtResolved
    | CampaignRegistered
    | BatchRegistered
    | CampaignPaused
    | CampaignResumed
    | CampaignCancelled
    | RateSet
    | RepublishAsked
    | SystemRegistered
    | RecipientSuppressed
    | ReceiverAway
)

MODELS: tuple[type[Data], ...] = Data.__args__
BY_TYPE: dict[str, type[Data]] = {model.TYPE: model for model in MODELS}
