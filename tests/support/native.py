"""The fold as tests use it: facts instead of record batches, and records instead of batches of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from aiokafka.codec import lz4_decode

from sendledger.agents.fetched import Packed
from sendledger.domain.facts import Fact
from sendledger.edges import fold_core
from sendledger.edges.fold_core import Load, Origin
from sendledger.edges.record_batch import HEADER, PackedBatch
from sendledger_schemas.topics import FOLD_SOURCES


class Publication(NamedTuple):
    """One record to publish; `campaign_id` of partials only."""

    key: str
    value: bytes
    campaign_id: str = ""


@dataclass(frozen=True)
class Changes:
    """What a batch changed."""

    documents: dict[bytes, bytes]
    messages: list[Publication]
    partials: list[Publication]

    @classmethod
    def of(cls, changes: fold_core.Changes) -> Changes:
        """The same, record by record."""
        messages = [Publication(key, value) for batch in changes.messages for key, value in unpacked(batch)]
        partials = [Publication(one.key.decode(), one.value, one.campaign_id) for one in changes.partials]
        return cls(dict(changes.documents), messages, partials)


class PartitionFold:
    """`fold_core.PartitionFold` over facts."""

    def __init__(self, load: Load, origin: Origin, archived: Collection[str] = ()) -> None:
        self.inner = fold_core.PartitionFold(load, origin, archived)

    def fold(self, reads: Iterable[tuple[int, int, Fact]]) -> Changes:
        """One batch of (source topic, offset, fact), each topic's in log order."""
        by_topic: defaultdict[str, list[tuple[int, bytes, bytes]]] = defaultdict(list)
        for number, offset, fact in reads:
            by_topic[FOLD_SOURCES[number]].append((offset, fact.data.recipient_id.encode(), msgspec.json.encode(fact)))
        batches = {topic: [packed(records)] for topic, records in by_topic.items()}
        return Changes.of(self.inner.fold(batches, no_letters))

    def again(self, campaign_id: str, days: Sequence[str], messages: Mapping[str, str]) -> Changes:
        """What is stored, once more; `messages`: message id → recipient id."""
        return Changes.of(self.inner.again(campaign_id, days, messages))


def no_letters(topic: int, offset: int) -> bytes | None:
    """For logs in which nothing is out of the ordinary."""
    raise AssertionError(f"record {offset} of {FOLD_SOURCES[topic]} is out of the ordinary")


def unpacked(batch: PackedBatch) -> list[tuple[str, bytes]]:
    """Key and value of each record."""
    raw = lz4_decode(batch._build()[HEADER.size :])
    records = Packed(0, 0, batch.record_count() - 1, 0, batch.record_count(), raw).unpacked()
    return [((record.key or b"").decode(), record.value or b"") for record in records]


def packed(records: Sequence[tuple[int, bytes, bytes]], headers: Sequence[tuple[str, bytes]] = ()) -> Packed:
    """(offset, key, value), in any order, as one record batch; each with these headers."""
    base = min(offset for offset, _, _ in records)
    told = b"".join(_record(offset - base, key, value, headers) for offset, key, value in records)
    return Packed(base, base, max(offset for offset, _, _ in records), 0, len(records), told)


def _record(delta: int, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> bytes:
    body = b"\0\0" + _varint(delta) + _sized(key) + _sized(value) + _varint(len(headers))
    return _sized(body + b"".join(_sized(name.encode()) + _sized(said) for name, said in headers))


def _sized(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    value *= 2  # zigzag, of what is not negative
    told = bytearray()
    while value > 0x7F:
        told.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*told, value])
