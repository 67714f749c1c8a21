"""Before an operator's `resend`: whether a postback has settled the doubt meanwhile (DESIGN §4 adoption, §6).

All facts about the recipient are read from the log and folded the plain way (`domain/plain.py`): exact, and slow on a
long log. A decision made by a person may be slow; thousands of them are looked at together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_partition import Partition
from sendledger.domain.facts import Fact, decode_fact
from sendledger.domain.message import Message
from sendledger.domain.plain import Seen, account
from sendledger.domain.settled import bucket
from sendledger.edges.clocks import steady
from sendledger.edges.kafka import consumer
from sendledger.edges.log_scan import scan
from sendledger.edges.sender_store import Waiting
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES

AT_ONCE = 1_000
"""Messages whose evidence is in memory together."""
GO_WITHIN = 5.0
"""Seconds in which as many can go as are looked at together: evidence is looked at shortly before the call."""

_SLOWEST = 0.1
Read = tuple[int, int, Fact]

_log = structlog.get_logger()


class Resends:
    """Lets resends go that no evidence speaks against: one reading of a partition for many that wait for it there."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._waiting: dict[Partition, list[tuple[Message, Waiting]]] = {}
        self._looks = False

    def add(self, partition: Partition, resends: Sequence[tuple[Message, Waiting]], group: asyncio.TaskGroup) -> None:
        """What the operator ordered goes back into the partition's queue, or is void. Errors, to the group: Kafka's."""
        if not resends:
            return
        self._waiting.setdefault(partition, []).extend(resends)
        if not self._looks:
            self._looks = True
            group.create_task(self._look())

    async def _look(self) -> None:
        async with consumer(self._kit.settings.kafka) as reader:
            while self._waiting:
                partition, some = self._next()
                if partition.closing:
                    continue
                reads = await facts_about(reader, partition.number, {message.recipient_id for message, _ in some})
                # No quicker than they go out, or the evidence is old by then.
                await asyncio.sleep(self._judge(partition, some, reads) / self._per_second())
            self._looks = False

    def _next(self) -> tuple[Partition, list[tuple[Message, Waiting]]]:
        """The partition whose turn it is, and as many of its resends as go out soon; the rest is behind the others."""
        partition = next(iter(self._waiting))
        waiting = self._waiting.pop(partition)
        most = max(1, min(AT_ONCE, int(self._per_second() * GO_WITHIN)))
        if rest := waiting[most:]:
            self._waiting[partition] = rest
        return partition, waiting[:most]

    def _per_second(self) -> float:
        return max(_SLOWEST, self._kit.pace.per_second(steady()))

    def _judge(
        self, partition: Partition, some: Sequence[tuple[Message, Waiting]], reads: Mapping[str, Sequence[Read]]
    ) -> int:
        """An operator's word counts as long as no evidence says that the message is out. How many may go."""
        go = 0
        for message, waiting in reversed(some):  # each goes to the front of its lane, the first one last
            if not may_resend(message, reads[message.recipient_id]):
                _log.warning("not sent again: a postback has settled it meanwhile", message=message.message_id)
            elif not partition.closing:
                partition.queue.cleared(message, waiting)
                go += 1
        self._kit.wake.set()
        return go


def may_resend(message: Message, reads: Sequence[Read]) -> bool:
    """Whether the message is queued by all facts about its recipient: (source topic, offset, fact), in any order."""
    facts = account(Seen(topic, offset, 0, fact) for topic, offset, fact in reads).messages.get(message.message_id)
    return facts is not None and bucket(facts) == "queued"


async def facts_about(reader: AIOKafkaConsumer, partition: int, recipients: Collection[str]) -> dict[str, list[Read]]:
    """All facts about these, by recipient. The consumer is the caller's, started, and used for nothing else."""
    places = [TopicPartition(topic, partition) for topic in FOLD_SOURCES]
    reader.assign(places)
    ends = await reader.end_offsets(places)
    await reader.seek_to_beginning(*places)
    reads: dict[bytes, list[Read]] = {recipient.encode(): [] for recipient in recipients}

    def take(record: Any) -> None:
        if (mine := reads.get(record.key)) is not None and (fact := _fact(record.value)) is not None:
            mine.append((FOLD_SOURCES.index(record.topic), record.offset, fact))

    await scan(reader, ends, take)
    return {key.decode(): mine for key, mine in reads.items()}


def _fact(raw: bytes | None) -> Fact | None:
    try:
        return decode_fact(raw or b"")
    except UnreadableEvent:
        return None
