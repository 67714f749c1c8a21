"""Before an operator's `resend`: whether a postback has settled the doubt meanwhile (DESIGN §4 adoption, §6).

All facts about the recipient are read from the log and folded the plain way (`domain/plain.py`): exact, and slow on a
long log, which a decision made by a person may be.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.domain.facts import Fact, decode_fact
from sendledger.domain.message import Message
from sendledger.domain.plain import Seen, account
from sendledger.domain.settled import bucket
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import FOLD_SOURCES

_POLL_MS = 500
Read = tuple[int, int, Fact]


def may_resend(message: Message, reads: Sequence[Read]) -> bool:
    """Whether the message is queued by all facts about its recipient: (source topic, offset, fact), topic by topic."""
    facts = account(Seen(topic, offset, 0, fact) for topic, offset, fact in reads).messages.get(message.message_id)
    return facts is not None and bucket(facts) == "queued"


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
