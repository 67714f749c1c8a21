"""The client factories on a real broker: what they promise about writes, reads and a broker that is away."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path

import pytest
import structlog
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from structlog.testing import capture_logs

from sendledger.config import KafkaSettings, Settings
from sendledger.edges import kafka as clients
from sendledger.edges.kafka import MAX_RECORD_BYTES, consumer, out_of_reach, producer, wait_for_broker
from sendledger.edges.log_reader import LogReader
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, RECEIVERS, SEND_ATTEMPTS
from tests.support.collector import uncollected
from tests.support.kafka import broker, eventually
from tests.support.receiver import free_port


async def test_the_largest_record_of_ours_fits(shared_kafka: Settings) -> None:
    """A partial of almost the largest size is written and read through the factories."""
    largest = b"\0" * (MAX_RECORD_BYTES - 1024)
    async with producer(shared_kafka.kafka, compression_type=None) as writer:
        await writer.send_and_wait(CAMPAIGN_PARTIALS, largest, key=b"c/0/0", partition=0)
    async with consumer(shared_kafka.kafka, CAMPAIGN_PARTIALS) as reader, asyncio.timeout(30):
        assert (await reader.getone()).value == largest


async def test_a_consumer_begins_at_the_start_and_commits_nothing(shared_kafka: Settings) -> None:
    """Two readers of one group, one after the other, both see the whole log: cursors are ours, not the group's."""
    async with producer(shared_kafka.kafka) as writer:
        await writer.send_and_wait(RECEIVERS, b"first")
    for _ in range(2):
        async with consumer(shared_kafka.kafka, RECEIVERS, group_id="readers") as reader, asyncio.timeout(30):
            assert (await reader.getone()).value == b"first"


async def test_a_stop_loses_no_cancellation(shared_kafka: Settings) -> None:
    """Whoever is cancelled at any step of stopping a consumer is cancelled; aiokafka took that for its own tasks'."""
    in_time = 0
    for step in range(100):
        stopping = asyncio.Event()

        async def stops(stopping: asyncio.Event) -> None:
            reader = consumer(shared_kafka.kafka, RECEIVERS)
            await reader.start()
            await reader.getmany(timeout_ms=10)
            stopping.set()
            await reader.stop()

        task = asyncio.create_task(stops(stopping))
        await asyncio.wait_for(stopping.wait(), 30)
        for _ in range(step):
            await asyncio.sleep(0)
        if not task.cancel():
            break
        in_time += 1
        with pytest.raises(asyncio.CancelledError):
            await task
    assert in_time > 2


async def test_writes_are_safe_unless_somebody_says_otherwise(shared_kafka: Settings) -> None:
    """All replicas and idempotence by default; every argument can be replaced where there is a reason."""
    async with (
        producer(shared_kafka.kafka) as safe,
        producer(shared_kafka.kafka, acks=1, enable_idempotence=False) as un,
    ):
        assert (safe._txn_manager is not None, safe._sender._acks) == (True, -1)
        assert (un._txn_manager is None, un._sender._acks) == (True, 1)


async def test_the_age_of_what_waits_is_that_of_the_record_at_the_cursor(shared_kafka: Settings) -> None:
    """By the broker's time of the record; a cursor at the end has none; the same reader looks things up afterwards."""
    before = time.time()
    async with producer(shared_kafka.kafka) as writer:
        old = await writer.send_and_wait(SEND_ATTEMPTS, b"old", partition=1)
        await eventually(lambda: time.time() * 1000 > old.timestamp + 50, what="time passes")
        new = await writer.send_and_wait(SEND_ATTEMPTS, b"new", partition=1)
        await writer.send_and_wait(SEND_ATTEMPTS, b"other", partition=2)
    async with consumer(shared_kafka.kafka, fetch_max_wait_ms=100) as started:
        reader, place = LogReader(started), TopicPartition(SEND_ATTEMPTS, 1)
        first, second = [(await reader.ages({place: at.offset}))[place] for at in (old, new)]
        assert 0 <= second < first < time.time() - before + 1
        both = await reader.ages({place: new.offset + 1, TopicPartition(SEND_ATTEMPTS, 2): 0})
        assert list(both) == [TopicPartition(SEND_ATTEMPTS, 2)]
        found = await reader.at(place, [old.offset, new.offset])
        assert [found[at.offset].value for at in (old, new)] == [b"old", b"new"]


async def test_a_reader_that_seeks_keeps_no_fetch(shared_kafka: Settings) -> None:
    """Whatever was fetched and dropped half read goes at once: without the collector there is one left at most."""
    place = TopicPartition(SEND_ATTEMPTS, 1)
    async with producer(shared_kafka.kafka) as writer:
        for number in range(50):
            await writer.send_and_wait(SEND_ATTEMPTS, b"%d" % number, partition=1)
    async with consumer(shared_kafka.kafka, fetch_max_wait_ms=100) as started:
        reader = LogReader(started)
        with uncollected():
            for offset in range(20):
                assert (await reader.at(place, [offset]))[offset].value == b"%d" % offset
                started.resume(place)
                started.seek(place, offset)
                fetched = await started.getmany(timeout_ms=10_000, max_records=1)
                assert fetched[place][0].offset == offset
            held = [one for one in gc.get_objects() if type(one) is PartitionRecords]
    assert len(held) <= 1, [one.next_fetch_offset for one in held]


async def test_a_reader_that_is_stopped_keeps_nothing(shared_kafka: Settings) -> None:
    """Some are made for one look, and their fetch is left half read: it goes with them, without the collector."""
    place = TopicPartition(SEND_ATTEMPTS, 2)
    async with producer(shared_kafka.kafka) as writer:
        first = await writer.send_and_wait(SEND_ATTEMPTS, b"first", partition=2)
        for _ in range(20):
            await writer.send_and_wait(SEND_ATTEMPTS, b"later", partition=2)
    with uncollected():
        async with consumer(shared_kafka.kafka, fetch_max_wait_ms=100) as started:
            for _ in range(2):  # the first fetch may have been on its way when the consumer was made what it is
                started.assign([place])
                started.seek(place, first.offset)
                assert len((await started.getmany(timeout_ms=10_000, max_records=1))[place]) == 1
        del started
        held = [one for one in gc.get_objects() if type(one) is PartitionRecords]
    assert held == []


async def test_a_broker_that_is_away_is_waited_for_and_told_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start before the broker's waits with a message every few seconds, and goes on when the broker is there."""
    monkeypatch.setattr(clients, "_BETWEEN", 0.1)
    away = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")
    with capture_logs() as told:
        waiting = asyncio.create_task(wait_for_broker(away, structlog.get_logger()))
        async with asyncio.timeout(20):
            while len(told) < 3:  # noqa: ASYNC110 — the log has no event to wait for
                await asyncio.sleep(0.02)
        waiting.cancel()
    assert {line["event"] for line in told} == {"Kafka is away, waiting for it"}
    assert {line["reason"] for line in told} == {"ConnectionRefusedError"}
    async with broker(tmp_path) as there, asyncio.timeout(30):
        both = KafkaSettings(bootstrap_servers=f"{away.bootstrap_servers}, {there.bootstrap_servers}")
        await wait_for_broker(both, structlog.get_logger())


async def test_a_port_that_speaks_something_else_is_no_broker() -> None:
    """A server that answers with other bytes, or with nothing, is out of reach and not a crash."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await out_of_reach(KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}")) is not None
