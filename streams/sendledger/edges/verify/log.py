"""Reads topics from their beginning to the ends that they have now: without a group, so that nobody is disturbed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sendledger.domain.facts import decode_fact
from sendledger.domain.message import Offsets
from sendledger.domain.plain import Seen
from sendledger.edges.log_scan import Records, fetches
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS

_PATIENCE = 60.0


class LogCutError(Exception):
    """Retention deleted records of the log while it was read: run again."""


class StandstillError(Exception):
    """Kafka gives no more records although it has some."""


@dataclass(frozen=True)
class Range:
    """What the source topics of one partition hold, in the order of `FOLD_SOURCES`: first offsets, and ends."""

    firsts: Offsets
    ends: Offsets

    @property
    def records(self) -> int:
        """How many, at most."""
        return sum(self.ends) - sum(self.firsts)


def sources(partition: int) -> list[Any]:
    """The source topics of one partition."""
    return [TopicPartition(topic, partition) for topic in FOLD_SOURCES]


async def ranges(reader: AIOKafkaConsumer, partition: int) -> Range:
    """What there is of one partition."""
    places = sources(partition)
    firsts, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    return Range(_five(firsts, places), _five(ends, places))


def _five(offsets: Mapping[Any, int], places: Sequence[Any]) -> Offsets:
    return tuple(offsets[place] for place in places)  # type: ignore[return-value]  # five, as there are topics


def assign_all(reader: AIOKafkaConsumer, places: Sequence[Any]) -> None:
    """Assign everything that will be read, once and paused.

    Assigned anew for each reading, aiokafka 0.14 can hang for ever when it is stopped soon after: its fetcher takes
    the cancellation of the stop for that of the fetch that it is just giving up (tried).
    """
    reader.assign(places)
    reader.pause(*places)


async def read_to(
    reader: AIOKafkaConsumer, ends: Mapping[Any, int], starts: Mapping[Any, int] | None = None
) -> AsyncIterator[Records]:
    """The records of several assigned partitions up to `ends`, each in its order, from their beginnings or `starts`.

    Errors: StandstillError.
    """
    places = list(ends)
    reader.resume(*places)
    if starts is None:
        await reader.seek_to_beginning(*places)
    else:
        for place, offset in starts.items():
            reader.seek(place, offset)
    moved = time.monotonic()
    async for fetched in fetches(reader, ends):
        for records in fetched:
            moved = time.monotonic()
            yield records
        if time.monotonic() - moved > _PATIENCE:
            behind = [place.topic for place in places if await reader.position(place) < ends[place]]
            raise StandstillError(f"no records of {', '.join(sorted(set(behind)))} for {_PATIENCE:.0f} s")
    reader.pause(*places)


async def facts(
    reader: AIOKafkaConsumer, partition: int, span: Range, oldest: dict[str, int] | None = None
) -> AsyncIterator[list[Seen]]:
    """The facts of one partition up to the ends of `span`. `oldest`: is told the first record's time (ms) by topic.

    What is no event, or stands on a topic or under a key that is not its own, is left out: it is a dead letter.
    Errors: UnknownVersion (this program is older than its log), LogCutError.
    """
    ends = dict(zip(sources(partition), span.ends, strict=True))
    async for records in read_to(reader, ends):
        if oldest is not None and records:
            oldest.setdefault(records[0].topic, records[0].timestamp)
        yield [one for one in map(seen_of, records) if one is not None]
    if (await ranges(reader, partition)).firsts != span.firsts:
        raise LogCutError("retention deleted a part of the log while it was read: run verify again")


_OF_TOPIC: dict[str, Collection[str]] = {t: {event.TYPE for event in TOPICS[t].events} for t in FOLD_SOURCES}


def seen_of(record: ConsumerRecord[Any, Any]) -> Seen | None:
    """The fact of a record of the fold's sources; None for what the dead letters have. Errors: UnknownVersion."""
    try:
        fact = decode_fact(record.value or b"")
    except UnreadableEvent:
        return None
    if fact.__struct_config__.tag not in _OF_TOPIC[record.topic] or record.key != fact.data.recipient_id.encode():
        return None
    return Seen(FOLD_SOURCES.index(record.topic), record.offset, record.timestamp, fact)
