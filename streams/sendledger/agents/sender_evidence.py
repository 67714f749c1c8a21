"""Before an operator's `resend`: whether a postback has settled the doubt meanwhile (DESIGN §4 adoption, §6).

The whole recipient is folded by the same `PartitionFold` as everybody's numbers, from the log, in memory: exact, and
slow on a long log, which a decision made by a person may be.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.domain.facts import Fact, decode_fact
from sendledger.domain.fold import PartitionFold
from sendledger.domain.message import NOTHING_READ, Message
from sendledger.domain.partial import Origin
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES

_POLL_MS = 500
Read = tuple[int, int, Fact]


class _Bucket(msgspec.Struct):
    bucket: str


_bucket = msgspec.json.Decoder(_Bucket).decode


def may_resend(message: Message, reads: Sequence[Read]) -> bool:
    """Whether the message is queued by all facts about its recipient: (source topic, offset, fact), topic by topic."""
    kept: dict[bytes, bytes] = {}
    fold = PartitionFold(lambda keys: [kept.get(key) for key in keys], Origin(0, 0, NOTHING_READ, {}))
    states = {state.key: state.value for state in fold.fold(reads).messages}
    state = states.get(message.message_id)
    return state is not None and _bucket(state).bucket == "queued"


async def facts_about(consumer: AIOKafkaConsumer, partition: int, recipient_id: str) -> list[Read]:
    """All facts about one recipient. The consumer is the caller's, started, and used for nothing else meanwhile."""
    places = [TopicPartition(topic, partition) for topic in FOLD_SOURCES]
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    await consumer.seek_to_beginning(*places)
    reads: list[Read] = []
    for number, place in enumerate(places):
        while await consumer.position(place) < ends[place]:
            fetched = await consumer.getmany(place, timeout_ms=_POLL_MS)
            mine = [record for record in fetched.get(place, []) if record.key == recipient_id.encode()]
            known = [(record.offset, _fact(record.value)) for record in mine]
            reads += [(number, offset, fact) for offset, fact in known if fact is not None]
    return reads


def _fact(raw: bytes | None) -> Fact | None:
    try:
        return decode_fact(raw or b"")
    except UnreadableEvent:
        return None
