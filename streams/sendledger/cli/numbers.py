"""The campaigns' numbers for a verb: read from the topics that the API reads, with no server between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from pydantic import ValidationError

from sendledger.cli.context import reachable
from sendledger.config import Settings
from sendledger.domain.campaign_view import numbers_of, whole_view
from sendledger.domain.campaigns import CampaignOrders
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger.edges.campaigns_log import CampaignsLog
from sendledger.edges.kafka import consumer
from sendledger.edges.tail import Tail
from sendledger_schemas.campaigns import ACCOUNT, SYSTEM
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.states import CampaignState, rank
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS, RECEIVERS, SUPPRESSIONS, TOPICS

Snapshot = list[dict[str, Any]]
_Kept = tuple[CampaignState | None, tuple[CampaignOrders, CampaignOrders, int], datetime | None, dict[str, Any]]
Records = Sequence[ConsumerRecord[Any, Any]]

log = structlog.get_logger()


class Numbers:
    """What stands on the campaigns' topics, kept up to date."""

    def __init__(self) -> None:
        self.campaigns = CampaignsLog()
        self.states: dict[str, CampaignState] = {}
        self.suppressions: dict[str, Event] = {}
        self.gaps: list[ReceiverAway] = []
        self._changed = asyncio.Event()
        self._views: dict[tuple[str, Policy], _Kept] = {}

    def knows(self, campaign_id: str) -> bool:
        """Whether the campaign was registered."""
        return self.campaigns.control.campaign(campaign_id).registered is not None or campaign_id in self.states

    def snapshot(self, now: datetime, campaign_id: str | None = None, policy: Policy = DEFAULT) -> Snapshot:
        """Every campaign, or the one, as the API shows it under a policy."""
        known = {*self.campaigns.control.campaigns, *self.states} - {ACCOUNT, SYSTEM, NO_CAMPAIGN}
        wanted = sorted(name for name in known if self.knows(name)) if campaign_id is None else [campaign_id]
        return [self._view(name, now, policy) for name in wanted]

    def _view(self, campaign_id: str, now: datetime, policy: Policy) -> dict[str, Any]:
        """One campaign, made anew only if something about it is: `--watch` looks every second at all of them."""
        control, state, key = self.campaigns.control, self.states.get(campaign_id), (campaign_id, policy)
        orders = (control.campaign(campaign_id), control.account, len(self.gaps))
        if (kept := self._views.get(key)) is not None:
            of, by, until, view = kept
            if of is state and by == orders and (until is None or now < until):
                return view
        numbers = numbers_of(state, now, policy)
        made = whole_view(campaign_id, state, numbers, control, self.gaps, policy=policy)
        self._views[key] = (state, orders, numbers.stands_until(), made)
        return made

    async def changed(self, *, within: float) -> None:
        """Return when something was read, or after `within` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return

    async def apply(self, records: Records) -> None:
        """Take records of one partition."""
        for record in records:
            if record.topic == CAMPAIGNS:
                self.campaigns.take(record.offset, record.value)
            elif record.topic == CAMPAIGN_STATE:
                self._state(record)
            else:
                self._event(record)
        self._changed.set()

    def _state(self, record: ConsumerRecord[Any, Any]) -> None:
        if record.value is None:
            return
        try:
            state = CampaignState.model_validate_json(record.value)
        except ValidationError:
            log.warning("unreadable record", topic=record.topic, partition=record.partition, offset=record.offset)
            return
        known = self.states.get(state.campaign_id)
        if known is None or rank(state) >= rank(known):
            self.states[state.campaign_id] = state

    def _event(self, record: ConsumerRecord[Any, Any]) -> None:
        key = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            self.suppressions.pop(key, None)
            return
        try:
            event = decode(record.value)
        except UnreadableEvent:
            log.warning("unreadable record", topic=record.topic, partition=record.partition, offset=record.offset)
            return
        if isinstance(event.data, ReceiverAway):
            self.gaps.append(event.data)
        elif record.topic == SUPPRESSIONS:
            self.suppressions[key] = event


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Numbers]:
    """The numbers, caught up with the log on entry and followed while the context lasts. Errors: CannotError."""
    await reachable(settings)
    numbers = Numbers()
    topics = (CAMPAIGNS, CAMPAIGN_STATE, RECEIVERS, SUPPRESSIONS)
    places = [TopicPartition(t, p) for t in topics for p in range(settings.partitions if TOPICS[t].keyed else 1)]
    reader = consumer(settings.kafka, group_id=None)
    await reader.start()
    tail = Tail(reader, places, numbers.apply)
    reading = asyncio.create_task(tail.run(), name="numbers")
    caught_up = asyncio.create_task(tail.caught_up.wait())
    try:
        await asyncio.wait({reading, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        yield numbers
    finally:
        for task in (reading, caught_up):
            task.cancel()
        await asyncio.gather(reading, caught_up, return_exceptions=True)
        await reader.stop()
