"""What a sender wrote itself it need not read: it is folded when acknowledged, if nothing unread stands before it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendledger.agents.sender_journal import Entry, JournalReader, JournalWriter
from sendledger.agents.sender_partition import JOURNAL
from sendledger.edges.clocks import BrokerClock
from sendledger.edges.failpoints import Failpoint
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.partition import Log, Record, Worker, log_of, ready, worker
from tests.support.processes import until

LOG, NUMBER = 4, 3
TWO = 1_000  # bytes of a batch: claims of two messages, and not of three


def told(it: Worker, topic: str, first: int, end: int) -> bool:
    """Acknowledge so many records of the log as ours."""
    return it.partition.wrote(topic, it.log.topics[topic][first:end])


def journal_of(count: int) -> Log:
    """So many requests, claimed and answered."""
    log = log_of(count)
    for number in range(count):
        log.add(story.started(f"m{number}", f"r{number}"))
        log.add(story.accepted(f"T{number}", f"m{number}", f"r{number}"))
    return log


def test_what_follows_on_all_that_was_read_is_known_at_once(tmp_path: Path) -> None:
    """No fetch is needed: the journal is read up to and beyond our claims."""
    it = ready(tmp_path, log_of(2))
    it.log.add(story.started("m0", "r0"), story.started("m1", "r1"))
    assert told(it, SEND_ATTEMPTS, 0, 2)
    assert it.partition.cursors[SEND_ATTEMPTS] == 2
    assert list(it.partition.opened) == ["m0", "m1"]
    it.read()
    assert list(it.partition.opened) == ["m0", "m1"]


def test_a_foreign_record_before_ours_has_to_be_read_first(tmp_path: Path) -> None:
    """It may be the claim that wins."""
    it = ready(tmp_path, log_of(2))
    it.log.add(story.started("m1", "r1"), story.started("m0", "r0"), story.started("m1", "r1"))
    assert not told(it, SEND_ATTEMPTS, 1, 3)
    assert it.partition.opened == {}
    it.read(SEND_ATTEMPTS)
    assert it.partition.message("m1").attempts[1].claim.offset == 0  # type: ignore[union-attr]
    it.log.add(story.started("m9", "r9"))
    assert told(it, SEND_ATTEMPTS, 3, 4)


def test_batches_that_are_acknowledged_out_of_order_are_folded_in_order(tmp_path: Path) -> None:
    """The second waits for the first, and not for the reader."""
    it = ready(tmp_path, log_of(3))
    it.log.add(*(story.started(f"m{number}", f"r{number}") for number in range(3)))
    assert not told(it, SEND_ATTEMPTS, 2, 3)
    assert not told(it, SEND_ATTEMPTS, 1, 2)
    assert told(it, SEND_ATTEMPTS, 0, 1)
    assert it.partition.cursors[SEND_ATTEMPTS] == 3


async def test_who_waits_for_the_journal_is_told(tmp_path: Path) -> None:
    """Rule 4 waits for the cursor, whoever moves it."""
    it = ready(tmp_path, log_of(1))
    offset = it.log.add(story.started("m0", "r0"))
    waiting = asyncio.create_task(it.partition.read_past(offset))
    await asyncio.sleep(0)
    assert not waiting.done()
    told(it, SEND_ATTEMPTS, 0, 1)
    await waiting
    it.close()


STEPS = st.lists(st.tuples(st.sampled_from(("told", "read")), st.sampled_from(JOURNAL[:2]), st.integers(0, LOG - 1)))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(1, LOG))
def test_who_is_told_and_who_reads_know_the_same(steps: list[tuple[str, str, int]], size: int) -> None:
    """In whatever order words and records come, and however often: state and cursors are those of the log's prefix."""
    log = journal_of(LOG)
    with tempfile.TemporaryDirectory() as name:
        one, other = worker(Path(name), log), worker(Path(name), log)
        one.read(SEND_REQUESTS)
        other.read(SEND_REQUESTS)
        for kind, topic, first in steps:
            if kind == "read":
                one.read(topic, 1)
            else:
                told(one, topic, first, first + size)
            other.read(topic, one.partition.cursors[topic] - other.partition.cursors[topic])
            assert one.partition.cursors == other.partition.cursors
            assert one.partition.opened == other.partition.opened
            names = [f"m{number}" for number in range(LOG)]
            assert one.partition.messages(names) == other.partition.messages(names)
        one.close()
        other.close()


class _Consumer:
    """The consumer of a reader over one partition of the log; `at`: what is fetched next, by topic, if it `may`."""

    may = True

    def __init__(self, log: Log) -> None:
        self.log, self.at = log, dict.fromkeys(JOURNAL, 0)
        self.given: list[tuple[str, int]] = []

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Nothing to do."""

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go there."""
        self.at[place.topic] = offset

    async def getmany(self, **_how: int) -> dict[TopicPartition, list[Record]]:
        """All that there is."""
        await asyncio.sleep(0)
        found = {}
        for topic, first in self.at.items() if self.may else ():
            if records := self.log.topics[topic][first:]:
                found[TopicPartition(topic, NUMBER)] = records
                self.at[topic] = records[-1].offset + 1
                self.given += [(topic, record.offset) for record in records]
        return found


async def test_the_reader_passes_over_what_is_known_and_stops_at_what_is_not(tmp_path: Path) -> None:
    """Own records are not folded twice; what others wrote between them is read, in its place."""
    it = ready(tmp_path, log_of(3))
    consumer = _Consumer(it.log)
    reader = JournalReader(cast("Any", consumer), BrokerClock(), asyncio.Event(), Failpoint())
    reader.follow({NUMBER: it.partition})
    it.log.add(story.started("m0", "r0"))
    reader.wrote(SEND_ATTEMPTS, NUMBER, it.log.topics[SEND_ATTEMPTS])
    task = asyncio.create_task(reader.run())
    it.log.add(story.started("m1", "r1"))
    await until(lambda: it.partition.cursors[SEND_ATTEMPTS] == 2, "the foreign claim is read")
    consumer.may = False
    it.log.add(story.started("m2", "r2"))
    reader.wrote(SEND_ATTEMPTS, NUMBER, it.log.topics[SEND_ATTEMPTS][2:])
    await until(lambda: consumer.at[SEND_ATTEMPTS] == 3, "reading goes on behind it")
    consumer.may = True
    it.log.add(story.accepted("T", "m0", "r0"))
    await until(lambda: it.partition.cursors[API_RESPONSES] == 1, "the foreign answer is read")
    assert set(it.partition.opened) == {"m1", "m2"}
    assert consumer.given == [(SEND_ATTEMPTS, 1), (API_RESPONSES, 0)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    it.close()


class _Producer:
    """Appends whole batches to a log that has `before` records already; `lost`: the broker knows no offset any more."""

    def __init__(self, before: int, *, lost: bool) -> None:
        self.end, self.lost = before, lost
        self.batches: list[int] = []

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Where it stands."""
        assert partition == NUMBER
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(SimpleNamespace(offset=-1 if self.lost else self.end, timestamp=1_700_000_000_000))
        self.end += batch.record_count()
        self.batches.append(batch.record_count())
        return done


@pytest.mark.parametrize("lost", [False, True])
async def test_each_batch_is_told_with_its_offsets(lost: bool) -> None:  # noqa: FBT001 — a parameter of the test
    """The bytes that were written, where they stand; of what the broker knows no place nothing is told."""
    heard: list[tuple[str, int, int, bytes | None]] = []
    producer = _Producer(7, lost=lost)
    writer = JournalWriter(cast("Any", producer), BrokerClock(), most_bytes=TWO)
    writer.told = lambda topic, number, records: heard.extend(
        (topic, number, one.offset, one.key) for one in records if b"attempt-started" in (one.value or b"")
    )
    entries = [Entry(SEND_ATTEMPTS, NUMBER, f"r{n}", f"m{n}", story.started(f"m{n}", f"r{n}")) for n in range(3)]
    offsets = await writer.write(entries)
    if not lost:
        assert offsets == [7, 8, 9]
    places = [(SEND_ATTEMPTS, NUMBER, 7 + number, f"r{number}".encode()) for number in range(3)]
    assert heard == ([] if lost else places)
    assert producer.batches == [2, 1]
