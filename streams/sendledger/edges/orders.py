"""Writes what people order: pause, resume, cancel, rate, suppressions, resolved doubts. One event an order, durable.

And the end of a session: a record that is forgotten after a day, for it is nobody's business later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from sendledger_schemas.campaigns import (
    ACCOUNT,
    CampaignCancelled,
    CampaignPaused,
    CampaignResumed,
    RateSet,
    RepublishAsked,
)
from sendledger_schemas.decisions import DoubtResolved, RecipientSuppressed, Resolution
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.ids import partition_of, recipient_id
from sendledger_schemas.registry import Data
from sendledger_schemas.states import EndedSession, MessageState
from sendledger_schemas.topics import CAMPAIGNS, DECISIONS, SESSIONS, SUPPRESSIONS

SOURCE = "sendledger/orders"
_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,3}\d){4,}")


def without_numbers(note: str) -> str:
    """A reason or note without runs of five or more digits: it may quote a phone number (P7)."""
    return _DIGITS.sub("***", note)


class Orders:
    """Each method writes one event, awaits its acknowledgement and returns its offset. Errors: KafkaError."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        *,
        pepper: bytes,
        partitions: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._producer = producer
        self._pepper = pepper
        self._partitions = partitions
        self._now = now

    async def pause(self, campaign_id: str, *, by: str, reason: str = "") -> int:
        """Nothing new is attempted until a resume. `*` is the whole account."""
        data = CampaignPaused(campaign_id=campaign_id, by=by, reason=without_numbers(reason))
        return await self._write(CAMPAIGNS, campaign_id, 0, data)

    async def resume(self, campaign_id: str, *, by: str, reason: str = "") -> int:
        """Lift every pause before it."""
        data = CampaignResumed(campaign_id=campaign_id, by=by, reason=without_numbers(reason))
        return await self._write(CAMPAIGNS, campaign_id, 0, data)

    async def cancel(self, campaign_id: str, *, by: str, reason: str = "") -> int:
        """Withhold for ever what was not attempted. `*` cancels every campaign known by then."""
        data = CampaignCancelled(campaign_id=campaign_id, by=by, reason=without_numbers(reason))
        return await self._write(CAMPAIGNS, campaign_id, 0, data)

    async def rate(self, per_second: float, *, by: str) -> int:
        """Messages a second for the account, from now on."""
        data = RateSet(campaign_id=ACCOUNT, per_second=per_second, by=by)
        return await self._write(CAMPAIGNS, ACCOUNT, 0, data)

    async def republish(
        self,
        campaign_id: str,
        *,
        by: str,
        partition: int | None = None,
        days: Sequence[str] = (),
        messages: Mapping[str, str] | None = None,
    ) -> int:
        """The owners of these records shall publish them again as they have them (`verify --repair`).

        `messages`: message id → recipient id.
        """
        names = messages or {}
        data = RepublishAsked(
            campaign_id=campaign_id,
            by=by,
            partition=partition,
            days=tuple(days),
            messages=tuple(names),
            recipients=tuple(names.values()),
        )
        return await self._write(CAMPAIGNS, campaign_id, 0, data)

    async def suppress(self, digits: str, *, by: str, reason: str = "") -> int:
        """This recipient (canonical digits) gets nothing more."""
        recipient = recipient_id(self._pepper, digits)
        data = RecipientSuppressed(recipient_id=recipient, by=by, reason=without_numbers(reason), to_last3=digits[-3:])
        return await self._write(SUPPRESSIONS, recipient, 0, data)

    async def unsuppress(self, recipient: str) -> int:
        """Lift a suppression: a tombstone on the recipient's key."""
        sent = await self._producer.send_and_wait(SUPPRESSIONS, None, key=recipient.encode(), partition=0)
        return int(sent.offset)

    def recipient(self, digits: str) -> str:
        """The id under which a number stands in the ledger."""
        return recipient_id(self._pepper, digits)

    async def resolve(self, state: MessageState, resolution: Resolution, *, by: str, note: str = "") -> int:
        """Settle the doubt about a message's last attempt. Returns the offset in its recipient's partition."""
        data = DoubtResolved(
            message_id=state.message_id,
            campaign_id=state.campaign_id,
            recipient_id=state.recipient_id,
            attempt=state.attempts,
            resolution=resolution,
            by=by,
            note=without_numbers(note),
        )
        partition = partition_of(state.recipient_id, self._partitions)
        return await self._write(DECISIONS, state.recipient_id, partition, data)

    async def end_session(self, session: str, ends: int) -> int:
        """No API process shall take its cookie any more; `ends`: seconds since 1970."""
        value = EndedSession(session=session, ends=ends).model_dump_json().encode()
        sent = await self._producer.send_and_wait(SESSIONS, value, key=session.encode(), partition=0)
        return int(sent.offset)

    async def _write(self, topic: str, key: str, partition: int, data: Data) -> int:
        happened = event(data, id=uuid4().hex, source=SOURCE, time=self._now())
        sent = await self._producer.send_and_wait(
            topic, encode(happened), key=key.encode(), partition=partition, headers=HEADERS
        )
        return int(sent.offset)
