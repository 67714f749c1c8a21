"""Dead letters: the untouched bytes of what could not be used, with what was wrong, on `<topic>.dlq` (DESIGN §3).

The headers `__streams.errors.*` are those of KIP-1034. A letter that was never a record (the body of a postback) has
no partition and no offset. A reason is of a closed list or a description of fields: it never quotes the letter (P7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from sendledger.edges.record import Headers, Record
from sendledger_schemas.topics import dlq

EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"
RECEIVED_AT = "sendledger.received-at"
PARTITION_OF_DLQ = 0  # dead-letter topics are not keyed: they have one partition


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be used and why. `error`: an exception's name; `reason`: why, without any content.

    `topic`: where the record stood, or would have gone. `partition`, `offset`: None if it was never on a topic.
    """

    topic: str
    error: str
    reason: str
    key: bytes | None = field(repr=False)
    value: bytes = field(repr=False)
    headers: Headers = field(repr=False, default=())
    partition: int | None = None
    offset: int | None = None


def as_record(letter: DeadLetter) -> Record:
    """The letter as it goes to `<topic>.dlq`: key, value and headers as they came, the five headers behind them."""
    told: list[tuple[str, bytes]] = [
        (EXCEPTION, letter.error.encode()),
        (MESSAGE, letter.reason.encode()),
        (TOPIC, letter.topic.encode()),
    ]
    if letter.partition is not None:
        told.append((PARTITION, str(letter.partition).encode()))
    if letter.offset is not None:
        told.append((OFFSET, str(letter.offset).encode()))
    return Record(dlq(letter.topic), PARTITION_OF_DLQ, letter.key, letter.value, (*letter.headers, *told))


async def bury(producer: AIOKafkaProducer, letters: Iterable[DeadLetter]) -> None:
    """Write the letters and await every acknowledgement. Errors: KafkaError."""
    acknowledgements = []
    for letter in letters:
        record = as_record(letter)
        acknowledgements.append(
            await producer.send(
                record.topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=list(record.headers),
            )
        )
    for acknowledgement in acknowledgements:
        await acknowledgement
