"""Records that nobody can read, on every topic of fold and merge: set aside, and nothing stops or is miscounted."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator

from prometheus_client import generate_latest

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.edges.dead_letters import EXCEPTION, MESSAGE, OFFSET, PARTITION, TOPIC
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import Outgoing
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES, dlq
from tests.support.chaos import Scale
from tests.support.chaos_load import Load
from tests.support.exactness import exact
from tests.support.folding import read, role, write
from tests.support.kafka import eventually

SCALE = Scale()
CANARY = b"15551234888"
HUGE = 3_900_000  # bytes that no compression makes fewer: just below what a topic takes


def altered(event: bytes, **over: object) -> bytes:
    """An event with other values in its envelope, or with `data_…` in its data."""
    fields = json.loads(event)
    for name, value in over.items():
        (fields["data"] if name.startswith("data_") else fields)[name.removeprefix("data_")] = value
    return json.dumps(fields).encode()


def unreadable(event: bytes, other: bytes, chance: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """What may stand on a topic and is none of its events. `event`: one of its own; `other`: one of another topic."""
    yield "bytes", b"\xff\xfe\x00" + CANARY
    yield "nothing", b""
    yield "null", None
    yield "half an event", event[: len(event) // 2]
    yield "a list", b"[]"
    yield "brackets", b"[" * 100_000
    yield "nested data", altered(event, type="sendledger.x.v1")[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    yield "unknown type", altered(event, type="sendledger.weather-changed.v1")
    yield "no version", altered(event, type="sendledger.send-requested")
    yield "another topic's", other
    yield "no time", altered(event, time="yesterday")
    yield "a time of no zone", altered(event, time="2026-03-01T12:00:00")
    yield "a time beyond the calendar", altered(event, time="9999-12-31T23:59:59-23:59", data_recipient_id=7)
    yield "no recipient", altered(event, data_recipient_id=None)
    yield "a name too long", altered(event, data_recipient_id="r" * 3_000_000)
    if b'"attempt"' in event:
        yield "a number too large", altered(event, data_attempt=10**30)
    yield "huge", chance.randbytes(HUGE)


def poison(good: list[Outgoing], chance: random.Random) -> Iterator[tuple[str, Outgoing]]:
    """(kind, record) for each of the fold's topics: unreadable values, and good ones under a wrong key."""
    of = {topic: next(record for record in good if record.topic == topic) for topic in FOLD_SOURCES}
    numbers = itertools.count()
    for topic, neighbour in zip(FOLD_SOURCES, (*FOLD_SOURCES[1:], FOLD_SOURCES[0]), strict=True):
        mine = of[topic]
        for kind, value in unreadable(mine.value, of[neighbour].value, chance):
            key = b"key-%d" % next(numbers)
            yield kind, Outgoing(topic, next(numbers) % 8, key, value)  # type: ignore[arg-type]  # None is the null
        yield "a wrong key", mine._replace(key=b"key-%d" % next(numbers))


async def put(settings: Settings, records: list[Outgoing]) -> None:
    """One by one, for `publish` takes no nulls."""
    async with producer(settings.kafka) as out:
        for record in records:
            await out.send_and_wait(record.topic, record.value, record.key, record.partition)


async def test_what_cannot_be_read_is_set_aside(shared_kafka: Settings) -> None:
    """Each one becomes a dead letter, untouched, with its place and a reason that does not quote it."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    chance, load = random.Random(SCALE.seed), Load(SCALE.seed, shared_kafka.partitions)
    good = load.portion(2_000)
    bad = list(poison(good, chance))
    await write(shared_kafka, good[:700])
    await put(shared_kafka, [record for _, record in bad])
    await write(shared_kafka, good[700:])
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
        await exact(shared_kafka)
        await write(shared_kafka, load.rest())
        await exact(shared_kafka)
    for topic in FOLD_SOURCES:
        letters = {letter.key: letter for letter in await read(shared_kafka, dlq(topic))}
        wanted = {record.key: (kind, record) for kind, record in bad if record.topic == topic}
        assert letters.keys() == wanted.keys()
        for key, letter in letters.items():
            kind, record = wanted[key]
            headers = dict(letter.headers)
            assert letter.value == (record.value or b""), kind
            assert (headers[TOPIC], headers[PARTITION]) == (topic.encode(), str(record.partition).encode()), kind
            assert headers[OFFSET].isdigit(), kind
            assert headers[EXCEPTION] == b"UnreadableEvent", kind
            assert 0 < len(headers[MESSAGE]) < 200, kind
            assert CANARY not in headers[MESSAGE], kind


async def test_what_no_merge_can_read_is_passed_over(shared_kafka: Settings) -> None:
    """Partials and states that are none, or cannot be added up, leave the numbers of all campaigns as they are."""
    load = Load(SCALE.seed, shared_kafka.partitions)
    await write(shared_kafka, load.portion(1_000))
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka) as life:
        await exact(shared_kafka)
        (last, *_) = [record for record in await read(shared_kafka, CAMPAIGN_PARTIALS) if b"spring" in record.key]
        values = [
            b"\xff\xfe",
            b"",
            b"null",
            b"[]",
            b"[" * 100_000,
            random.Random(SCALE.seed).randbytes(HUGE),
            altered(b'{"data":{}}', data_x=1),
            *(altered(last.value, slot=9, version=10**9, counters=x) for x in ("none", [1], {"a": "b"}, {"a": 10**30})),
            altered(last.value, version=10**40),
            altered(last.value, to={FOLD_SOURCES[0]: 10**40}),
        ]
        bad = [
            Outgoing(topic, last.partition, b"unreadable-%d" % number, value)
            for topic in (CAMPAIGN_PARTIALS, CAMPAIGN_STATE)
            for number, value in enumerate(values[:7] if topic == CAMPAIGN_STATE else values)
        ]
        nulls = [record._replace(value=None) for record in bad[:1] + bad[-1:]]  # type: ignore[arg-type]
        await put(shared_kafka, [*bad, *nulls])
        await write(shared_kafka, load.rest())
        await exact(shared_kafka)

        def counted() -> bool:
            told = generate_latest(life.registry).decode()
            return f"sendledger_merge_unreadable_total {float(len(bad) + 2)}" in told

        await eventually(counted, what="all of them are counted")
    async with role(merge.serve, shared_kafka):
        await exact(shared_kafka)
