"""A sender's partition and its store: what is read again, lost, cut or unreadable changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sendledger.agents.sender_partition import HoleError
from sendledger.domain.message import Message
from sendledger.domain.sending import Queued
from sendledger.edges.sender_store import Change
from sendledger.edges.sender_store_opening import open_store, shared_cache
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.partition import WEEK, Log, Record, log_of, ready, worker


def test_a_request_older_than_what_retention_left_is_never_sent(tmp_path: Path) -> None:
    """Without the journal of its time nobody can know that it was not attempted."""
    it = ready(tmp_path, log_of(3), cut=2)
    picked = it.pick()
    assert [(m.message_id, why) for m, why in picked.withheld] == [("m0", "expired"), ("m1", "expired")]
    assert [pick.message.message_id for pick in picked.claims] == ["m2"]


def test_losing_the_store_is_harmless(tmp_path: Path) -> None:
    """Folded again from the log's start, the same messages wait, are open, and are left alone."""
    log = log_of(6)
    it = ready(tmp_path, log)
    for pick in it.go(3):
        if pick.message.message_id == "m0":
            log.add(story.accepted("T", "m0", "r0"))
        if pick.message.message_id == "m1":
            log.add(story.unanswered("m1", "r1"))
    it.read()
    opened = dict(it.partition.opened)
    for lose in (False, True):
        it.reopen(lose_store=lose)
        it.read()
        assert it.partition.opened == opened
        assert it.partition.cursors == log.ends()
        assert sorted(it.picked()) == ["m3", "m4", "m5"]


def test_any_order_of_reading_gives_the_same(tmp_path: Path) -> None:
    """Answers before claims before requests, or the other way round."""
    log = log_of(3)
    log.add(story.started("m0", "r0"), story.accepted("T", "m0", "r0"), story.started("m1", "r1"))
    it = worker(tmp_path, log)
    for topic in (API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS):
        it.read(topic)
    it.read()
    assert list(it.partition.opened) == ["m1"]
    assert it.picked() == ["m2"]


def test_records_read_again_are_skipped_and_a_hole_stops(tmp_path: Path) -> None:
    """Below the cursor nothing happens; beyond it something is missing, and guessing would be wrong."""
    log = log_of(3)
    it = ready(tmp_path, log)
    it.partition.apply(SEND_REQUESTS, log.topics[SEND_REQUESTS])
    it.partition.apply(SEND_REQUESTS, log.topics[SEND_REQUESTS][:1])
    assert it.partition.cursors[SEND_REQUESTS] == 3
    assert len(it.picked()) == 3
    with pytest.raises(HoleError):
        it.partition.apply(SEND_REQUESTS, [Record(5, 0, b"{}")])


def test_an_unreadable_record_never_stops_the_partition(tmp_path: Path) -> None:
    """It is counted and stepped over; the fold gives it to the dead letters."""
    log = log_of(1)
    log.topics[SEND_REQUESTS] += [Record(1, 0, b"\xff"), Record(2, 0, None)]
    it = ready(tmp_path, log)
    assert it.partition.unreadable == 2
    assert it.picked() == ["m0"]


async def test_read_past_returns_once_the_attempts_are_read(tmp_path: Path) -> None:
    """Rule 4 waits for the record at its own offset, not only for those before it."""
    log = log_of(2)
    log.add(story.started("m0", "r0"), story.started("m1", "r1"))
    it = worker(tmp_path, log)
    waiting = asyncio.create_task(it.partition.read_past(1))
    for _ in range(2):
        await asyncio.sleep(0)
        assert not waiting.done()
        it.read(SEND_ATTEMPTS, 1)
    await waiting
    await it.partition.read_past(1)


def test_a_store_of_another_log_is_forgotten(tmp_path: Path) -> None:
    """Topics made anew, a log that is shorter than the cursors: what is in the store tells nothing about them."""
    cache, path = shared_cache(), tmp_path / "store"
    store = open_store(path, cache, "log", {SEND_REQUESTS: 9})
    store.commit([Change(Message("m", "c", "r"), None, Queued(0, 0, WEEK))], {SEND_REQUESTS: 5})
    store.close()
    for log, end, kept in (("log", 9, 1), ("log", 4, 0), ("other", 9, 0)):
        store = open_store(path, cache, log, {SEND_REQUESTS: end})
        assert len(store.cursors) == kept
        if kept:
            assert [row.message_id for row in store.lane("c", -1, 10)] == ["m"]
        store.commit([], {SEND_REQUESTS: 5})
        store.close()


def test_the_store_holds_no_personal_data(tmp_path: Path) -> None:
    """P7: neither number nor text of a request is in any file of the store."""
    log = Log()
    log.add(story.requested("m", "r", to="15559876543", text="canary text"), story.started("m", "r"))
    it = ready(tmp_path, log)
    it.close()
    held = b"".join(file.read_bytes() for file in it.path.iterdir() if file.is_file())
    assert b"canary" not in held
    assert b"15559876543" not in held
