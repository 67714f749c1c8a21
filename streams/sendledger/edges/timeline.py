"""What happened to one message, from the events themselves: read on demand from its recipient's partition.

All facts about a recipient meet in one partition, so five partition logs are read from about the time of the request
on. Nothing personal leaves this file: no number, no text, no raw postback (P7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from sendledger.config import KafkaSettings
from sendledger.domain.step_words import told
from sendledger.edges.kafka import consumer
from sendledger.edges.log_scan import scan, started
from sendledger_schemas.envelope import Event, UnreadableEvent, decode
from sendledger_schemas.fields import MessageEvent, format_instant
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.states import MessageState, rank
from sendledger_schemas.topics import API_RESPONSES, DECISIONS, MESSAGE_STATE, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS

# Clocks of writers and broker may differ, and a postback may overtake what it answers (DESIGN §4: 5 minutes).
_BEFORE = timedelta(minutes=10)
_HIDDEN = frozenset({"message_id", "campaign_id", "recipient_id", "to", "text", "raw", "request"})
_PREFIX = "sendledger."


@dataclass(frozen=True)
class Step:
    """One event. `matched`: False for a postback of the recipient that is not known to be this message's."""

    at: datetime
    what: str
    topic: str
    partition: int
    offset: int
    facts: dict[str, Any]
    matched: bool = True

    def shown(self) -> dict[str, Any]:
        """As JSON shows it."""
        place = {"topic": self.topic, "partition": self.partition, "offset": self.offset}
        head = {"at": format_instant(self.at), "what": self.what, "says": self.says, "matched": self.matched}
        return {**head, **place, **self.facts}

    @property
    def says(self) -> str:
        """The same in plain words."""
        return told(self.what, self.facts, matched=self.matched)


async def timeline(kafka: KafkaSettings, state: MessageState) -> list[Step]:
    """The steps of the message, in the order of their times. Errors: KafkaError."""
    partition = state.request.partition
    start = state.requested_at - _BEFORE
    async with started(consumer(kafka, group_id=None)) as reader:
        request = TopicPartition(SEND_REQUESTS, partition)
        journals = [TopicPartition(t, partition) for t in (SEND_ATTEMPTS, API_RESPONSES, DECISIONS, POSTBACKS)]
        reader.assign([request, *journals])
        ends = await reader.end_offsets([request, *journals])
        reader.seek(request, state.request.offset)
        ends[request] = min(ends[request], state.request.offset + 1)
        millis = int(start.timestamp() * 1000)
        for place, found in (await reader.offsets_for_times(dict.fromkeys(journals, millis))).items():
            reader.seek(place, found.offset if found is not None else ends[place])
        needle = state.recipient_id.encode()
        steps: list[Step] = []
        await scan(reader, ends, lambda record: _collect(record, needle, state, steps))
    return sorted(steps, key=lambda step: (step.at, _TOPIC_ORDER.index(step.topic), step.offset))


_TOPIC_ORDER = (SEND_REQUESTS, SEND_ATTEMPTS, API_RESPONSES, POSTBACKS, DECISIONS)


async def find_state(kafka: KafkaSettings, message_id: str, *, partitions: int) -> MessageState | None:
    """The newest state of a message, for programs that keep no view: reads all of `sms.message-state.v1` once."""
    key = message_id.encode()
    best: MessageState | None = None

    def keep(record: Any) -> None:
        nonlocal best
        if record.key == key:
            found = MessageState.model_validate_json(record.value) if record.value is not None else None
            if found is None or best is None or rank(found) > rank(best):
                best = found

    async with started(consumer(kafka, group_id=None)) as reader:
        places = [TopicPartition(MESSAGE_STATE, p) for p in range(partitions)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        await scan(reader, await reader.end_offsets(places), keep)
    return best


def _collect(record: Any, needle: bytes, state: MessageState, steps: list[Step]) -> None:
    # Looked for in the bytes first: of a partition's records few are this recipient's, and decoding is dear.
    if record.value is None or needle not in record.value:
        return
    try:
        happened = decode(record.value)
    except UnreadableEvent:
        return
    if (matched := _belongs(happened, state)) is not None:
        steps.append(_step(happened, record, matched=matched))


def _belongs(happened: Event, state: MessageState) -> bool | None:
    """True: an event of the message; False: a postback that may be; None: of another message."""
    data = happened.data
    if isinstance(data, MessageEvent):
        return True if data.message_id == state.message_id else None
    if isinstance(data, PostbackReceived) and data.recipient_id == state.recipient_id:
        if data.tracking_id is not None and data.tracking_id == state.tracking_id:
            return True
        return False if state.tracking_id is None else None
    return None


def _step(happened: Event, record: Any, *, matched: bool) -> Step:
    data = happened.data.model_dump(mode="json", exclude_none=True, by_alias=True)
    facts = {name: value for name, value in data.items() if name not in _HIDDEN}
    what = happened.type.removeprefix(_PREFIX).rpartition(".v")[0]
    return Step(happened.time, what, record.topic, record.partition, record.offset, facts, matched)
