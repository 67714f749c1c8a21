"""The merge on a real broker: one state a campaign, never behind what was published before."""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from sendledger.edges.kafka import connection
from sendledger.edges.publisher import Outgoing
from sendledger.edges.topic_ids import topic_ids
from sendledger_schemas.ids import partition_of
from sendledger_schemas.states import CampaignState
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES
from tests.support import story
from tests.support.folding import agrees, folded, lives, outgoing, read, role, totals, write
from tests.support.kafka import eventually
from tests.support.partials import record, record_key
from tests.support.role import spawn, spawned

Json = dict[str, Any]


async def published(settings: Settings) -> dict[str, Json]:
    """The last state of each campaign on the topic."""
    return {record.key.decode(): json.loads(record.value) for record in await read(settings, CAMPAIGN_STATE)}


def numbers(settings: Settings, wanted: dict[str, dict[str, int]]) -> Callable[[], Awaitable[bool]]:
    """Whether the published counters are these."""

    async def equal() -> bool:
        return {name: state["counters"] for name, state in (await published(settings)).items()} == wanted

    return equal


async def partial(
    settings: Settings, count: int, offset: int, *, partition: int = 0, slot: int = 0, campaign: str = "c1"
) -> Outgoing:
    """A partial as a fold publishes it."""
    ids = await topic_ids(connection(settings.kafka), FOLD_SOURCES)
    origin = Origin(partition, slot, NOTHING_READ, ids)
    counters: dict[str, int] = {"requested": count, "b:queued": count}
    key = record_key(campaign, origin, None).encode()
    place = partition_of(campaign, settings.partitions)
    return Outgoing(CAMPAIGN_PARTIALS, place, key, record(campaign, origin, None, counters, (offset, -1, -1, -1, -1)))


async def test_adds_up_what_the_folds_published(shared_kafka: Settings) -> None:
    """From the events to the state of each campaign: counters, series and orphans are those of the log."""
    log = outgoing(lives(300), shared_kafka.partitions)
    stray = story.postback("sent", "T-nobody", lives(1)[0][0].recipient_id)  # type: ignore[union-attr]
    await write(shared_kafka, [*log, *outgoing([(stray, 10)], shared_kafka.partitions)])
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
        wanted = await agrees(shared_kafka)
        main = totals(wanted)
        await eventually(numbers(shared_kafka, main), what="the states are the sums of the partials")

        async def orphans() -> bool:
            states = await published(shared_kafka)
            mine = {name: state["orphans"] for name, state in states.items() if name != "_none"}
            return mine == {name: main["_none"].get(f"orphans:{name}", 0) for name in mine} and sum(mine.values()) > 0

        await eventually(orphans, what="each campaign knows its orphans")
    for raw in (await published(shared_kafka)).values():
        state = CampaignState.model_validate(raw)
        days = {day: counters for (name, _, day), (counters, _v) in wanted.items() if name == state.campaign_id and day}
        assert state.series.keys() == days.keys()
        for day, counters in state.series.items():
            parts = [c for (name, _, d), (c, _v) in wanted.items() if name == state.campaign_id and d == day]
            assert counters == {key: sum(c.get(key, 0) for c in parts) for c in parts for key in c}


async def test_says_nothing_before_it_has_read_everything(shared_kafka: Settings) -> None:
    """A merge that starts on a long history publishes the end of it at once, and no state on the way there."""
    old = [await partial(shared_kafka, 1, offset, partition=p) for p in range(4) for offset in range(50)]
    await write(shared_kafka, old)
    async with role(merge.serve, shared_kafka):
        await eventually(lambda: read(shared_kafka, CAMPAIGN_STATE), what="a state is published")
    states = [json.loads(record.value) for record in await read(shared_kafka, CAMPAIGN_STATE)]
    assert [state["version"] for state in states] == [4 * 50]


async def test_a_restart_says_nothing_lesser(shared_kafka: Settings) -> None:
    """A merge that knows less than its own topic stays silent until it knows as much."""
    await write(shared_kafka, [await partial(shared_kafka, 5, 100)])
    async with role(merge.serve, shared_kafka):
        await eventually(numbers(shared_kafka, {"c1": {"requested": 5, "b:queued": 5}}))
    greater = (await published(shared_kafka))["c1"] | {"version": 200, "counters": {"requested": 9, "b:queued": 9}}
    place = partition_of("c1", shared_kafka.partitions)
    await write(shared_kafka, [Outgoing(CAMPAIGN_STATE, place, b"c1", msgspec.json.encode(greater))])
    async with role(merge.serve, shared_kafka):
        await write(shared_kafka, [await partial(shared_kafka, 6, 150)])
        await write(shared_kafka, [await partial(shared_kafka, 10, 250)])
        await eventually(numbers(shared_kafka, {"c1": {"requested": 10, "b:queued": 10}}))
    versions = [json.loads(record.value)["version"] for record in await read(shared_kafka, CAMPAIGN_STATE)]
    assert versions == sorted(versions)


async def test_a_woken_merge_is_corrected(shared_kafka: Settings) -> None:
    """A lesser state that a stale merge writes behind ours is followed by ours again, for compaction keeps the last."""
    await write(shared_kafka, [await partial(shared_kafka, 5, 100)])
    async with role(merge.serve, shared_kafka):
        await eventually(numbers(shared_kafka, {"c1": {"requested": 5, "b:queued": 5}}))
        lesser = (await published(shared_kafka))["c1"] | {"version": 3, "counters": {"requested": 1, "b:queued": 1}}
        place = partition_of("c1", shared_kafka.partitions)
        await write(shared_kafka, [Outgoing(CAMPAIGN_STATE, place, b"c1", msgspec.json.encode(lesser))])
        await eventually(numbers(shared_kafka, {"c1": {"requested": 5, "b:queued": 5}}))


async def test_a_late_partial_of_a_stale_fold_is_harmless(shared_kafka: Settings) -> None:
    """Of several slots the greatest version counts, whatever comes last."""
    await write(shared_kafka, [await partial(shared_kafka, 5, 100, slot=1), await partial(shared_kafka, 2, 30, slot=0)])
    await write(shared_kafka, [await partial(shared_kafka, 7, 10, partition=1)])
    async with role(merge.serve, shared_kafka):
        await eventually(numbers(shared_kafka, {"c1": {"requested": 12, "b:queued": 12}}))
        await write(
            shared_kafka, [await partial(shared_kafka, 3, 40, slot=0), await partial(shared_kafka, 8, 11, partition=1)]
        )
        await eventually(numbers(shared_kafka, {"c1": {"requested": 13, "b:queued": 13}}))


async def test_workers_come_and_go(shared_kafka: Settings) -> None:
    """Two merges, one stopped beyond its session and one killed, while a fold goes on: the states are the log's."""
    await write(shared_kafka, outgoing(lives(200, campaigns=12), shared_kafka.partitions))
    with spawned("merge", shared_kafka, 0, 1) as workers:
        async with role(fold.serve, shared_kafka):
            await eventually(numbers(shared_kafka, totals(await agrees(shared_kafka))), 60)
            workers[0].send_signal(signal.SIGSTOP)
            await write(shared_kafka, outgoing(lives(200, seed=2, campaigns=12), shared_kafka.partitions))
            await eventually(numbers(shared_kafka, totals(await agrees(shared_kafka))), 60)
            workers[1].kill()
            workers[1].wait(10)
            workers[0].send_signal(signal.SIGCONT)
            workers[1] = spawn("merge", shared_kafka, 1)
            await write(shared_kafka, outgoing(lives(200, seed=3, campaigns=12), shared_kafka.partitions))
            await eventually(numbers(shared_kafka, totals(await agrees(shared_kafka))), 60)
    wanted, _ = folded(await read(shared_kafka, *FOLD_SOURCES), shared_kafka.partitions)
    assert {name: state["counters"] for name, state in (await published(shared_kafka)).items()} == totals(wanted)
