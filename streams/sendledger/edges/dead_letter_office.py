"""Reading dead letters and bringing them in again: what `sendledger dead-letters list|show|retry` does.

A letter is named `<topic>:<offset on its .dlq>`. A letter that was brought in stays where it is; a marker behind it,
an empty record with the header `sendledger.retried-offset`, says so. Like everything here it is a fold of a log.
A record that was buried more than once (a fold that folds its log anew meets it again) is one letter: the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from sendledger.config import KafkaSettings
from sendledger.domain.facts import decode_fact
from sendledger.edges import kafka as kafka_edge
from sendledger.edges.dead_letters import EXCEPTION, MESSAGE, OFFSET, PARTITION, PARTITION_OF_DLQ, RECEIVED_AT, TOPIC
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.record import Headers, Record
from sendledger_schemas.envelope import UnknownVersion, UnreadableEvent, decode
from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS, TOPICS, dead_letter_topics, dlq

RETRIED = "sendledger.retried-offset"
_OURS = frozenset({EXCEPTION, MESSAGE, TOPIC, PARTITION, OFFSET, RECEIVED_AT})
_POLL_MS = 500
_AT_ONCE = 500  # letters brought in with one round trip


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it stands on its topic. `source`: the topic that it is about; `at`: when it was written.

    `partition`, `offset`: of the record that could not be used; None for the body of a postback, which was none.
    `copies`: how often it was buried.
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
    copies: int = 1
    key: bytes | None = field(repr=False, default=None)
    value: bytes = field(repr=False, default=b"")
    headers: Headers = field(repr=False, default=())

    @property
    def name(self) -> str:
        """How the CLI calls it."""
        return f"{self.source}:{self.number}"

    @property
    def is_about(self) -> tuple[str, int | None, int]:
        """What it is about: a record by its place, or, for a body, itself."""
        return self.source, self.partition, self.number if self.offset is None else self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters. `names`, `topics`: None = all; `reason`: a part of it; `since`: written then or later."""

    names: Collection[str] | None = None
    topics: Collection[str] | None = None
    reason: str = ""
    since: datetime | None = None
    state: Literal["open", "brought-in", "all"] = "all"

    def takes(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return (
            (self.names is None or letter.name in self.names)
            and (self.topics is None or letter.source in self.topics)
            and self.reason.casefold() in letter.reason.casefold()
            and (self.since is None or letter.at >= self.since)
            and (self.state == "all" or letter.retried == (self.state == "brought-in"))
        )


ALL = Wanted()


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did, by names of letters."""

    brought_in: tuple[str, ...]
    still_unreadable: tuple[str, ...]
    done_before: tuple[str, ...]


async def list_letters(kafka: KafkaSettings, wanted: Wanted = ALL) -> list[Letter]:
    """The wanted letters, by topic, oldest first, without key, value and headers. Errors: KafkaError."""
    letters: dict[tuple[str, int | None, int], Letter] = {}
    about: dict[str, tuple[str, int | None, int]] = {}
    async for letter, marks in _read(kafka, wanted.topics):
        if marks is not None:
            if (place := about.get(f"{letter.source}:{marks}")) is not None:
                letters[place] = replace(letters[place], retried=True)
            continue
        about[letter.name] = letter.is_about
        first = letters.setdefault(letter.is_about, replace(letter, key=None, value=b"", headers=(), copies=0))
        letters[letter.is_about] = replace(first, copies=first.copies + 1)
    if wanted.names is not None:  # also those of copies
        wanted = replace(wanted, names={letters[about[name]].name for name in wanted.names if name in about})
    found = [letter for letter in letters.values() if wanted.takes(letter)]
    return sorted(found, key=lambda letter: (letter.source, letter.number))


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


async def retry_letters(
    kafka: KafkaSettings, records: PostbackRecords, wanted: Wanted = ALL, *, rehearse: bool = False
) -> Retried:
    """Bring in what can be read by now; `rehearse`: only tell what would be. Errors: KafkaError.

    1 the record is written and acknowledged, 2 its marker. A crash in between brings a letter in twice, with the same
    event id and time of arrival: the fold counts it once. The other order could lose it.
    """
    known = await list_letters(kafka, wanted)
    open_names = {letter.name for letter in known if not letter.retried}
    brought, unreadable = list[str](), list[str]()
    producer = kafka_edge.producer(kafka)
    await producer.start()
    try:
        batch: list[tuple[Record, Record]] = []
        async for letter, marks in _read(kafka, {letter.source for letter in known if not letter.retried}):
            if marks is not None or letter.name not in open_names:
                continue
            record = readable(letter, records)
            (unreadable if record is None else brought).append(letter.name)
            if record is not None and not rehearse:
                batch.append((record, _marker(letter)))
            if len(batch) == _AT_ONCE:
                await _bring_in(producer, batch)
                batch = []
        await _bring_in(producer, batch)
    finally:
        await producer.stop()
    before = tuple(letter.name for letter in known if letter.retried)
    return Retried(tuple(brought), tuple(unreadable), before)


def readable(letter: Letter, records: PostbackRecords) -> Record | None:
    """The record that the letter makes with the decoders of today; None if it would be a dead letter again."""
    told = dict(letter.headers)
    if letter.partition is None:
        if letter.source != POSTBACKS:
            return None
        received = told.get(RECEIVED_AT)
        kept = records.keep(letter.value, datetime.fromisoformat(received.decode()) if received else letter.at)
        return kept.record if kept.reason is None else None
    try:
        data = decode(letter.value).data
        # The fold holds its sources to more: what it reads is bounded, and the key is the recipient (DECISIONS 18).
        if letter.source in FOLD_SOURCES and decode_fact(letter.value).data.recipient_id.encode() != letter.key:
            return None
    except (UnreadableEvent, UnknownVersion):
        return None
    if not isinstance(data, TOPICS[letter.source].events):
        return None
    headers = tuple((name, value) for name, value in letter.headers if name not in _OURS)
    return Record(letter.source, letter.partition, letter.key, letter.value, headers)


async def _read(kafka: KafkaSettings, sources: Collection[str] | None) -> AsyncIterator[tuple[Letter, int | None]]:
    """Each record of the dead-letter topics up to their ends of now; with a marker, the number that it marks."""
    names = {topic.name for topic in dead_letter_topics()}
    wanted = names if sources is None else names & {dlq(source) for source in sources}
    if not wanted:
        return
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


async def _bring_in(producer: AIOKafkaProducer, batch: Sequence[tuple[Record, Record]]) -> None:
    await _send(producer, [record for record, _ in batch])
    await _send(producer, [marker for _, marker in batch])


async def _send(producer: AIOKafkaProducer, records: Sequence[Record]) -> None:
    """All of them, acknowledged. Errors: KafkaError."""
    acknowledgements = [
        await producer.send(
            record.topic, key=record.key, value=record.value, partition=record.partition, headers=list(record.headers)
        )
        for record in records
    ]
    for acknowledgement in acknowledgements:
        await acknowledgement
