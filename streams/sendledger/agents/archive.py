"""What a fold that begins anew on a cut log must leave alone (DESIGN §5).

Where retention has cut the log beyond the first record of a campaign, nobody can fold its numbers again: its last
partials stand, marked as archived, and the new fold never writes that campaign. `_none` (orphans) begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from sendledger.domain.merging import UNREADABLE, PartialRecord, decode_partial, rank
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.edges.publisher import Outgoing
from sendledger.edges.state_store import Identity
from sendledger_schemas.topics import CAMPAIGN_PARTIALS

Standing = Mapping[tuple[str, str | None], tuple[PartialRecord, Outgoing]]
"""(campaign, day) → the best partial that counts from further back than the log still goes, and its record."""


async def standing(connection: dict[str, Any], partitions: int, partition: int, identity: Identity) -> Standing:
    """The partials of one of the fold's partitions that cannot be folded again. Reads the whole compacted topic."""
    found: dict[tuple[str, str | None], tuple[PartialRecord, Outgoing]] = {}
    places = [TopicPartition(CAMPAIGN_PARTIALS, place) for place in range(partitions)]
    async with AIOKafkaConsumer(**connection, enable_auto_commit=False, auto_offset_reset="earliest") as reader:
        reader.assign(places)
        ends = await reader.end_offsets(places)
        for place in places:
            while await reader.position(place) < ends[place]:
                for record in (await reader.getmany(place, timeout_ms=1_000)).get(place, ()):
                    partial = _decoded(record)
                    if partial is not None and _stands(partial, partition, identity):
                        _keep(found, partial, Outgoing(record.topic, record.partition, record.key, record.value))
    return found


def _decoded(record: ConsumerRecord[Any, Any]) -> PartialRecord | None:
    """None for what is no partial: it tells of no campaign, and the merge counts and names it."""
    with contextlib.suppress(*UNREADABLE):
        return decode_partial(record.value or b"")
    return None


def _stands(partial: PartialRecord, partition: int, identity: Identity) -> bool:
    return (
        partial.partition == partition
        and partial.campaign_id != NO_CAMPAIGN
        and partial.topic_ids == identity.topic_ids
        and any(partial.from_.get(topic, first) < first for topic, first in identity.from_.items())
    )


def _keep(
    found: dict[tuple[str, str | None], tuple[PartialRecord, Outgoing]], partial: PartialRecord, record: Outgoing
) -> None:
    place = partial.campaign_id, partial.day
    if place not in found or rank(partial) > rank(found[place][0]):
        found[place] = partial, record


def archived(standing_partials: Standing, slot: int) -> list[Outgoing]:
    """The same numbers under our own slot, marked: they must outlive what other slots still write over theirs."""
    records = []
    for (campaign, day), (partial, record) in standing_partials.items():
        marked = {**msgspec.json.decode(record.value), "slot": slot, "archived": True}
        key = f"{campaign}/{partial.partition}/{slot}" + ("" if day is None else f"/{day}")
        records.append(record._replace(key=key.encode(), value=msgspec.json.encode(marked)))
    return records
