"""What a program told on its topic of counts: campaign → `requested` and buckets, added up over the partitions."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from sendledger.config import Settings
from sendledger.edges.kafka import admin, consumer
from sendledger_schemas.states import BUCKETS

Counts = dict[str, Counter[str]]
_OURS: dict[str, str] = {"requested": "requested", **{str(bucket): f"b:{bucket}" for bucket in BUCKETS}}
"""Names → counters of our partials."""


async def fresh_topic(settings: Settings, topic: str) -> None:
    """A new topic with the common partition count."""
    async with admin(settings.kafka) as client:
        await client.create_topics([NewTopic(topic, settings.partitions, 1)])


async def remove_topics(settings: Settings, prefix: str) -> None:
    """Delete what a program wrote, so that the next one finds the disk as it was."""
    async with admin(settings.kafka) as client:
        await client.delete_topics([name for name in await client.list_topics() if name.startswith(prefix)])


async def places(settings: Settings, topic: str) -> dict[TopicPartition, int]:
    """Where the topic ends now."""
    partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    async with asyncio.timeout(30), consumer(settings.kafka) as reader:
        ends: dict[TopicPartition, int] = await reader.end_offsets(partitions)
    return ends


async def counted(settings: Settings, since: Mapping[TopicPartition, int]) -> Counts:
    """The last counts of each key that were written since then. Keys: `campaign/partition`, ours `…/slot` too."""
    latest: dict[str, Any] = {}
    async with asyncio.timeout(60), consumer(settings.kafka) as reader:
        ends = await reader.end_offsets(list(since))
        left = {place for place, end in ends.items() if end > since[place]}
        reader.assign(list(left))
        for place in left:
            reader.seek(place, since[place])
        while left:
            for place, records in (await reader.getmany(timeout_ms=1_000)).items():
                for record in records:
                    latest[record.key.decode()] = json.loads(record.value)
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    return added(latest)


def added(latest: Mapping[str, Mapping[str, Any]]) -> Counts:
    """Sum over the partitions; of our own partials the buckets alone."""
    counts: Counts = {}
    for key, told in latest.items():
        campaign = key.partition("/")[0]
        if campaign == "_none" or told.get("day") is not None:
            continue
        ours = told.get("counters")
        named = told if ours is None else {name: ours.get(_OURS[name]) for name in _OURS}
        kept = {name: named[name] for name in _OURS if named.get(name)}
        counts.setdefault(campaign, Counter()).update(kept)
    return counts
