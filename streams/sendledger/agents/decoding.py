"""Records of the fold's source topics → facts, and letters for what is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from aiokafka import ConsumerRecord

from sendledger.domain.facts import Fact, decode_fact
from sendledger.edges.dead_letters import DeadLetter
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS

Read = list[tuple[int, int, Fact]]
"""(source topic, offset, fact): what `PartitionFold.fold` takes."""

_FACTS: dict[str, type[Fact]] = {str(fact.__struct_config__.tag): fact for fact in get_args(Fact)}
_EXPECTED = {topic: frozenset(_FACTS[model.TYPE] for model in TOPICS[topic].events) for topic in FOLD_SOURCES}


def belongs(fact: Fact, topic: str) -> bool:
    """Whether such events stand on this topic: elsewhere its offset would be taken for one of its own topic."""
    return type(fact) in _EXPECTED[topic]


def decode(records: Mapping[str, Sequence[ConsumerRecord]]) -> tuple[Read, list[DeadLetter]]:
    """Facts in the order of each topic, and dead letters. Errors: UnknownVersion (the worker is older than its log)."""
    facts: Read = []
    letters: list[DeadLetter] = []
    for number, topic in enumerate(FOLD_SOURCES):
        for record in records.get(topic, ()):
            try:
                fact = decode_fact(record.value or b"")
            except UnreadableEvent as error:
                letters.append(_letter(record, error))
                continue
            if belongs(fact, topic):
                facts.append((number, record.offset, fact))
            else:
                name = fact.__struct_config__.tag
                letters.append(_letter(record, UnreadableEvent(f"{name} does not belong on this topic")))
    return facts, letters


def _letter(record: ConsumerRecord, error: Exception) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        error=type(error).__name__,
        reason=str(error),
        key=record.key,
        value=record.value or b"",
        headers=tuple(record.headers or ()),
        partition=record.partition,
        offset=record.offset,
    )
