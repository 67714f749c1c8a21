"""Events of one campaign, written at a fixed pace, and the campaign's numbers as they follow: who is how far behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from sendledger.config import Settings
from sendledger.edges.kafka import consumer, producer
from sendledger_schemas.envelope import HEADERS
from sendledger_schemas.topics import API_RESPONSES, CAMPAIGN_STATE, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.bench.event_bytes import Sms
from tests.bench.figures import Place, Sightings

CAMPAIGN = "live"
_FIRST = 5_000_000  # numbers of messages, far from those of `events.Plan`
_TICK = 0.02  # seconds


class _State(msgspec.Struct):
    campaign_id: str
    counters: dict[str, int]
    to: dict[str, dict[str, int]]


_state = msgspec.json.Decoder(_State).decode


def life(sms: Sms, at: int) -> Iterator[tuple[str, bytes]]:
    """The five events of a delivered message."""
    yield SEND_REQUESTS, sms.requested(at)
    yield SEND_ATTEMPTS, sms.started(at)
    yield API_RESPONSES, sms.accepted(at)
    yield POSTBACKS, sms.heard(at, "sent", at)
    yield POSTBACKS, sms.heard(at, "delivered", at)


@dataclass
class Writer:
    """`written`: of each topic partition (last offset of a batch, when it was acknowledged)."""

    settings: Settings
    messages_per_s: float
    messages: int = 0
    written: dict[Place, list[tuple[int, float]]] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Write until `stop`."""
        began = time.monotonic()
        async with producer(self.settings.kafka) as out, asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                due = int((time.monotonic() - began) * self.messages_per_s)
                if due > self.messages:
                    await self._write(out, self.messages, due, group)
                    self.messages = due
                await asyncio.sleep(_TICK)

    def stop(self) -> None:
        """End `run` once all is acknowledged."""
        self._stop.set()

    async def _write(self, out: AIOKafkaProducer, first: int, last: int, group: asyncio.TaskGroup) -> None:
        batches: dict[Place, BatchBuilder] = {}
        for number in range(first, last):
            sms = Sms(_FIRST + number, _FIRST + number, CAMPAIGN, self.settings.partitions)
            for topic, value in life(sms, 10_000 * number):
                place = topic, sms.partition
                if place not in batches:
                    batches[place] = out.create_batch()
                while batches[place].append(timestamp=None, key=sms.key, value=value, headers=HEADERS) is None:
                    await self._send(out, place, batches[place], group)  # it is full, and would take no more
                    batches[place] = out.create_batch()
        for place, batch in batches.items():
            await self._send(out, place, batch, group)

    async def _send(self, out: AIOKafkaProducer, place: Place, batch: BatchBuilder, group: asyncio.TaskGroup) -> None:
        flight = await out.send_batch(batch, place[0], partition=place[1])
        group.create_task(self._acknowledged(place, batch.record_count(), flight))

    async def _acknowledged(self, place: Place, count: int, flight: asyncio.Future[object]) -> None:
        done = await flight
        self.written.setdefault(place, []).append((done.offset + count - 1, time.monotonic()))  # type: ignore[attr-defined]


@dataclass
class Reader:
    """Reads `sms.campaign-state.v1`. `counters`: the campaign's numbers now."""

    settings: Settings
    seen: Sightings = field(default_factory=Sightings)
    counters: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with consumer(self.settings.kafka, CAMPAIGN_STATE) as reader:
            while True:
                for records in (await reader.getmany(timeout_ms=500)).values():
                    now = time.monotonic()
                    for record in records:
                        if record.key == CAMPAIGN.encode():
                            self._take(_state(record.value), now)

    def _take(self, state: _State, now: float) -> None:
        self.counters = state.counters
        for partition, to in state.to.items():
            for topic, offset in to.items():
                self.seen.see((topic, int(partition)), offset, now)
