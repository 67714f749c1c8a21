"""The records of the compacted topics: what the fold and the merge publish (DESIGN §4, §5)."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field

from sendledger_schemas.attempts import RequestPosition
from sendledger_schemas.fields import EventData, Instant

Bucket = Literal[
    "queued",
    "attempting",
    "in_doubt",
    "cancelled",
    "expired",
    "suppressed",
    "rejected",
    "accepted",
    "sent",
    "delivered",
    "undelivered",
]

BUCKETS: tuple[Bucket, ...] = Bucket.__args__  # type: ignore[attr-defined]  # typing keeps a Literal's values there

FOLD_VERSION = 5
"""Of store, partials and message states: code with another one folds the log anew."""


class Versioned(Protocol):
    """A published state, or as much of one as tells how complete it is."""

    @property
    def version(self) -> int: ...  # noqa: D102 — the sum of `to`

    @property
    def fold_version(self) -> int: ...  # noqa: D102 — of the code that folded it


def rank(state: Versioned) -> tuple[int, int]:
    """Of two states of one message, or of one campaign, the greater is to be believed.

    A newer fold replaces an older one once it is as far (DESIGN §5), not as soon as it begins anew.
    """
    return state.version, state.fold_version


class Otherwise(EventData):
    """How a message is settled under a policy by which another of its final claims counts."""

    bucket: Bucket
    detail: str | None = None
    settled_at: Instant | None = None


class MessageState(EventData):
    """`sms.message-state.v1`: one message as its facts up to `to` say (`to`: topic → last offset, −1 = none).

    Settled as the policy `first-final` says; `otherwise`: by name, the policies that say something else.
    `open_since`: of one that waits for its final receipt (accepted, sent) when the call began from which that counts.
    """

    message_id: str
    campaign_id: str
    recipient_id: str
    to_last3: str
    bucket: Bucket
    final: bool
    conflicted: bool
    detail: str | None = None
    error_code: str | None = None
    doubt_reason: str | None = None
    tracking_id: str | None = None
    history_id: str | None = None
    operator_id: str | None = None
    attempts: int
    requested_at: Instant
    attempted_at: Instant | None = None
    responded_at: Instant | None = None
    sent_at: Instant | None = None
    settled_at: Instant | None = None
    doubt_since: Instant | None = None
    request: RequestPosition
    to: dict[str, int]
    version: int
    fold_version: int
    open_since: Instant | None = None
    otherwise: dict[str, Otherwise] | None = None


class EndedSession(EventData):
    """`sms.sessions.v1`: a session of the live page that was signed out. Its cookie is over at `ends` anyway.

    `session`: a hash of the part of the cookie that names it; `ends`: seconds since 1970.
    """

    session: str
    ends: int


class CampaignPartial(EventData):
    """`sms.campaign-partials.v1`: what the messages of one campaign in one partition add up to.

    `counters` is a sum of contributions (domain/contribution.py names the keys). A series record (key `…/YYYY-MM-DD`)
    has a `day` and only that day's counters. `from`/`to`: topic → offset, first and last that are counted.
    """

    campaign_id: str
    partition: int
    slot: int
    day: str | None = None
    counters: dict[str, int]
    from_: Annotated[dict[str, int], Field(alias="from")]
    to: dict[str, int]
    version: int
    fold_version: int
    topic_ids: dict[str, str]
    archived: bool = False


class CampaignState(EventData):
    """`sms.campaign-state.v1`: the numbers of one campaign, the sum of the most complete partial of each partition."""

    campaign_id: str
    as_of: Instant
    counters: dict[str, int]
    series: dict[str, dict[str, int]]
    orphans: int
    to: dict[str, dict[str, int]]
    version: int
    fold_version: int
    archived: bool = False
    topic_ids: dict[str, str] = Field(default_factory=dict)
