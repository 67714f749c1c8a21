"""The parts of the fold's shell that need no broker: decoding, co-location, who stands still, what is kept."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from sendledger.agents.alignment import NotColocatedError, colocated
from sendledger.agents.decoding import decode
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.agents.watchdog import Progress, lag
from sendledger.domain.fold import PartitionFold, Publication
from sendledger_schemas.envelope import UnknownVersion
from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.story import ORIGIN, Log, Read
from tests.unit.fold.test_properties import a_log

TP = TopicPartition("t", 3)


def at(topic: str, offset: int, value: bytes | None) -> ConsumerRecord[Any, Any]:
    """A record as the driver hands it on."""
    return ConsumerRecord(topic, 3, offset, 0, 1, b"r1", value, None, 3, len(value or b""), (("h", b"1"),))


def test_decoding_keeps_topics_apart() -> None:
    """Facts carry the number of their topic and their offset, in the order of each topic."""
    log = Log()
    log.add(story.requested())
    log.add(story.started())
    log.add(story.requested("m2"))
    raw = {topic: log.topics[number] for number, topic in enumerate(FOLD_SOURCES)}
    records = {topic: [at(topic, 7 + n, value) for n, value in enumerate(raw[topic])] for topic in raw}
    facts, letters = decode(records, 3)
    assert [(number, offset, fact.data.recipient_id) for number, offset, fact in facts] == [
        (0, 7, "r1"),
        (0, 8, "r1"),
        (1, 7, "r1"),
    ]
    assert letters == []


@pytest.mark.parametrize("value", [b"", None, b"{", b"[]", b'{"type":"x"}', b"\xff", b'{"type":"sendledger.x.v1"}'])
def test_what_is_no_event_is_a_letter(value: bytes | None) -> None:
    """Bytes that nobody can read keep their place, key and headers, and the reason does not quote them."""
    facts, (letter,) = decode({POSTBACKS: [at(POSTBACKS, 5, value)]}, 3)
    assert facts == []
    assert (letter.topic, letter.partition, letter.offset, letter.key) == (POSTBACKS, 3, 5, b"r1")
    assert (letter.value, letter.headers) == (value or b"", (("h", b"1"),))


def test_an_event_on_the_wrong_topic_is_a_letter() -> None:
    """Its offset would be mistaken for one of its own topic."""
    log = Log()
    log.add(story.requested())
    facts, (letter,) = decode({SEND_ATTEMPTS: [at(SEND_ATTEMPTS, 0, log.topics[0][0])]}, 3)
    assert facts == []
    assert letter.reason.endswith("does not belong on this topic")


def test_an_unknown_version_is_no_letter() -> None:
    """It stops the worker: a dead letter would be a lost fact."""
    with pytest.raises(UnknownVersion):
        decode({SEND_REQUESTS: [at(SEND_REQUESTS, 0, b'{"type":"sendledger.send-requested.v9"}')]}, 3)


def test_partitions_of_topics_stay_together() -> None:
    """The same partitions of each topic, in order; anything else is an error that names them."""
    together = [TopicPartition(topic, p) for topic in ("a", "b") for p in (2, 0)]
    assert colocated(together, ("a", "b")) == [0, 2]
    assert colocated([], ("a", "b")) == []
    with pytest.raises(NotColocatedError, match=r"'b': \{2\}"):
        colocated(together[:3], ("a", "b"))


def test_who_stands_still() -> None:
    """A partition behind its end that has not moved for longer than the patience, and no other."""
    progress = Progress(patience=10)
    assert progress.look(0, {TP: 5}, {TP: 9}) == []
    assert progress.look(10, {TP: 5}, {TP: 12}) == []
    assert progress.look(11, {TP: 5}, {TP: 12}) == [TP]
    assert progress.look(12, {TP: 6}, {TP: 12}) == []  # it moved
    assert progress.look(30, {TP: 12}, {TP: 12}) == []  # nothing to read
    assert progress.look(50, {TP: 12}, {TP: 13}) == []  # only now there is
    progress.forget()  # Kafka was away meanwhile
    assert progress.look(70, {TP: 12}, {TP: 13}) == []


def test_lag_by_partition() -> None:
    """Records still to be read, over all topics of a partition."""
    other = TopicPartition("u", 3)
    assert lag({TP: 5, other: 1}, {TP: 9, other: 4}) == {3: 7}


def test_imbalance_is_told_and_taken_back() -> None:
    """P6 as a metric: what is requested and in no bucket, for the partitions that are ours."""
    registry = CollectorRegistry()
    metrics = FoldMetrics(registry)
    broken = Publication("k", "c1", b'{"counters":{"requested":3,"b:sent":1},"day":null}')
    series = Publication("k", "c1", b'{"counters":{"requested":9},"day":"2026-03-01"}')
    metrics.batch(3, {"t": 5}, [broken, series])
    metrics.told_lag({3: 4})
    told = generate_latest(registry).decode()
    assert "sendledger_fold_imbalance 2.0" in told
    assert 'sendledger_fold_cursor{partition="3",topic="t"} 5.0' in told
    metrics.batch(3, {"t": 6}, [Publication("k", "c1", b'{"counters":{"requested":3,"b:sent":3}}')])
    metrics.gone(3, ["t"])
    told = generate_latest(registry).decode()
    assert "sendledger_fold_imbalance 0.0" in told
    assert 'partition="3"' not in told


def in_batches(seed: int, counted_kept: int) -> tuple[dict[bytes, bytes], dict[str, bytes]]:
    """Fold a random log in random batches; documents and the last partials."""
    chance = random.Random(seed)
    reads: list[Read] = a_log(seed).in_order()
    stored: dict[bytes, bytes] = {}
    partials: dict[str, bytes] = {}
    fold = PartitionFold(lambda keys: [stored.get(key) for key in keys], ORIGIN, counted_kept=counted_kept)
    while reads:
        size = chance.randint(1, 6)
        changes = fold.fold(reads[:size])
        reads = reads[size:]
        stored.update(changes.documents)
        partials.update((partial.key, partial.value) for partial in changes.partials)
    return stored, partials


@given(st.integers(0, 10**6))
def test_what_is_kept_between_batches_changes_nothing(seed: int) -> None:
    """What messages counted last may be remembered or worked out again: documents and partials are the same."""
    assert in_batches(seed, counted_kept=0) == in_batches(seed, counted_kept=10_000)
