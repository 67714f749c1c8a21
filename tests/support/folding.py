"""A log on a real broker, what folding it in memory says, and what stands on the topics that fold and merge write."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from sendledger.config import Settings
from sendledger.domain.facts import decode_fact
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from sendledger.edges.kafka import consumer, producer
from sendledger.edges.publisher import Outgoing, publish
from sendledger.life import Life
from sendledger_schemas import envelope, ids
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, FOLD_SOURCES, TOPICS
from tests.support import story
from tests.support.kafka import eventually
from tests.support.native import PartitionFold

Records = list[ConsumerRecord[Any, Any]]
Numbers = dict[tuple[str, int, str | None], tuple[dict[str, int], int]]
"""(campaign, partition, day) → counters and version."""


def lives(messages: int, seed: int = 1, campaigns: int = 3) -> list[tuple[Data, float]]:
    """Events of many messages, each with a likely life, in a random order."""
    chance = random.Random(seed)
    events: list[tuple[Data, float]] = []
    for number in range(messages):
        recipient = ids.recipient_id(b"test-pepper", str(15550000000 + number * 3 // 4))
        who = (f"m{number}", recipient, f"c{number % campaigns}")
        when = number / 100
        events.append((story.requested(*who, to=f"1555{number:07d}"), when))
        if chance.random() < 0.05:
            continue
        events.append((story.started(*who), when + 1))
        end = chance.random()
        if end < 0.1:
            events.append((story.unanswered(*who), when + 2))
        elif end < 0.15:
            events.append((story.rejected(*who), when + 2))
        else:
            events.append((story.accepted(f"T{number}", *who), when + 2))
        if end < 0.05 or end > 0.2:
            events.append((story.postback("sent", f"T{number}", recipient, when + 3), when + 3))
        if end > 0.4:
            claim = chance.choice(("delivered", "undelivered"))
            detail = "failed" if claim == "undelivered" else None
            events.append((story.postback(claim, f"T{number}", recipient, when + 4, detail=detail), when + 4))  # type: ignore[arg-type]
        if chance.random() < 0.05:
            events.append(events[-1])
    chance.shuffle(events)
    return events


def outgoing(events: Iterable[tuple[Data, float]], partitions: int) -> list[Outgoing]:
    """Events as records; an event's id is a function of what it says."""
    made = []
    for data, when in events:
        topic = FOLD_SOURCES[story.TOPIC_OF[type(data)]]
        recipient: str = data.recipient_id  # type: ignore[union-attr]  # all events of the fold's sources have one
        name = ids.event_id(data.TYPE, data.model_dump_json())
        happened = envelope.event(data, id=name, source="test", time=story.START + timedelta(seconds=when))
        place = ids.partition_of(recipient, partitions)
        made.append(Outgoing(topic, place, recipient.encode(), envelope.encode(happened)))
    return made


async def write(settings: Settings, records: Iterable[Outgoing]) -> None:
    """Put records on the log."""
    async with producer(settings.kafka) as out:
        await publish(out, records)


async def read(settings: Settings, *topics: str) -> Records:
    """All records of these topics, up to their ends as they are now."""
    places = [TopicPartition(t, p) for t in topics for p in range(settings.partitions if _keyed(t) else 1)]
    found: Records = []
    async with consumer(settings.kafka) as reader:
        reader.assign(places)
        ends = await reader.end_offsets(places)
        await reader.seek_to_beginning(*places)
        for place in places:
            while await reader.position(place) < ends[place]:
                for records in (await reader.getmany(place, timeout_ms=1000)).values():
                    found += records
    return found


def _keyed(topic: str) -> bool:
    return topic in TOPICS and TOPICS[topic].keyed


def folded(log: Records, partitions: int) -> tuple[Numbers, dict[str, dict[str, Any]]]:
    """What folding the log in memory says: partials, and message states by message id."""
    numbers: Numbers = {}
    states: dict[str, dict[str, Any]] = {}
    for partition in range(partitions):
        fold = PartitionFold(lambda keys: [None for _ in keys], Origin(partition, 0, NOTHING_READ, {}))
        changes = fold.fold(
            [
                (FOLD_SOURCES.index(record.topic), record.offset, decode_fact(record.value))
                for record in log
                if record.partition == partition and _belongs(record)
            ]
        )
        for partial in changes.partials:
            numbers.update(_numbers(json.loads(partial.value)))
        for state in changes.messages:
            states[state.key] = json.loads(state.value)
    return numbers, states


def _belongs(record: ConsumerRecord[Any, Any]) -> bool:
    try:
        return isinstance(envelope.decode(record.value).data, TOPICS[record.topic].events)
    except UnreadableEvent:
        return False


def _numbers(partial: Mapping[str, Any]) -> Numbers:
    place = partial["campaign_id"], partial["partition"], partial["day"]
    return {place: (partial["counters"], partial["version"])}


def greatest(partials: Records) -> Numbers:
    """Of each campaign, partition and day the partial with the greatest version over all slots."""
    numbers: Numbers = {}
    for record in partials:
        for place, (counters, version) in _numbers(json.loads(record.value)).items():
            if place not in numbers or version >= numbers[place][1]:
                numbers[place] = counters, version
    return numbers


def totals(numbers: Numbers) -> dict[str, dict[str, int]]:
    """Main counters by campaign, over all partitions."""
    result: dict[str, dict[str, int]] = {}
    for (campaign, _, day), (counters, _version) in numbers.items():
        if day is None:
            into = result.setdefault(campaign, {})
            for name, count in counters.items():
                into[name] = into.get(name, 0) + count
    return result


async def agrees(settings: Settings, timeout: float = 60.0) -> Numbers:
    """Wait until the published partials are exactly those of the log as it is now; returns them."""
    wanted, _ = folded(await read(settings, *FOLD_SOURCES), settings.partitions)

    async def equal() -> bool:
        return greatest(await read(settings, CAMPAIGN_PARTIALS)) == wanted

    await eventually(equal, timeout, "the published partials are those of the log")
    return wanted


@asynccontextmanager
async def role(serve: Callable[[Settings, Life], Any], settings: Settings) -> AsyncIterator[Life]:
    """A role in this process, ready; stopped at the end. What ends it early is raised."""
    life = Life()
    running = asyncio.create_task(serve(settings, life))
    await asyncio.wait({running, asyncio.ensure_future(life.ready.wait())}, return_when="FIRST_COMPLETED", timeout=30)
    if running.done():
        running.result()
    try:
        yield life
    finally:
        life.stop.set()
        await running
