"""The orders of people: all of the campaigns and suppressions logs, read outside any group (DESIGN §6).

How old the knowledge is counts as much as what it says: `age` is the time since the broker was last asked where the
logs end, with everything up to there read. Pauses that the sender itself must make hold from the moment of the answer
that caused them, before they are on the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sendledger.domain.campaigns import Control, Standing
from sendledger.edges.clocks import steady
from sendledger_schemas.campaigns import ACCOUNT, CampaignCancelled, CampaignResumed
from sendledger_schemas.decisions import RecipientSuppressed
from sendledger_schemas.envelope import UnreadableEvent, decode
from sendledger_schemas.topics import CAMPAIGNS, SUPPRESSIONS

ASK_EVERY = 0.2
_POLL_MS = 100

_log = structlog.get_logger()
Raw = Any  # aiokafka has no types that a checker could read; a record has offset, timestamp, key, value


class ControlLog:
    """`consumer`: of its own, started, with a short `fetch_max_wait_ms` (the ends are asked for behind its fetches).

    `moved` is set whenever an order was read.
    """

    def __init__(self, consumer: AIOKafkaConsumer, moved: asyncio.Event) -> None:
        self.control = Control()
        self.caught_up = asyncio.Event()
        self._consumer = consumer
        self._moved = moved
        self._suppressed: set[str] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._halted: dict[str, int] = {}
        self._writing: set[str] = set()
        self._resumed_at: dict[str, int] = {}
        self._cancellations = 0
        self._confirmed_at = float("-inf")
        self._asked: tuple[float, dict[TopicPartition, int]] | None = None

    # ------------------------------------------------------------------------------------------ what it says
    def standing(self, campaign_id: str) -> Standing:
        """Whether a campaign may send, by the log and by the pauses that are on their way to it."""
        standing = self.control.standing(campaign_id)
        if standing == "open" and (ACCOUNT in self._halted or campaign_id in self._halted):
            return "paused"
        return standing

    def is_suppressed(self, recipient_id: str) -> bool:
        """Whether a recipient must get nothing."""
        return recipient_id in self._suppressed

    def cancellations(self) -> int:
        """How many there have been, repeated ones too."""
        return self._cancellations

    def resumed_at(self, campaign_id: str) -> int:
        """When the broker appended the campaign's last resume (ms), −1 if there is none."""
        return self._resumed_at.get(campaign_id, -1)

    def age(self) -> float:
        """Seconds since both logs were surely read to their ends."""
        return steady() - self._confirmed_at

    def halt(self, campaign_id: str) -> None:
        """Stop a campaign or the account at once, before the pause is on the log."""
        self._halted.setdefault(campaign_id, -1)

    def may_write(self, campaign_id: str) -> bool:
        """Whether no pause of ours is on its way: the calls in flight may all end alike, and one event is enough."""
        if campaign_id in self._writing or self._halted.get(campaign_id, -1) >= 0:
            return False
        self._writing.add(campaign_id)
        return True

    def halted_at(self, campaign_id: str, offset: int) -> None:
        """The pause is on the log at `offset`: once that is read, the log says what holds."""
        self._writing.discard(campaign_id)
        self._halted[campaign_id] = offset
        self._lift()

    def is_halting(self, campaign_id: str) -> bool:
        """Whether a pause is already on its way or in force."""
        return campaign_id in self._halted or self.control.campaign(campaign_id).paused is not None

    def _lift(self) -> None:
        for campaign_id, offset in list(self._halted.items()):
            if 0 <= offset < self.control.next_offset:
                del self._halted[campaign_id]

    # ------------------------------------------------------------------------------------------ how it knows
    async def run(self) -> None:
        """Read both logs from their beginning and follow them until cancelled; errors end it."""
        everything = [TopicPartition(topic, 0) for topic in (CAMPAIGNS, SUPPRESSIONS)]  # not keyed: one partition each
        self._consumer.assign(everything)
        await self._consumer.seek_to_beginning(*everything)
        for place in everything:
            self._positions[place] = await self._consumer.position(place)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask(everything))
            group.create_task(self._read())

    async def _ask(self, places: list[TopicPartition]) -> None:
        while True:
            asked_at = steady()
            try:
                self._asked = asked_at, await self._consumer.end_offsets(places)
            except KafkaError as error:
                # Nothing is sent on knowledge that grows old; the housekeeping ends the process if it stays so.
                _log.warning("the ends of the orders cannot be asked for", error=type(error).__name__)
            self._confirm()
            await asyncio.sleep(ASK_EVERY)

    async def _read(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for place, records in fetched.items():
                self._take(place.topic, records)
                # not the last record's offset + 1: compaction leaves gaps, at the end too
                self._positions[place] = await self._consumer.position(place)
            if fetched:
                self._lift()
                self._confirm()
                self._moved.set()

    def _confirm(self) -> None:
        if self._asked is None:
            return
        asked_at, ends = self._asked
        if all(self._positions[place] >= end for place, end in ends.items()):
            self._confirmed_at = max(self._confirmed_at, asked_at)
            self.caught_up.set()

    def _take(self, topic: str, records: Sequence[Raw]) -> None:
        for record in records:
            if topic == SUPPRESSIONS:
                self._suppress(record)
            else:
                self._order(record)

    def _order(self, record: Raw) -> None:
        try:
            event = decode(record.value or b"")
        except UnreadableEvent as fault:
            _log.warning("unreadable record", topic=CAMPAIGNS, offset=record.offset, fault=str(fault))
            self.control.skip(record.offset)
            return
        self.control.evolve(record.offset, event)
        if isinstance(event.data, CampaignResumed):
            self._resumed_at[event.data.campaign_id] = record.timestamp
        self._cancellations += isinstance(event.data, CampaignCancelled)

    def _suppress(self, record: Raw) -> None:
        recipient = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self._suppressed.discard(recipient)
            return
        try:
            data = decode(record.value).data
        except UnreadableEvent as fault:
            # Whoever wrote it meant that this recipient gets nothing: the key says whom.
            _log.warning("unreadable record", topic=SUPPRESSIONS, offset=record.offset, fault=str(fault))
            self._suppressed.add(recipient)
            return
        if isinstance(data, RecipientSuppressed):
            self._suppressed.add(data.recipient_id)
