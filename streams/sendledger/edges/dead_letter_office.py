"""Reading dead letters and bringing them in again: what `sendledger dead-letters list|show|retry` does.

A letter is named `<topic>:<offset on its .dlq>`. A letter that was brought in stays where it is; a marker behind it,
an empty record with the header `sendledger.retried-offset`, says so. Like everything here it is a fold of a log.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from sendledger.config import KafkaSettings
from sendledger.edges import kafka as kafka_edge
from sendledger.edges.dead_letters import EXCEPTION, MESSAGE, OFFSET, PARTITION, PARTITION_OF_DLQ, RECEIVED_AT, TOPIC
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.record import Headers, Record
from sendledger_schemas.envelope import UnknownVersion, UnreadableEvent, decode
from sendledger_schemas.topics import POSTBACKS, TOPICS, dead_letter_topics, dlq

RETRIED = "sendledger.retried-offset"
_OURS = frozenset({EXCEPTION, MESSAGE, TOPIC, PARTITION, OFFSET, RECEIVED_AT})
_POLL_MS = 500
# Digits with whatever may stand between the digits of a telephone number; UTF-16 puts a NUL between them.
_NUMBER = re.compile(r"\d(?:[\s().\-\x00]{0,3}\d){4,}")
_SHOWN_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it stands on its topic. `source`: the topic that it is about; `at`: when it was written.

    `partition`, `offset`: of the record that could not be used; None for the body of a postback, which was none.
    """

    source: str
    number: int
    at: datetime
    error: str
    reason: str
    partition: int | None
    offset: int | None
    size: int
    retried: bool = False
    key: bytes | None = field(repr=False, default=None)
    value: bytes = field(repr=False, default=b"")
    headers: Headers = field(repr=False, default=())

    @property
    def name(self) -> str:
        """How the CLI calls it."""
        return f"{self.source}:{self.number}"


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did, by names of letters."""

    brought_in: tuple[str, ...]
    still_unreadable: tuple[str, ...]
    done_before: tuple[str, ...]


async def list_letters(kafka: KafkaSettings, *, sources: Collection[str] | None = None) -> list[Letter]:
    """All letters, oldest first within a topic, without key, value and headers. Errors: KafkaError.

    `sources`: topics whose dead letters are wanted; None = all.
    """
    letters: dict[str, Letter] = {}
    async for letter, marks in _read(kafka, sources):
        if marks is None:
            letters[letter.name] = replace(letter, key=None, value=b"", headers=())
        elif (marked := f"{letter.source}:{marks}") in letters:
            letters[marked] = replace(letters[marked], retried=True)
    return list(letters.values())


async def show_letter(kafka: KafkaSettings, name: str) -> Letter | None:
    """One letter, whole; None if there is none of that name. Errors: KafkaError."""
    source = name.rpartition(":")[0]
    found: Letter | None = None
    async for letter, marks in _read(kafka, [source]):
        if marks is None and letter.name == name:
            found = letter
        elif found is not None and marks == found.number:
            found = replace(found, retried=True)
    return found


async def retry_letters(kafka: KafkaSettings, records: PostbackRecords, names: Collection[str] | None) -> Retried:
    """Bring in what can be read by now; `names`: None = all that were not brought in yet. Errors: KafkaError.

    A crash in the middle may bring a letter in twice, with the same event id: the fold counts it once.
    """
    known = await list_letters(kafka)
    wanted = [letter for letter in known if names is None or letter.name in names]
    brought, unreadable = list[str](), list[str]()
    open_names = {letter.name for letter in wanted if not letter.retried}
    producer = kafka_edge.producer(kafka)
    await producer.start()
    try:
        async for letter, marks in _read(kafka, {letter.source for letter in wanted}):
            if marks is not None or letter.name not in open_names:
                continue
            record = readable(letter, records)
            if record is None:
                unreadable.append(letter.name)
                continue
            await _send(producer, record)
            await _send(producer, _marker(letter))
            brought.append(letter.name)
    finally:
        await producer.stop()
    before = tuple(letter.name for letter in wanted if letter.retried)
    return Retried(tuple(brought), tuple(unreadable), before)


def readable(letter: Letter, records: PostbackRecords) -> Record | None:
    """The record that the letter makes with the decoders of today; None if it is still unreadable."""
    told = dict(letter.headers)
    if letter.partition is None:
        if letter.source != POSTBACKS:
            return None
        received = told.get(RECEIVED_AT)
        kept = records.keep(letter.value, datetime.fromisoformat(received.decode()) if received else letter.at)
        return kept.record if kept.reason is None else None
    try:
        data = decode(letter.value).data
    except (UnreadableEvent, UnknownVersion):
        return None
    if not isinstance(data, TOPICS[letter.source].events):  # it would be a dead letter again
        return None
    headers = tuple((name, value) for name, value in letter.headers if name not in _OURS)
    return Record(letter.source, letter.partition, letter.key, letter.value, headers)


def masked(value: bytes) -> str:
    """The letter's text with every number cut down to its last three digits.

    What is not plain UTF-8 text is not shown at all: no mask could be sure to find the digits in it.
    """
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(value)} bytes that are not UTF-8 text)"
    if not all(char.isprintable() or char in "\t\r\n" for char in text):
        return f"({len(value)} bytes with control characters)"
    return _NUMBER.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    digits = [char for char in match.group() if char.isdigit()]
    return "*" * (len(digits) - _SHOWN_DIGITS) + "".join(digits[-_SHOWN_DIGITS:])


async def _read(kafka: KafkaSettings, sources: Collection[str] | None) -> AsyncIterator[tuple[Letter, int | None]]:
    """Each record of the dead-letter topics up to their ends of now; with a marker, the number that it marks."""
    names = {topic.name for topic in dead_letter_topics()}
    wanted = names if sources is None else names & {dlq(source) for source in sources}
    consumer = kafka_edge.consumer(kafka, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, PARTITION_OF_DLQ) for topic in sorted(wanted & await consumer.topics())]
        if not places:
            return
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, batch in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                for record in batch:
                    if record.offset < ends[place]:
                        yield _letter(record)
    finally:
        await consumer.stop()


def _letter(record: ConsumerRecord) -> tuple[Letter, int | None]:
    told = dict(record.headers)
    source = told.get(TOPIC, b"").decode("utf-8", "replace")
    if source not in TOPICS:
        source = record.topic.removesuffix(dlq(""))
    marks = told.get(RETRIED)
    letter = Letter(
        source=source,
        number=record.offset,
        at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        error=told.get(EXCEPTION, b"").decode("utf-8", "replace"),
        reason=told.get(MESSAGE, b"").decode("utf-8", "replace"),
        partition=_number(told.get(PARTITION)),
        offset=_number(told.get(OFFSET)),
        size=len(record.value or b""),
        key=record.key,
        value=record.value or b"",
        headers=tuple(record.headers),
    )
    return letter, _number(marks)


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() else None


def _marker(letter: Letter) -> Record:
    headers = ((RETRIED, str(letter.number).encode()), (TOPIC, letter.source.encode()))
    return Record(dlq(letter.source), PARTITION_OF_DLQ, None, b"", headers)


async def _send(producer: AIOKafkaProducer, record: Record) -> None:
    await producer.send_and_wait(
        record.topic, key=record.key, value=record.value, partition=record.partition, headers=list(record.headers)
    )
