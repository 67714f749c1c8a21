"""What never may change under a log, written on it (DESIGN §2): the pepper's fingerprint and the partition count.

The first record with the key `_system` in `sms.campaigns.v1` counts, so two programs that start at once agree.
"""

from __future__ import annotations

from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.config import Settings
from sendledger.edges.kafka import consumer, producer
from sendledger_schemas.campaigns import SYSTEM, SystemRegistered
from sendledger_schemas.envelope import HEADERS, UnreadableEvent, decode, encode, event
from sendledger_schemas.ids import event_id, pepper_fingerprint
from sendledger_schemas.topics import CAMPAIGNS

_PLACE = TopicPartition(CAMPAIGNS, 0)


class OtherSystemError(Exception):
    """This program's pepper or partition count is not the log's; the message says which. Exit code 2."""


async def confirm(settings: Settings, *, write: bool = True) -> None:
    """Return if the log is of this pepper and partition count; on a log that has none they are written first.

    `write=False` (a role) only reads: the log of a system that was never set up is left alone.
    Errors: OtherSystemError; ConfigError if there is no pepper; KafkaError.
    """
    ours = _ours(settings)
    first = await _first(settings)
    if first is None and write:
        await _write(settings, ours)
        first = await _first(settings)
    if first is None:
        raise OtherSystemError("the log has no system record: run `sendledger topics create` first")
    if first.pepper_fingerprint != ours.pepper_fingerprint:
        raise OtherSystemError(
            "SENDLEDGER_RECIPIENT_PEPPER: the log was made with another one; with this one nothing would be found"
        )
    if first.partitions != ours.partitions:
        raise OtherSystemError(
            f"SENDLEDGER_PARTITIONS: the log was made with {first.partitions}, not {ours.partitions}; it cannot change"
        )


def _ours(settings: Settings) -> SystemRegistered:
    return SystemRegistered(
        campaign_id=SYSTEM,
        by="sendledger",
        pepper_fingerprint=pepper_fingerprint(settings.pepper()),
        partitions=settings.partitions,
    )


async def _write(settings: Settings, ours: SystemRegistered) -> None:
    identity = event_id(ours.TYPE, ours.pepper_fingerprint, str(ours.partitions))
    happened = event(ours, id=identity, source="sendledger", time=datetime.now(UTC))
    async with producer(settings.kafka) as writer:
        await writer.send_and_wait(CAMPAIGNS, encode(happened), key=SYSTEM.encode(), partition=0, headers=HEADERS)


async def _first(settings: Settings) -> SystemRegistered | None:
    async with consumer(settings.kafka) as reader:
        reader.assign([_PLACE])
        await reader.seek_to_beginning(_PLACE)
        return await _first_of(reader)


async def _first_of(reader: AIOKafkaConsumer) -> SystemRegistered | None:
    end = (await reader.end_offsets([_PLACE]))[_PLACE]
    while await reader.position(_PLACE) < end:
        for record in (await reader.getmany(timeout_ms=200)).get(_PLACE, []):
            if record.key != SYSTEM.encode() or record.value is None:
                continue
            try:
                data = decode(record.value).data
            except UnreadableEvent:
                continue
            if isinstance(data, SystemRegistered):
                return data
    return None
