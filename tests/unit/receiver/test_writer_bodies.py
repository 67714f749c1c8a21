"""Bodies through the writer: made by the library or by its definition, each sender is told where its own stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from sendledger.edges.postback_records import Kept, PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds, RoundFailedError
from sendledger.edges.receiver_waiting import Bodies, Fate
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool
from sendledger_schemas.topics import POSTBACKS
from tests.support.kafka import eventually
from tests.support.receiver import receipt
from tests.support.scripted_link import (
    NOW,
    RECORDS,
    ScriptedLink,
    all_of,
    content,
    record,
    writing,
)

pytestmark = pytest.mark.usefixtures("quick_retries")

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
            return {
                place
                for place, one in enumerate(records)
                if one.partition == RECORDS.keep(bodies[0], NOW).record.partition
            }

        link.answer = some_of
        posts = [writer.post(body, NOW) for body in bodies]
        fates = await asyncio.gather(*(post.fate for post in posts))
    assert fates == [Fate.KAFKA] * 8 + [Fate.SPOOL] * 9
    assert sorted(link.sent) == sorted(map(expected, bodies[:8]))
    assert sorted(content(spool)) == sorted(map(expected, bodies[8:]))


@pytest.mark.parametrize("topic", ["t", POSTBACKS])
async def test_of_records_and_bodies_in_one_round_each_has_its_own_fate(spool: Spool, topic: str) -> None:
    """Who is told of the topic is who stands there, whichever of the two kinds Kafka took."""
    link = ScriptedLink(all_of)
    bodies = [*map(receipt, range(3))]
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)

        def those_of(records: Sequence[Record]) -> set[int]:
            link.answer = None
            return {place for place, one in enumerate(records) if one.topic == topic}

        link.answer = those_of
        fates = []
        for number, body in enumerate(bodies):
            fates += [writer.post(body, NOW).fate, writer.write(record(number))]
        told = await asyncio.gather(*fates)
    on_topic = Fate.KAFKA if topic == POSTBACKS else Fate.SPOOL
    other = Fate.SPOOL if topic == POSTBACKS else Fate.KAFKA
    assert told == [on_topic, other] * 3
    values = {Fate.KAFKA: sorted(link.sent), Fate.SPOOL: sorted(content(spool))}
    assert values[on_topic] == sorted(map(expected, bodies))
    assert values[other] == sorted(record(number).value for number in range(3))


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


@pytest.mark.parametrize(("ordinary", "foreign", "records"), [(7, 1, 1), (3, 5, 8)], ids=["some", "most"])
async def test_bodies_out_of_the_ordinary_go_with_their_round(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, ordinary: int, foreign: int, records: int
) -> None:
    """None waits for a second round; where most are such, a partition gets one batch, not one of each kind."""
    link = ScriptedLink(all_of)
    async with writing(link, spool) as writer:
        await eventually(lambda: writer.connected)
        out, go = link.hold(monkeypatch, lambda _: set(range(ordinary + foreign)))
        posts = [writer.post(body, NOW) for body in [*map(receipt, range(ordinary)), *[FOREIGN] * foreign]]
        await eventually(lambda: out == [records])
        go.set()
        assert [await post.fate for post in posts] == [Fate.KAFKA] * len(posts)
    assert out == [records]


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
