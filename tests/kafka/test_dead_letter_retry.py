"""After a fix in a decoder: from the dead letters into the campaign's number, once, on a real Kafka.

The receiver of the first half is a version that could not read v2 yet; the command of the second half is today's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.edges import dead_letter_office as office
from sendledger.edges.dead_letters import DeadLetter, bury
from sendledger.edges.kafka import producer
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.record import Record
from sendledger.wire.provider_side import Notice, encode_notification, encode_postback13, encode_postback_v2
from sendledger_schemas import ids
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import CAMPAIGN_STATE, POSTBACKS, SEND_ATTEMPTS, dlq
from tests.support import story
from tests.support.folding import outgoing, read, role, write
from tests.support.instance import cli
from tests.support.kafka import eventually
from tests.support.receiver import post, records_of, with_receiver
from tests.support.receiver_process import OLD_DECODER, receiver_process

MESSAGES = 9
V2 = MESSAGES // 3
WRITE = (encode_notification, encode_postback13, encode_postback_v2)


def number(row: int) -> str:
    """The recipient of a message."""
    return f"1555123{row:04d}"


def accepted(settings: Settings) -> list[tuple[Data, float]]:
    """A campaign whose messages the provider has all accepted."""
    events: list[tuple[Data, float]] = []
    for row in range(MESSAGES):
        who = (f"m{row}", ids.recipient_id(settings.pepper(), number(row)), "c1")
        events += [(story.requested(*who, to=number(row)), row), (story.started(*who), row + 1)]
        events.append((story.accepted(f"T{row}", *who), row + 2))
    return events


def receipt(row: int) -> bytes:
    """Delivered, in one of the three forms."""
    said: dict[str, Any] = {"code": "N202", "status_text": "Message Sent/Delivered"}
    if row % 3 == 0:
        said = {"code": "N201", "status": 0}
    when = story.at(100 + row)
    said |= {"timestamp": when, "created": when, "notification_id": str(row)}
    notice = Notice(to=number(row), tracking_id=f"T{row}", **said)
    return WRITE[row % 3](notice)


async def counters(settings: Settings) -> dict[str, int]:
    """The campaign's published counters."""
    found: dict[str, int] = {}
    for record in await read(settings, CAMPAIGN_STATE):
        if record.key == b"c1":
            found = json.loads(record.value)["counters"]
    return found


async def delivered(settings: Settings, count: int) -> dict[str, int]:
    """Wait until the campaign's number says so."""

    async def reached() -> bool:
        return (await counters(settings)).get("b:delivered") == count

    await eventually(reached, what=f"{count} delivered")
    return await counters(settings)


async def tell(settings: Settings, *arguments: str) -> Any:
    """A verb's JSON, read."""
    lines = (await cli(settings, "dead-letters", *arguments, "--json")).out.splitlines()
    return [json.loads(line) for line in lines]


async def test_after_a_fix_retry_brings_the_receipts_into_the_number(shared_kafka: Settings) -> None:
    """Receipts that an older receiver could not read are counted after `retry`, and a second retry changes nothing."""
    settings = with_receiver(shared_kafka)
    records = PostbackRecords(settings.pepper(), settings.partitions, "test")
    await write(settings, outgoing(accepted(settings), settings.partitions))
    async with role(fold.serve, settings), role(merge.serve, settings):
        async with receiver_process(settings, OLD_DECODER) as receiver:
            for row in range(MESSAGES):
                assert (await post(settings.receiver_port, receipt(row))).status == 200
            assert await receiver.stop() == 0
        await delivered(settings, MESSAGES - V2)

        (shown,) = await tell(settings, "show", f"{POSTBACKS}:0")
        assert shown["masked"] is True
        assert f'"to":"********{number(2)[-3:]}"' in shown["text"]
        assert number(2)[:8] not in shown["text"]

        rehearsed = await office.retry_letters(settings.kafka, records, rehearse=True)
        assert (len(rehearsed.brought_in), rehearsed.done_before) == (V2, ())
        assert len(await records_of(settings.kafka, POSTBACKS)) == MESSAGES - V2

        (done,) = await tell(settings, "retry")
        assert done["brought_in"] == list(rehearsed.brought_in)
        assert done["still_unreadable"] == []
        after = await delivered(settings, MESSAGES)

        log = Counter(record.value for record in await records_of(settings.kafka, POSTBACKS))
        (again,) = await tell(settings, "retry")
        assert (again["brought_in"], len(again["done_before"])) == ([], V2)
        assert Counter(record.value for record in await records_of(settings.kafka, POSTBACKS)) == log
        assert await counters(settings) == after
        assert "repeat" not in after
    assert [letter.retried for letter in await office.list_letters(settings.kafka)] == [True] * V2


async def test_a_retry_that_dies_between_record_and_marker_loses_and_counts_nothing_twice(
    shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands on the log twice after a crash is one event: the number is right, and no repeat is counted."""
    settings = with_receiver(shared_kafka)
    records = PostbackRecords(settings.pepper(), settings.partitions, "test")
    await write(settings, outgoing(accepted(settings), settings.partitions))
    async with producer(settings.kafka) as writer:
        await bury(writer, [DeadLetter(POSTBACKS, "E", "broken", None, receipt(row)) for row in range(MESSAGES)])
    honest = office._send

    async def die_at_the_marker(out: Any, sent: Sequence[Record]) -> None:
        if any(record.topic == dlq(POSTBACKS) for record in sent):
            raise KafkaError("the process dies here")
        await honest(out, sent)

    async with role(fold.serve, settings), role(merge.serve, settings):
        with monkeypatch.context() as patch:
            patch.setattr(office, "_send", die_at_the_marker)
            with pytest.raises(KafkaError):
                await office.retry_letters(settings.kafka, records)
        first = await delivered(settings, MESSAGES)
        assert await office.list_letters(settings.kafka, office.Wanted(reason="other", state="open")) == []
        nothing = await office.retry_letters(settings.kafka, records, office.Wanted(topics=[SEND_ATTEMPTS]))
        assert nothing == office.Retried((), (), ())
        done = await office.retry_letters(settings.kafka, records, office.Wanted(topics=[POSTBACKS], reason="BROK"))
        assert len(done.brought_in) == MESSAGES
        bodies = Counter(record.value for record in await records_of(settings.kafka, POSTBACKS))
        assert set(bodies.values()) == {2}
        more = story.postback("delivered", "T-none", ids.recipient_id(settings.pepper(), "1"))
        await write(settings, outgoing([(more, 1)], settings.partitions))
        assert await delivered(settings, MESSAGES) == first


async def test_a_record_that_was_buried_again_is_one_letter(shared_kafka: Settings) -> None:
    """A fold that folds its log anew buries what it cannot read once more: one letter, brought in once."""
    settings, kafka = shared_kafka, shared_kafka.kafka
    records = PostbackRecords(settings.pepper(), settings.partitions, "test")
    data = story.started("m1", "r1")
    value = encode(event(data, id="x", source="test", time=datetime.now(UTC)))
    there = DeadLetter(SEND_ATTEMPTS, "UnreadableEvent", "not yet", b"r1", value, (), 3, 99)
    other = DeadLetter(SEND_ATTEMPTS, "UnreadableEvent", "key", b"another", value, (), 3, 100)
    async with producer(kafka) as writer:
        await bury(writer, [there, other, there])
    letters = await office.list_letters(kafka)
    assert [(letter.name, letter.copies) for letter in letters] == [
        (f"{SEND_ATTEMPTS}:0", 2),
        (f"{SEND_ATTEMPTS}:1", 1),
    ]
    done = await office.retry_letters(kafka, records, office.Wanted(names=[f"{SEND_ATTEMPTS}:2"]))
    assert done == office.Retried((f"{SEND_ATTEMPTS}:0",), (), ())
    async with producer(kafka) as writer:
        await bury(writer, [there])
    again = await office.retry_letters(kafka, records)
    # Its key is not its recipient: the fold would bury it once more, so it is not brought in.
    assert again == office.Retried((), (f"{SEND_ATTEMPTS}:1",), (f"{SEND_ATTEMPTS}:0",))
    (record,) = await read(settings, SEND_ATTEMPTS)
    assert (record.partition, record.key, record.value) == (3, b"r1", value)
