"""Records of the fold's source topics → facts, and letters for what is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from sendledger.agents.fetched import Bare, Packed
from sendledger.domain.facts import Fact, decode_fact
from sendledger.edges.dead_letters import DeadLetter
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS

_FACTS: dict[str, type[Fact]] = {str(fact.__struct_config__.tag): fact for fact in get_args(Fact)}
_EXPECTED = {topic: frozenset(_FACTS[model.TYPE] for model in TOPICS[topic].events) for topic in FOLD_SOURCES}
_encode = msgspec.json.Encoder().encode


def belongs(fact: Fact, topic: str) -> bool:
    """Whether such events stand on this topic: elsewhere its offset would be taken for one of its own topic."""
    return type(fact) in _EXPECTED[topic]


def is_keyed(fact: Fact, key: bytes | None) -> bool:
    """Whether a record's key is its recipient: the key decides the partition, and all its facts must meet in one."""
    return key == fact.data.recipient_id.encode()


class Judge:
    """Judges what the fold's library finds out of the ordinary in one batch (`fold_core.Judge`).

    `letters`: what is no event that it could fold. Errors: UnknownVersion (the worker is older than its log).
    """

    def __init__(self, records: Mapping[str, Sequence[Packed]], partition: int) -> None:
        self._records, self._partition = records, partition
        self._unpacked: dict[tuple[int, int], dict[int, Bare]] = {}
        self.letters: list[DeadLetter] = []

    def __call__(self, number: int, offset: int) -> bytes | None:
        """The event in its usual form; None for what became a letter."""
        topic = FOLD_SOURCES[number]
        record = self._record(topic, number, offset)
        try:
            return _encode(readable(record, topic))
        except UnreadableEvent as error:
            self.letters.append(_letter(topic, self._partition, record, error))
            return None

    def _record(self, topic: str, number: int, offset: int) -> Bare:
        batch = next(batch for batch in self._records[topic] if batch.first <= offset <= batch.offset)
        place = number, batch.base
        if place not in self._unpacked:
            self._unpacked[place] = {record.offset: record for record in batch.unpacked()}
        return self._unpacked[place][offset]


def readable(record: Bare, topic: str) -> Fact:
    """The fact. Errors: UnreadableEvent for a dead letter, UnknownVersion."""
    fact = decode_fact(record.value or b"")
    if not belongs(fact, topic):
        raise UnreadableEvent(f"{fact.__struct_config__.tag} does not belong on this topic")
    if not is_keyed(fact, record.key):
        raise UnreadableEvent("its key is not its recipient_id")
    return fact


def _letter(topic: str, partition: int, record: Bare, error: Exception) -> DeadLetter:
    return DeadLetter(
        topic=topic,
        error=type(error).__name__,
        reason=str(error),
        key=record.key,
        value=record.value or b"",
        headers=tuple(record.headers or ()),
        partition=partition,
        offset=record.offset,
    )
