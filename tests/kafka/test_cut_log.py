"""Retention cuts the log in the middle of a campaign: what can still be counted is exact, what cannot stands."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from sendledger.agents import fold, merge
from sendledger.config import Settings
from sendledger.edges.kafka import admin
from sendledger.edges.publisher import Outgoing
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES, MESSAGE_STATE, SEND_REQUESTS
from tests.support.chaos import Scale
from tests.support.chaos_load import COMMON, Load
from tests.support.chaos_truth import NONE, Truth, compacted, partials_differ, truth
from tests.support.exactness import WITHIN, exact, log_of, readable_json
from tests.support.folding import read, role, write
from tests.support.kafka import eventually

SCALE = Scale()
Json = dict[str, Any]


@pytest.fixture
async def merging(shared_kafka: Settings) -> AsyncIterator[Settings]:
    """Settings of a system whose merge runs all the time."""
    print(f"CHAOS_SEED={SCALE.seed}")  # noqa: T201
    async with role(merge.serve, shared_kafka):
        yield shared_kafka


async def cut(settings: Settings) -> None:
    """Delete every record that the fold's sources hold now."""
    places = [TopicPartition(topic, p) for topic in FOLD_SOURCES for p in range(settings.partitions)]
    async with admin(settings.kafka) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})


async def campaigns(settings: Settings) -> dict[str, Json]:
    """The last state of each campaign."""
    records = readable_json(await read(settings, CAMPAIGN_STATE))
    return {record.key.decode(): json.loads(record.value) for record in records}


def standing(partials: Any, of: set[str]) -> dict[bytes, Json]:
    """The counters that compaction would leave of the partials of these campaigns, under the fold's own slot."""
    last = {record.key: json.loads(record.value) for record in compacted(readable_json(partials))}
    return {key: found["counters"] for key, found in last.items() if found["campaign_id"] in of and found["slot"] == 0}


async def messages(settings: Settings, of: set[str]) -> dict[bytes, Json]:
    """What compaction would leave of the messages of these campaigns."""
    records = compacted(await read(settings, MESSAGE_STATE))
    states = {record.key: json.loads(record.value) for record in records}
    return {key: state for key, state in states.items() if state["campaign_id"] in of}


async def test_a_cut_behind_the_fold_changes_nothing(merging: Settings) -> None:
    """Facts that were folded may go: the worker's state goes on from them, also over a restart; no number moves."""
    load = Load(SCALE.seed, merging.partitions)
    await write(merging, load.portion(2_000))
    async with role(fold.serve, merging):
        await exact(merging)
        before = await log_of(merging)
        await cut(merging)
        await write(merging, load.portion(1_000))  # with receipts of messages whose requests are gone
        await exact(merging, [*before, *await log_of(merging)])
    await write(merging, load.rest())
    async with role(fold.serve, merging):
        await exact(merging, [*before, *await log_of(merging)])
    assert not any(state["archived"] for state in (await campaigns(merging)).values())


@pytest.mark.parametrize("state", ["older than the cut", "lost"])
async def test_a_cut_that_the_fold_cannot_bridge(merging: Settings, state: str) -> None:
    """What the log has no longer whole stands, marked, in each partition, whatever still comes; all else is exact.

    So it is when the state is lost, and when records were cut that the worker had not folded yet. It stays so over a
    restart, beside records that nobody can read, and beside a partial that counts from a later start.
    """
    load, first = everywhere(SCALE.seed, merging.partitions)
    await write(merging, first)
    async with role(fold.serve, merging):
        await exact(merging)
    stood, old = await campaigns(merging), set(await campaigns(merging)) - {NONE}
    partials, states = await read(merging, CAMPAIGN_PARTIALS), await messages(merging, old)
    if state == "lost":
        shutil.rmtree(merging.data_dir / "fold-0")
    else:
        await write(merging, load.portion(500))  # nobody folds these
    await cut(merging)
    await write(merging, [*load.portion(1_000), *spoiling(partials)])
    for more in (load.portion(200), load.rest()):
        async with role(fold.serve, merging):
            await eventually_new(merging, old, truth(await log_of(merging)))
        now = await campaigns(merging)
        assert {name: now[name]["counters"] for name in old} == {name: stood[name]["counters"] for name in old}
        assert {name for name in now if now[name]["archived"]} == old
        assert await messages(merging, old) == states
        assert standing(await read(merging, CAMPAIGN_PARTIALS), old) == standing(partials, old)
        await write(merging, more)
    assert old > set(COMMON)


def everywhere(seed: int, partitions: int) -> tuple[Load, list[Outgoing]]:
    """The first load from this seed on whose common campaigns have messages in each partition, and its first portion.

    Where a campaign has none before the cut, nothing of it stands there: what comes later is counted, and rightly so.
    """
    while True:
        load = Load(seed, partitions)
        first = load.portion(1_200)
        asked = [record for record in first if record.topic == SEND_REQUESTS]
        found = {(json.loads(record.value)["data"]["campaign_id"], record.partition) for record in asked}
        if found >= set(product(COMMON, range(partitions))):
            return load, first
        seed += 1


def spoiling(partials: Any) -> list[Outgoing]:
    """Beside the partials: bytes, a null, and a worker that knows nothing of what was cut, but has read further."""
    told = [(json.loads(record.value), record) for record in partials]
    stale, last = [(one, record) for one, record in told if one["campaign_id"] == COMMON[0] and one["day"] is None][-1]
    later = {topic: offset + 1_000 for topic, offset in stale["to"].items()}
    stale |= {"slot": 7, "from": stale["to"], "to": later, "version": stale["version"] + 5_000, "counters": {}}
    key = f"{COMMON[0]}/{stale['partition']}/7".encode()
    return [
        Outgoing(CAMPAIGN_PARTIALS, last.partition, key, json.dumps(stale).encode()),
        Outgoing(CAMPAIGN_PARTIALS, last.partition, b"unreadable", b"no JSON"),
        Outgoing(CAMPAIGN_PARTIALS, last.partition, b"unreadable", b"null"),
    ]


async def eventually_new(settings: Settings, old: set[str], wanted: Truth) -> None:
    """Wait until the campaigns that are not `old`, and the orphans, are what the log holds of them."""
    for place in [place for place in wanted.counters if place[0] in old]:
        del wanted.counters[place]
        wanted.to.pop(place, None)
    apart: list[str] = []

    async def equal() -> bool:
        found = readable_json(await read(settings, CAMPAIGN_PARTIALS))
        mine = [record for record in found if json.loads(record.value)["campaign_id"] not in old]
        apart[:] = partials_differ(wanted, compacted(mine))
        told, totals = await campaigns(settings), wanted.campaigns()
        orphans = totals.pop(NONE)
        for name, state in told.items():
            if name != NONE and state["orphans"] != orphans[f"orphans:{name}"]:
                apart.append(f"orphans of {name}: {state['orphans']}, not {orphans[f'orphans:{name}']}")
        for name, total in totals.items():
            counters = told[name]["counters"] if name in told else {}
            if any(counters.get(key, 0) != total[key] for key in ("requested", "b:delivered", "b:sent")):
                apart.append(f"the state of {name}")
        return not apart

    try:
        await eventually(equal, WITHIN)
    except AssertionError:
        raise AssertionError(f"not within {WITHIN:g} s: {apart}") from None
