"""The fold on a real broker: what is published is what the log says, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from prometheus_client import generate_latest

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.domain.partial import since_of
from sendledger.edges.dead_letters import EXCEPTION, MESSAGE, OFFSET, PARTITION, TOPIC
from sendledger.edges.fold_core import DamagedDocumentError
from sendledger.edges.kafka import admin
from sendledger.edges.publisher import Outgoing
from sendledger.edges.state_store import Memory, StateStore
from sendledger.life import Life
from sendledger_schemas.envelope import UnknownVersion
from sendledger_schemas.topics import (
    CAMPAIGN_PARTIALS,
    CAMPAIGN_STATE,
    FOLD_SOURCES,
    MESSAGE_STATE,
    POSTBACKS,
    SEND_ATTEMPTS,
    dlq,
)
from tests.support.folding import agrees, folded, lives, outgoing, read, role, totals, write
from tests.support.kafka import eventually, fresh_topics
from tests.support.role import spawn, spawned


def quick(settings: Settings, **over: Any) -> Settings:
    """The same with a short session time-out, so that a lost worker is noticed soon."""
    return settings.model_copy(update={"session_timeout": 6.0, **over})


async def test_publishes_what_the_log_says(shared_kafka: Settings) -> None:
    """Partials, series and message states on the topics equal a fold of the log in memory; P6 holds."""
    await write(shared_kafka, outgoing(lives(300), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka) as life:
        numbers = await agrees(shared_kafka)
        told = generate_latest(life.registry).decode()
    _, states = folded(await read(shared_kafka, *FOLD_SOURCES), shared_kafka.partitions)
    latest = {record.key.decode(): json.loads(record.value) for record in await read(shared_kafka, MESSAGE_STATE)}
    assert latest == states
    campaigns = totals(numbers)
    assert sum(campaigns[name]["requested"] for name in campaigns if name != "_none") == 300
    assert "sendledger_fold_imbalance 0.0" in told


async def test_a_restart_goes_on_from_its_own_cursor(shared_kafka: Settings) -> None:
    """A second run folds only what is new, although the group's committed offsets are not looked at.

    Only what it tells for the first time says since when it is on the log: by that freshness is measured.
    """
    await write(shared_kafka, outgoing(lives(100, seed=1), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
    before = len(await read(shared_kafka, MESSAGE_STATE))
    assert {since_of(record.headers) for record in await read(shared_kafka, CAMPAIGN_PARTIALS)} == {None}
    began = int(time.time() * 1000)
    more = outgoing(lives(20, seed=2, campaigns=1), shared_kafka.partitions)
    await write(shared_kafka, more)
    async with role(fold.serve, shared_kafka) as life:
        await agrees(shared_kafka)
        told = generate_latest(life.registry).decode()
    counts = [float(line.split()[1]) for line in told.splitlines() if line.startswith("sendledger_fold_records_total")]
    assert sum(counts) == len(more)
    assert len(await read(shared_kafka, MESSAGE_STATE)) - before <= len(more)
    told_since = {since_of(record.headers) for record in await read(shared_kafka, CAMPAIGN_PARTIALS)} - {None}
    assert told_since
    assert all(since is not None and since >= began for since in told_since)


async def test_killed_in_the_middle(shared_kafka: Settings) -> None:
    """Kill -9 again and again while folding costs time, never a wrong number (P4)."""
    settings = quick(shared_kafka)
    await write(settings, outgoing(lives(3_000), settings.partitions))
    with spawned("fold", settings, 0) as workers:
        for already in (1, 2, 3):
            seen = len(await read(settings, CAMPAIGN_PARTIALS))

            async def more(than: int = seen) -> bool:
                return len(await read(settings, CAMPAIGN_PARTIALS)) > than

            await eventually(more, 60, "something was published")
            workers[0].kill()
            workers[0].wait(10)
            await write(settings, outgoing(lives(1_000, seed=10 + already), settings.partitions))
            workers[0] = spawn("fold", settings, 0)
        await agrees(settings, 90)


async def test_partitions_move_among_workers(shared_kafka: Settings) -> None:
    """Three workers; one is killed, one is stopped for longer than the session: all counts are exact."""
    settings = quick(shared_kafka)
    with spawned("fold", settings, 0, 1, 2) as workers:
        await write(settings, outgoing(lives(2_000), settings.partitions))
        await agrees(settings, 60)
        workers[0].send_signal(signal.SIGSTOP)
        await write(settings, outgoing(lives(1_500, seed=2), settings.partitions))
        await agrees(settings, 60)  # only possible once the others have its partitions
        workers[1].kill()
        workers[1].wait(10)
        workers[0].send_signal(signal.SIGCONT)  # wakes up with batches that it had read before
        await write(settings, outgoing(lives(1_500, seed=3), settings.partitions))
        await agrees(settings, 60)


async def test_the_last_write_fails(shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published, but not written: the worker ends, and the next one publishes the same again (step 2 before step 3)."""
    await write(shared_kafka, outgoing(lives(50), shared_kafka.partitions))

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(StateStore, "write", full)
        with pytest.raises(OSError, match="no space"):
            await fold.serve(shared_kafka, Life())
    published = {record.value for record in await read(shared_kafka, CAMPAIGN_PARTIALS)}
    assert published
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)


async def test_a_document_that_is_damaged_ends_it_once(shared_kafka: Settings) -> None:
    """The worker ends, and the next one does not meet it again: it folds that partition anew."""
    await write(shared_kafka, outgoing(lives(50, seed=1), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
    more = outgoing(lives(50, seed=2), shared_kafka.partitions)  # other events of the same recipients
    place = more[0].partition
    store = StateStore(shared_kafka.data_dir / "fold-0" / f"p{place}", Memory())
    store.write({b"r" + record.key: b"damaged" for record in more if record.partition == place}, {})
    store.close()
    await write(shared_kafka, more)
    with pytest.raises(DamagedDocumentError):
        await asyncio.wait_for(fold.serve(shared_kafka, Life()), 60)
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)


async def test_what_cannot_be_read_becomes_a_dead_letter(shared_kafka: Settings) -> None:
    """Garbage and events on a wrong topic go to the dead letters untouched, with headers; the partition goes on."""
    good = outgoing(lives(20), shared_kafka.partitions)
    request = next(record for record in good if record.topic == FOLD_SOURCES[0])
    bad = [
        Outgoing(POSTBACKS, 2, b"k1", b"no JSON: canary 15551234888"),
        Outgoing(SEND_ATTEMPTS, 2, b"k2", request.value),
    ]
    await write(shared_kafka, [*bad, *good])
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
    (letter,) = await read(shared_kafka, dlq(POSTBACKS))
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k1", b"no JSON: canary 15551234888")
    assert headers[EXCEPTION] == b"UnreadableEvent"
    assert b"15551234888" not in headers[MESSAGE]
    assert (headers[TOPIC], headers[PARTITION], headers[OFFSET]) == (POSTBACKS.encode(), b"2", b"0")
    (misplaced,) = await read(shared_kafka, dlq(SEND_ATTEMPTS))
    assert b"does not belong on this topic" in dict(misplaced.headers)[MESSAGE]


async def test_an_unknown_version_stops_the_worker(shared_kafka: Settings) -> None:
    """A worker that is older than its log ends with a message that says so, and writes nothing of that batch."""
    newer = b'{"id":"1","type":"sendledger.send-requested.v2","time":"2026-03-01T12:00:00Z","data":{}}'
    await write(shared_kafka, [Outgoing(FOLD_SOURCES[0], 1, b"k", newer)])
    with pytest.raises(UnknownVersion, match="newer than this program"):
        await fold.serve(shared_kafka, Life())
    assert await read(shared_kafka, CAMPAIGN_PARTIALS) == []


async def test_another_log_is_another_state(shared_kafka: Settings) -> None:
    """Topics made anew under the same names: the old state is thrown away and the new log folded from its start."""
    await write(shared_kafka, outgoing(lives(50, seed=1), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
    await fresh_topics(shared_kafka)
    await write(shared_kafka, outgoing(lives(400, seed=2), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)


async def test_a_cut_log_archives_what_it_no_longer_holds(shared_kafka: Settings) -> None:
    """Retention cut the log and the state is lost: old campaigns keep their last numbers, marked; new ones count."""
    await write(shared_kafka, outgoing(lives(60, campaigns=1), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        before = await agrees(shared_kafka)
    places = [TopicPartition(topic, p) for topic in FOLD_SOURCES for p in range(shared_kafka.partitions)]
    async with admin(shared_kafka.kafka) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})
    shutil.rmtree(shared_kafka.data_dir / "fold-0")
    events = [*lives(30, seed=2, campaigns=1)]
    renamed = [(data.model_copy(update={"campaign_id": "new"}), when) for data, when in events]
    await write(shared_kafka, outgoing([*renamed, *events[:20]], shared_kafka.partitions))
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):

        async def both() -> dict[str, Any] | None:
            last = {r.key.decode(): json.loads(r.value) for r in await read(shared_kafka, CAMPAIGN_STATE)}
            new = last.get("new", {}).get("counters", {})
            return last if new.get("requested") == 30 and "c0" in last else None

        states = await eventually(both, what="the new campaign is counted")
    assert states["c0"]["counters"] == totals(before)["c0"]
    assert (states["c0"]["archived"], states["new"]["archived"]) == (True, False)


async def test_two_workers_of_one_slot(shared_kafka: Settings) -> None:
    """A second worker that is given a slot in use ends with an error instead of sharing the first one's state."""
    await write(shared_kafka, outgoing(lives(50), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
        with spawned("fold", shared_kafka, 0) as workers:
            code = await asyncio.to_thread(workers[0].wait, 30)
            told = (shared_kafka.data_dir / "fold-0.log").read_text(encoding="utf-8")
            assert code == 1
            assert "SENDLEDGER_FOLD_SLOT" in told
        await write(shared_kafka, outgoing(lives(50, seed=2), shared_kafka.partitions))
        await agrees(shared_kafka)
