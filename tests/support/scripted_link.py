"""A link to Kafka that acknowledges what the test says, and a writer in front of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest
from aiokafka.record.default_records import DefaultRecordBatch

from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds, Ready
from sendledger.edges.receiver_kafka import KafkaLink, Unreachable
from sendledger.edges.receiver_waiting import Bodies
from sendledger.edges.receiver_writer import Writer
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool


def records_of(ready: Ready) -> list[Record]:
    """The records of a batch, as a consumer reads them."""
    raw = bytes(ready.batch._build())
    assert raw[16] == 2
    batch = DefaultRecordBatch(bytearray(raw))
    assert batch.validate_crc()
    return [
        Record(ready.topic, ready.partition, one.key, one.value, tuple(one.headers)) for one in batch if one is not None
    ]


RECORDS = PostbackRecords(b"canary-pepper", 8, "sendledger/receiver/r-1")
BODIES = Bodies(RECORDS, PostbackRounds(RECORDS, most_bytes=20_000))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Answer = Callable[[Sequence[Record]], set[int]]


def record(number: int, size: int = 1) -> Record:
    """A record, different for each number."""
    return Record("t", number % 2, b"k", b"%d" % number + b"x" * size)


class ScriptedLink:
    """What KafkaLink promises, with acknowledgements at the test's word. `answer` is None: unreachable."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.sent: list[bytes] = []

    async def connect(self, *, seconds: float) -> None:  # noqa: ARG002
        """Reachable while there is an answer."""
        if self.answer is None:
            raise Unreachable("scripted")

    async def send(
        self,
        records: Sequence[Record],
        *,
        seconds: float,  # noqa: ARG002
        ready: Sequence[Ready] = (),
    ) -> set[int]:
        """Acknowledge what the script says."""
        await asyncio.sleep(0)
        places = [*range(len(records)), *(place for batch in ready for place in batch.covered)]
        records = [*records, *(one for batch in ready for one in records_of(batch))]
        acknowledged = self.answer(records) if self.answer else set[int]()
        self.sent += [records[position].value for position in sorted(acknowledged)]
        return {places[position] for position in acknowledged}

    def hold(self, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> tuple[list[int], asyncio.Event]:
        """From now on each round waits: the sizes of those that came, and the event that lets them all go on."""
        out, go = list[int](), asyncio.Event()

        async def send(records: Sequence[Record], *, seconds: float, ready: Sequence[Ready]) -> set[int]:
            out.append(len(records))
            await go.wait()
            return answer(records)

        monkeypatch.setattr(self, "send", send)
        return out, go

    async def give_up(self) -> None:
        """Nothing to leave."""

    async def close(self, *, seconds: float) -> None:
        """Nothing to close."""


def all_of(records: Sequence[Record]) -> set[int]:
    """Everything is acknowledged."""
    return set(range(len(records)))


def none_of(_records: Sequence[Record]) -> set[int]:
    """Nothing is."""
    return set()


@contextlib.asynccontextmanager
async def writing(link: ScriptedLink, spool: Spool, bodies: Bodies = BODIES) -> AsyncIterator[Writer]:
    """A running writer; its spool is left open for the test to look at."""
    writer = Writer(cast("KafkaLink", link), spool, on_spool=lambda _: None, bodies=bodies)
    running = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def content(spool: Spool) -> list[bytes]:
    """What stands in the spool, oldest first."""
    return [kept.value for _, kept in spool.head(records=1000, size=10**9)]
