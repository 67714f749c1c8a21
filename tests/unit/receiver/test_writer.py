"""The writer's order, step by step: a link that acknowledges what the test says, and a real spool."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from sendledger.edges import receiver_writer
from sendledger.edges.postback_records import Kept, PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds, Ready, RoundFailedError
from sendledger.edges.receiver_kafka import KafkaLink, Unreachable
from sendledger.edges.receiver_waiting import Bodies, Fate
from sendledger.edges.receiver_writer import Writer
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolFailed
from tests.support.kafka import eventually
from tests.support.receiver import receipt
from tests.unit.receiver.test_postback_rounds import records_of

RECORDS = PostbackRecords(b"canary-pepper", 8, "sendledger/receiver/r-1")
BODIES = Bodies(RECORDS, PostbackRounds(RECORDS, most_bytes=20_000))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Answer = Callable[[Sequence[Record]], set[int]]


def record(number: int, size: int = 1) -> Record:
    """A record, different for each number."""
    return Record("t", number % 2, b"k", b"%d" % number + b"x" * size)


class ScriptedLink:
    """What KafkaLink promises, with acknowledgements at the test's word. `answer` is None: unreachable."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.sent: list[bytes] = []

    async def connect(self, *, seconds: float) -> None:  # noqa: ARG002
        """Reachable while there is an answer."""
        if self.answer is None:
            raise Unreachable("scripted")

    async def send(
        self,
        records: Sequence[Record],
        *,
        seconds: float,  # noqa: ARG002
        ready: Sequence[Ready] = (),
    ) -> set[int]:
        """Acknowledge what the script says."""
        await asyncio.sleep(0)
        records = [*records, *(one for batch in ready for one in records_of(batch))]
        acknowledged = self.answer(records) if self.answer else set[int]()
        self.sent += [records[position].value for position in sorted(acknowledged)]
        return acknowledged

    async def give_up(self) -> None:
        """Nothing to leave."""

    async def close(self, *, seconds: float) -> None:
        """Nothing to close."""


def all_of(records: Sequence[Record]) -> set[int]:
    """Everything is acknowledged."""
    return set(range(len(records)))


def none_of(_records: Sequence[Record]) -> set[int]:
    """Nothing is."""
    return set()


@contextlib.asynccontextmanager
async def writing(link: ScriptedLink, spool: Spool, bodies: Bodies = BODIES) -> AsyncIterator[Writer]:
    """A running writer; its spool is left open for the test to look at."""
    writer = Writer(cast("KafkaLink", link), spool, on_spool=lambda _: None, bodies=bodies)
    running = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.sqlite3", max_bytes=10**6)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_writer, "_FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(receiver_writer, "_LAST_RETRY_SECONDS", 0.01)


def content(spool: Spool) -> list[bytes]:
    """What stands in the spool, oldest first."""
    return [kept.value for _, kept in spool.head(records=1000, size=10**9)]


async def test_acknowledged_records_go_past_the_spool(spool: Spool) -> None:
    """With Kafka there, each record's fate is the topic and the disk is not touched."""
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        fates = await asyncio.gather(*(writer.write(record(number)) for number in range(10)))
    assert fates == [Fate.KAFKA] * 10
    assert len(link.sent) == 10
    assert content(spool) == []


async def test_each_record_without_acknowledgement_is_spooled_before_its_fate_is_told(spool: Spool) -> None:
    """Of one round, the acknowledged are on the topic and exactly the others in the spool, in order."""
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)

        def every_other(records: Sequence[Record]) -> set[int]:
            link.answer = None  # Kafka is gone after this round
            return set(range(0, len(records), 2))

        link.answer = every_other
        fates = await asyncio.gather(*(writer.write(record(number)) for number in range(6)))
        assert fates == [Fate.KAFKA, Fate.SPOOL] * 3
        assert content(spool) == [record(number).value for number in (1, 3, 5)]


async def test_the_drain_forgets_only_what_was_acknowledged(spool: Spool) -> None:
    """A drain that Kafka takes in part leaves the rest in the spool, and brings it in later."""
    spool.put([record(number) for number in range(6)], now=1.0)
    link = ScriptedLink(None)

    def in_part(_records: Sequence[Record]) -> set[int]:
        link.answer = none_of  # from then on nothing, until the test says so
        return {0, 3}

    link.answer = in_part
    async with writing(link, spool) as writer:
        await eventually(lambda: len(content(spool)) == 4)
        assert link.sent == [record(0).value, record(3).value]
        assert content(spool) == [record(number).value for number in (1, 2, 4, 5)]
        assert not writer.connected
        link.answer = all_of
        await eventually(lambda: writer.connected and content(spool) == [])
    assert sorted(link.sent) == [record(number).value for number in range(6)]


async def test_a_link_that_takes_nothing_is_not_trusted(spool: Spool) -> None:
    """While the spool holds records, Kafka counts as back only after it took some: no sender waits for a dead one."""
    spool.put([record(1)], now=1.0)
    tries: list[int] = []

    def refuse(records: Sequence[Record]) -> set[int]:
        tries.append(len(records))
        return set()

    async with writing(ScriptedLink(refuse), spool) as writer:
        await eventually(lambda: len(tries) > 2)
        assert not writer.connected
        assert await writer.write(record(2)) is Fate.SPOOL


async def test_a_spool_that_hangs_costs_503_and_gathers_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Kafka away and a disk that does not answer, every sender is told in time, and no work piles up."""
    monkeypatch.setattr(receiver_writer, "ANSWER_SECONDS", 0.1)
    hang, puts = threading.Event(), list[int]()
    honest = spool.put

    def put(records: Sequence[Record], *, now: float) -> int:
        puts.append(len(records))
        hang.wait(20)
        return honest(records, now=now)

    monkeypatch.setattr(spool, "put", put)
    async with writing(ScriptedLink(None), spool) as writer:
        assert await writer.write(record(1)) is Fate.NOWHERE
        assert await writer.write(record(2)) is Fate.NOWHERE
        await eventually(lambda: puts == [1])
        hang.set()
        await eventually(lambda: not writer._spooling.pending)
        monkeypatch.setattr(receiver_writer, "ANSWER_SECONDS", 10.0)  # a busy machine's disk may take longer
        assert await writer.write(record(3)) is Fate.SPOOL
    assert content(spool) == [record(1).value, record(3).value]


async def test_a_spool_that_fails_is_503_and_used_again_when_it_works(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is never a false 200, and no reason to stop trying."""

    def fail(*_: Any, **__: Any) -> int:
        raise SpoolFailed("disk full")

    async with writing(ScriptedLink(None), spool) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(spool, "put", fail)
            assert await writer.write(record(1)) is Fate.NOWHERE
        assert await writer.write(record(2)) is Fate.SPOOL


async def test_what_waits_is_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit on memory a sender is refused at once; when the round is over there is room again."""
    monkeypatch.setattr(receiver_writer, "_MAX_WAITING_BYTES", 1000)
    async with writing(ScriptedLink(None), spool) as writer:
        first, second = writer.write(record(1, size=600)), writer.write(record(2, size=600))
        assert second.done()
        assert [await first, await second] == [Fate.SPOOL, Fate.NOWHERE]
        assert await writer.write(record(3, size=600)) is Fate.SPOOL


async def test_a_round_starts_beside_one_on_its_way(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Kafka syncs, what has gathered goes out as soon as it is worth it; never more rounds than may be out."""
    monkeypatch.setattr(receiver_writer, "_WORTH_A_ROUND", 3)
    monkeypatch.setattr(receiver_writer, "_MOST_ROUNDS", 2)
    link, out, go = ScriptedLink(all_of), list[int](), asyncio.Event()
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)

        async def send(records: Sequence[Record], *, seconds: float, ready: Sequence[Ready]) -> set[int]:
            out.append(len(records))
            await go.wait()
            return all_of(records)

        monkeypatch.setattr(link, "send", send)
        fates = [writer.write(record(1))]
        await eventually(lambda: out == [1])
        fates += [writer.write(record(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        assert out == [1]
        fates.append(writer.write(record(4)))
        await eventually(lambda: out == [1, 3])
        fates += [writer.write(record(number)) for number in range(5, 15)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert out == [1, 3]
        go.set()
        assert await asyncio.gather(*fates) == [Fate.KAFKA] * 14
        assert sum(out) == 14


async def test_rounds_that_fail_together_are_spooled_one_after_the_other(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both rounds of a link that is lost find their way into the spool: none is refused because the other is there."""
    monkeypatch.setattr(receiver_writer, "_WORTH_A_ROUND", 1)
    link, out, go = ScriptedLink(all_of), list[int](), asyncio.Event()
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)

        async def send(records: Sequence[Record], *, seconds: float, ready: Sequence[Ready]) -> set[int]:
            out.append(len(records))
            await go.wait()
            return set()

        monkeypatch.setattr(link, "send", send)
        link.answer = None
        first = writer.write(record(1))
        await eventually(lambda: len(out) == 1)
        second = writer.write(record(2))
        await eventually(lambda: len(out) == 2)
        go.set()
        assert [await first, await second] == [Fate.SPOOL] * 2
        assert sorted(content(spool)) == [record(1).value, record(2).value]


async def test_finish_waits_for_the_drain_and_lets_nothing_new_in(spool: Spool) -> None:
    """At the end what can go to Kafka goes, and what comes too late is told so."""
    spool.put([record(number) for number in range(3)], now=1.0)
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        last = writer.write(record(9))
        await writer.finish(seconds=10)
        assert last.done()
        assert await writer.write(record(10)) is Fate.NOWHERE
    assert record(9).value in [*link.sent, *content(spool)]


FOREIGN = b"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><TO>1</TO><TRACKINGID>1</TRACKINGID></POSTBACK>"


def expected(body: bytes) -> bytes:
    """The value of a body's record."""
    return RECORDS.keep(body, NOW).record.value


async def test_bodies_of_any_form_become_their_records_on_the_topic(spool: Spool) -> None:
    """Made by the library or left by it: each sender's fate is the topic, and there stands what `keep` makes."""
    link = ScriptedLink(all_of)
    bodies = [*map(receipt, range(40)), FOREIGN, b"junk", b""]
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        posts = [writer.post(body, NOW) for body in bodies]
        assert await asyncio.gather(*(post.fate for post in posts)) == [Fate.KAFKA] * len(bodies)
    assert sorted(link.sent) == sorted(map(expected, bodies))
    assert [place for place, post in enumerate(posts) if post.kept] == [40, 41, 42]
    assert content(spool) == []


async def test_bodies_that_kafka_does_not_acknowledge_are_spooled_as_their_records(spool: Spool) -> None:
    """Exactly those of the batches that are missing, in order, and each sender is told where its own is."""
    link = ScriptedLink(all_of)
    bodies = [*map(receipt, range(8)), *(receipt(number, to="15550000001") for number in range(8)), FOREIGN]
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)

        def some_of(records: Sequence[Record]) -> set[int]:
            link.answer = None
            return {place for place, one in enumerate(records) if one.partition == records[0].partition}

        link.answer = some_of
        posts = [writer.post(body, NOW) for body in bodies]
        fates = await asyncio.gather(*(post.fate for post in posts))
    assert fates == [Fate.KAFKA] * 8 + [Fate.SPOOL] * 9
    assert sorted(link.sent) == sorted(map(expected, bodies[:8]))
    assert sorted(content(spool)) == sorted(map(expected, bodies[8:]))


async def test_without_kafka_bodies_are_spooled_in_order(spool: Spool) -> None:
    """Nothing is packed that could not go anywhere."""
    bodies = [receipt(1), FOREIGN, receipt(2), b"junk"]
    async with writing(ScriptedLink(None), spool) as writer:
        posts = [writer.post(body, NOW) for body in bodies]
        assert await asyncio.gather(*(post.fate for post in posts)) == [Fate.SPOOL] * 4
    assert content(spool) == list(map(expected, bodies))


async def test_a_bug_in_decoding_costs_one_sender_a_retry(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever came with it is answered, nothing is left waiting, and the next one goes on."""

    def broken(_body: bytes, _at: datetime) -> Kept:
        raise RuntimeError("canary")

    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        with monkeypatch.context() as patch:
            patch.setattr(PostbackRecords, "keep", lambda _, body, at: broken(body, at))
            first, second = writer.post(FOREIGN, NOW), writer.post(receipt(1), NOW)
            assert [await first.fate, await second.fate] == [Fate.NOWHERE, Fate.KAFKA]
        assert await writer.post(FOREIGN, NOW).fate is Fate.KAFKA
        await writer.finish(seconds=10)
        assert writer._waiting_bytes == 0


async def test_a_library_that_fails_is_done_without(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition takes over; nobody is refused."""

    def fail(*_: Any) -> Any:
        raise RoundFailedError("scripted")

    rounds = PostbackRounds(RECORDS, most_bytes=20_000)
    monkeypatch.setattr(rounds, "make", fail)
    link = ScriptedLink(all_of)
    async with writing(link, spool, Bodies(RECORDS, rounds)) as writer:
        await eventually(lambda: writer.connected)
        posts = [writer.post(receipt(number), NOW) for number in range(5)]
        assert await asyncio.gather(*(post.fate for post in posts)) == [Fate.KAFKA] * 5
    assert sorted(link.sent) == sorted(expected(receipt(number)) for number in range(5))
