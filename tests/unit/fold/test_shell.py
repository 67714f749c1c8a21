"""The parts of the fold's shell that need no broker: decoding, co-location, who stands still, what is kept."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry, generate_latest

from sendledger.agents.alignment import NotColocatedError, colocated
from sendledger.agents.decoding import Judge
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.agents.watchdog import Progress
from sendledger.domain.facts import decode_fact
from sendledger.edges.dead_letters import DeadLetter
from sendledger.edges.fold_core import Partial
from sendledger.edges.position_metrics import PositionMetrics, behind
from sendledger_schemas.envelope import UnknownVersion
from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.native import packed
from tests.support.story import Log

TP = TopicPartition("t", 3)


def judged(topic: str, offset: int, value: bytes | None) -> tuple[bytes | None, list[DeadLetter]]:
    """What becomes of one record of a batch that the fold's library finds out of the ordinary."""
    batch = packed([(offset - 1, b"r0", b"before"), (offset, b"r1", value or b"")], headers=(("h", b"1"),))
    judge = Judge({topic: [packed([(0, b"r0", b"earlier")]), batch]}, 3)
    return judge(FOLD_SOURCES.index(topic), offset), judge.letters


@pytest.mark.parametrize("value", [b"", None, b"{", b"[]", b'{"type":"x"}', b"\xff", b'{"type":"sendledger.x.v1"}'])
def test_what_is_no_event_is_a_letter(value: bytes | None) -> None:
    """Bytes that nobody can read keep their place, key and headers, and the reason does not quote them."""
    event, (letter,) = judged(POSTBACKS, 5, value)
    assert event is None
    assert (letter.topic, letter.partition, letter.offset, letter.key) == (POSTBACKS, 3, 5, b"r1")
    assert (letter.value, letter.headers) == (value or b"", (("h", b"1"),))


def test_an_event_in_another_form_is_brought_into_the_usual_one() -> None:
    """What Python can read is folded, however it is written: the library takes msgspec's form of it."""
    log = Log()
    log.add(story.requested())
    odd = log.topics[0][0].replace(b'"time":"2026-03-01T12:00:00', b'"time":"2026-03-01 12:00:00')
    event, letters = judged(SEND_REQUESTS, 5, odd)
    assert letters == []
    assert event is not None
    assert decode_fact(event) == decode_fact(log.topics[0][0])


def test_an_event_on_the_wrong_topic_is_a_letter() -> None:
    """Its offset would be mistaken for one of its own topic."""
    log = Log()
    log.add(story.requested())
    event, (letter,) = judged(SEND_ATTEMPTS, 5, log.topics[0][0])
    assert event is None
    assert letter.reason.endswith("does not belong on this topic")


def test_an_event_under_a_wrong_key_is_a_letter() -> None:
    """The key decides the partition: its facts would not meet the others of its recipient."""
    log = Log()
    log.add(story.requested(recipient="r2"))
    event, (letter,) = judged(SEND_REQUESTS, 5, log.topics[0][0])
    assert event is None
    assert letter.reason == "its key is not its recipient_id"


def test_an_unknown_version_is_no_letter() -> None:
    """It stops the worker: a dead letter would be a lost fact."""
    with pytest.raises(UnknownVersion):
        judged(SEND_REQUESTS, 5, b'{"type":"sendledger.send-requested.v9"}')


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


def test_what_is_behind() -> None:
    """Places with something to read; an end that is not known is no lag."""
    other, unknown = TopicPartition("u", 3), TopicPartition("v", 3)
    assert behind({TP: 5, other: 4, unknown: 2}, {TP: 9, other: 4}) == {TP: 5}


def test_imbalance_is_told_and_taken_back() -> None:
    """P6 as a metric: what is requested and in no bucket, for the partitions that are ours."""
    registry = CollectorRegistry()
    metrics = FoldMetrics(registry, PositionMetrics(registry, "g"))
    broken, series = Partial(b"k", "c1", b"", 2), Partial(b"k/2026-03-01", "c1", b"", None)
    metrics.batch(3, {"t": 5}, [broken, series])
    told = generate_latest(registry).decode()
    assert "sendledger_fold_imbalance 2.0" in told
    assert 'sendledger_consumer_cursor_offset{group="g",partition="3",topic="t"} 5.0' in told
    metrics.batch(3, {"t": 6}, [Partial(b"k", "c1", b"", 0)])
    metrics.gone(3, ["t"])
    told = generate_latest(registry).decode()
    assert "sendledger_fold_imbalance 0.0" in told
    assert 'partition="3"' not in told
