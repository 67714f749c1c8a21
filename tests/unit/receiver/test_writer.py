"""The writer's order, step by step: a link that acknowledges what the test says, and a real spool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sendledger.edges import receiver_writer
from sendledger.edges.receiver_waiting import Fate
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolFailed
from tests.support.kafka import eventually
from tests.support.scripted_link import (
    ScriptedLink,
    all_of,
    content,
    none_of,
    record,
    writing,
)

pytestmark = pytest.mark.usefixtures("quick_retries")


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
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        out, go = link.hold(monkeypatch, all_of)
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
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        out, go = link.hold(monkeypatch, none_of)
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
