"""What the sender looks at from time to time: dead claims, the rate, its numbers, and whether anything stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sendledger.agents.sender_calls import Calls
from sendledger.agents.sender_claims import Claims
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_partition import JOURNAL, Partition
from sendledger.agents.watchdog import Progress, StalledError
from sendledger.domain.sending import dead
from sendledger.edges.clocks import steady
from sendledger.edges.position_metrics import behind
from sendledger_schemas.campaigns import ACCOUNT
from sendledger_schemas.ids import event_id
from sendledger_schemas.responses import SendUnanswered
from sendledger_schemas.topics import API_RESPONSES

LOOK_EVERY = 5.0
PATIENCE = 60.0
_PAUSE = 0.5
_DEAD_AT_ONCE = 500

_log = structlog.get_logger()


class Housekeeping:
    """What has to be looked at from time to time."""

    def __init__(self, kit: Kit, claims: Claims, calls: Calls) -> None:
        self._kit, self._claims, self._calls = kit, claims, calls
        self._declared: set[tuple[str, int]] = set()
        self._progress = Progress(PATIENCE)
        self._began = self._looked_at = steady()

    async def run(self) -> None:
        """Until cancelled. Errors: StalledError when the journal is not read any more."""
        while True:
            await asyncio.sleep(_PAUSE)
            self._kit.pace.set_rate(self._kit.control.control.rate or self._kit.settings.send_rate)
            await self._declare_dead()
            self._tell()
            if steady() - self._looked_at > LOOK_EVERY:
                await self._look_for_progress()

    async def _declare_dead(self) -> None:
        """Claims of others, or of an earlier life, that nobody will answer any more: in doubt (reason `crash`)."""
        now, deadline = self._kit.broker.micros(), self._kit.call_deadline
        self._declared = {attempt for attempt in self._declared if self._is_open(*attempt)}
        found: list[tuple[Partition, str, int]] = []
        for partition in self._claims.partitions.values():
            if partition.caught_up and not partition.closing:
                found += [
                    (partition, message_id, opened.attempt)
                    for message_id, opened in partition.opened.items()
                    if dead(opened.at, now, deadline) and self._is_nobodys((message_id, opened.attempt))
                ]
        del found[_DEAD_AT_ONCE:]
        if not found:
            return
        # All are made before the first is written: a partition may be given up, and its store closed, meanwhile.
        entries = [_doubt(*one) for one in found]
        self._declared |= {(message_id, attempt) for _, message_id, attempt in found}
        await self._kit.writer.write(entries)  # one by one they would hold up what comes next, a new rate first of all
        for _, message_id, attempt in found:
            self._kit.metrics.doubts.labels("crash").inc()
            _log.warning("a claim has died", message=message_id, attempt=attempt)

    def _is_open(self, message_id: str, attempt: int) -> bool:
        return any(ours.is_open(message_id, attempt) for ours in self._claims.partitions.values())

    def _is_nobodys(self, attempt: tuple[str, int]) -> bool:
        return attempt not in self._calls.active and attempt not in self._declared

    def _tell(self) -> None:
        ours = self._claims.partitions.values()
        self._kit.metrics.pace.set(self._kit.pace.per_second(steady()))
        self._kit.metrics.limit.set(self._kit.pace.rate)
        self._kit.metrics.stopped.set(self._kit.control.is_halting(ACCOUNT))
        self._kit.metrics.paused.set(sum(self._kit.control.is_halting(name) for name in self._campaigns()))
        self._kit.metrics.in_flight.set(self._calls.in_flight)
        self._kit.metrics.open.set(sum(len(partition.opened) for partition in ours))
        self._kit.metrics.unreadable.set(sum(partition.unreadable for partition in ours))
        self._kit.metrics.control_age.set(self._kit.control.age())

    def _campaigns(self) -> Iterable[str]:
        return (name for name in self._kit.control.control.campaigns if name != ACCOUNT)

    async def _look_for_progress(self) -> None:
        self._looked_at = steady()
        if min(self._kit.control.age(), steady() - self._began) > PATIENCE:  # the age is infinite at first
            raise StalledError(f"the orders were not known for {PATIENCE:.0f} s")
        cursors = {
            TopicPartition(topic, number): partition.cursors[topic]
            for number, partition in self._claims.partitions.items()
            for topic in JOURNAL
        }
        try:
            seen = await self._kit.lookups.seen(cursors)
        except KafkaError as error:
            _log.warning("the ends of the journal cannot be asked for", error=type(error).__name__)
            self._progress.forget()
            return
        late = behind(cursors, seen.ends)
        for topic in JOURNAL:
            lag = sum(seen.ends[place] - cursor for place, cursor in late.items() if place.topic == topic)
            oldest = max(
                (age for place, age in seen.ages.items() if place.topic == topic), default=None if lag else 0.0
            )
            self._kit.metrics.waits(topic, lag, oldest)
        if stuck := self._progress.look(self._looked_at, cursors, seen.ends):
            raise StalledError(f"the journal was not read for {PATIENCE:.0f} s: {sorted(stuck)}")


def _doubt(partition: Partition, message_id: str, attempt: int) -> Entry:
    message = partition.message(message_id)
    data = SendUnanswered(
        message_id=message_id,
        campaign_id=message.campaign_id,
        recipient_id=message.recipient_id,
        attempt=attempt,
        reason="crash",
    )
    # Found by two senders, or again after a crash: the same event.
    name = event_id(data.TYPE, message_id, str(attempt), "crash")
    return Entry(API_RESPONSES, partition.number, message.recipient_id, name, data)
