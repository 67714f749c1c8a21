"""What is in doubt in a campaign, from the published message states, for programs that keep no view of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from pydantic import ValidationError

from sendledger.config import KafkaSettings
from sendledger.edges.kafka import consumer
from sendledger.edges.log_scan import Progress, scan, started
from sendledger_schemas.states import MessageState, rank
from sendledger_schemas.topics import MESSAGE_STATE

_NEEDLE = b'"in_doubt"'
_EVERY = 5_000  # records between two tellings


async def doubts(kafka: KafkaSettings, campaign_id: str, *, partitions: int, progress: Progress) -> list[MessageState]:
    """The campaign's messages in doubt, the newest doubt first. Errors: KafkaError.

    `sms.message-state.v1` is read once for all that was ever in doubt, and, if there is any, once more for what stands:
    of two records of a message the greater one does, whichever comes last.
    """
    found: dict[bytes, MessageState | None] = {}

    def look(record: Any) -> None:
        if record.value is not None and _NEEDLE in record.value and _state(record, campaign_id) is not None:
            found[record.key] = None

    def judge(record: Any) -> None:
        if record.key in found and record.value is not None:
            known, state = found[record.key], _state(record, campaign_id)
            if state is not None and (known is None or rank(state) >= rank(known)):
                found[record.key] = state

    await _read(kafka, partitions, look, lambda read, of: progress(read, 2 * of))
    if found:
        await _read(kafka, partitions, judge, lambda read, of: progress(of + read, 2 * of))
    doubtful = [state for state in found.values() if state is not None and state.bucket == "in_doubt"]
    return sorted(doubtful, key=lambda state: (state.doubt_since or state.requested_at, state.message_id), reverse=True)


async def _read(kafka: KafkaSettings, partitions: int, take: Callable[[Any], None], progress: Progress) -> None:
    async with started(consumer(kafka, group_id=None)) as reader:
        places = [TopicPartition(MESSAGE_STATE, number) for number in range(partitions)]
        reader.assign(places)
        first, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        begins, of = sum(first.values()), sum(ends.values()) - sum(first.values())
        done = {place.partition: offset for place, offset in first.items()}  # offsets, for compaction leaves holes
        taken = 0

        def counted(record: Any) -> None:
            nonlocal taken
            take(record)
            done[record.partition] = record.offset + 1
            taken += 1
            if taken % _EVERY == 0:
                progress(sum(done.values()) - begins, of)

        progress(0, of)
        await reader.seek_to_beginning(*places)
        await scan(reader, ends, counted)
        progress(of, of)


def _state(record: Any, campaign_id: str) -> MessageState | None:
    """The state, if it is one and of this campaign; looked for in the bytes first, for decoding is dear."""
    if campaign_id.encode() not in record.value:
        return None
    try:
        state = MessageState.model_validate_json(record.value)
    except ValidationError:
        return None
    return state if state.campaign_id == campaign_id else None
