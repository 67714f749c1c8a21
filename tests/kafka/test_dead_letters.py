"""Dead letters on a real broker: listed, shown, brought in once, and marked on the log itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sendledger.config import Settings
from sendledger.edges import postback_records
from sendledger.edges.dead_letter_office import Wanted, list_letters, retry_letters, show_letter
from sendledger.edges.dead_letters import DeadLetter, bury
from sendledger.edges.kafka import producer
from sendledger.edges.postback_records import PostbackRecords
from sendledger.wire.postbacks import Undecodable
from sendledger_schemas.envelope import decode
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import POSTBACKS, SEND_REQUESTS
from tests.support.receiver import post, receipt, records_of, with_receiver
from tests.support.receiver_process import receiver_process


def records_for(settings: Settings) -> PostbackRecords:
    """The maker of records of these settings."""
    return PostbackRecords(settings.pepper(), settings.partitions, "test")


async def test_a_retry_brings_in_what_can_be_read_by_now_and_once_only(
    shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Bodies that an older decoder refused become events; the others stay open; a second retry does nothing."""
    settings, kafka = with_receiver(shared_kafka), shared_kafka.kafka
    async with receiver_process(settings) as receiver:
        for body in (receipt(1), b"<broken>", receipt(2)):
            assert (await post(settings.receiver_port, body)).status == 200
        assert await receiver.stop() == 0
    with monkeypatch.context() as patch:  # two receipts that the decoder of that time could not read
        patch.setattr(postback_records, "decode_postback", lambda _: Undecodable("broken"))
        letters = [records_for(settings).keep(receipt(number), datetime.now(UTC)) for number in (3, 4)]
    async with producer(kafka) as writer:
        for kept in letters:
            record = kept.record
            await writer.send_and_wait(record.topic, record.value, partition=0, headers=list(record.headers))
    listed = await list_letters(kafka)
    assert [(found.source, found.reason, found.retried) for found in listed] == [(POSTBACKS, "broken", False)] * 3
    assert all(found.value == b"" for found in listed)

    first = await retry_letters(kafka, records_for(settings))
    again = await retry_letters(kafka, records_for(settings))
    assert first.brought_in == (listed[1].name, listed[2].name)
    assert first.still_unreadable == again.still_unreadable == (listed[0].name,)
    assert (again.brought_in, again.done_before) == ((), first.brought_in)

    events = [decode(record.value) for record in await records_of(kafka, POSTBACKS)]
    trackings = sorted(event.data.tracking_id or "" for event in events if isinstance(event.data, PostbackReceived))
    assert trackings == ["SMS_1", "SMS_2", "SMS_3", "SMS_4"]
    assert [found.retried for found in await list_letters(kafka)] == [False, True, True]
    shown = await show_letter(kafka, listed[0].name)
    assert shown is not None
    assert shown.value == b"<broken>"


async def test_letters_of_all_topics_are_listed_and_named(shared_kafka: Settings) -> None:
    """Whoever wrote it, a letter is found under its topic, with its place; an unknown name is None, not an error."""
    kafka = shared_kafka.kafka
    async with producer(kafka) as writer:
        await bury(writer, [DeadLetter(SEND_REQUESTS, "UnreadableEvent", "not JSON", b"k", b"\xff", (), 3, 99)])
    (letter,) = await list_letters(kafka)
    assert (letter.name, letter.partition, letter.offset) == (f"{SEND_REQUESTS}:0", 3, 99)
    assert await list_letters(kafka, Wanted(topics=[POSTBACKS])) == []
    shown = await show_letter(kafka, letter.name)
    assert shown is not None
    assert (shown.key, shown.value) == (b"k", b"\xff")
    assert await show_letter(kafka, f"{SEND_REQUESTS}:7") is None
    assert await show_letter(kafka, "no such letter") is None
    retried = await retry_letters(kafka, records_for(shared_kafka), Wanted(names=[letter.name]))
    assert (retried.brought_in, retried.still_unreadable) == ((), (letter.name,))
