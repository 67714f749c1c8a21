"""Records of the fold's source topics → facts, and letters for what is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from sendledger.agents.fetched import Bare
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


def is_keyed(fact: Fact, key: bytes | None) -> bool:
    """Whether a record's key is its recipient: the key decides the partition, and all its facts must meet in one."""
    return key == fact.data.recipient_id.encode()


def decode(records: Mapping[str, Sequence[Bare]], partition: int) -> tuple[Read, list[DeadLetter]]:
    """Facts in the order of each topic, and dead letters. Errors: UnknownVersion (the worker is older than its log)."""
    facts: Read = []
    letters: list[DeadLetter] = []
    for number, topic in enumerate(FOLD_SOURCES):
        expected = _EXPECTED[topic]
        for record in records.get(topic, ()):
            try:
                fact = decode_fact(record.value or b"")
            except UnreadableEvent as error:
                letters.append(_letter(topic, partition, record, error))
                continue
            if type(fact) not in expected:
                name = fact.__struct_config__.tag
                wrong = UnreadableEvent(f"{name} does not belong on this topic")
                letters.append(_letter(topic, partition, record, wrong))
            elif not is_keyed(fact, record.key):
                letters.append(_letter(topic, partition, record, UnreadableEvent("its key is not its recipient_id")))
            else:
                facts.append((number, record.offset, fact))
    return facts, letters


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
