"""The facts that a demo waits for: nothing to send, nothing to be posted, nothing to be folded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from sendledger.config import Settings
from sendledger.demo.client import ApiError, Client
from sendledger.demo.report import Picture
from sendledger.edges.kafka import consumer
from sendledger_schemas.topics import FOLD_SOURCES

_CURSOR = "sendledger_consumer_cursor_offset"
_RATE_WINDOW = 3.0
_PATIENCE = aiohttp.ClientTimeout(total=5)

Json = dict[str, Any]


class Lag:
    """How far the fold is behind the ends of its topics: its own cursors beside what the broker says."""

    def __init__(self, reader: AIOKafkaConsumer, settings: Settings) -> None:
        self._reader = reader
        self._places = [TopicPartition(topic, p) for topic in FOLD_SOURCES for p in range(settings.partitions)]
        self._metrics = f"http://{settings.host}:{settings.metrics_port_of('fold')}/metrics"

    async def records(self) -> int:
        """Records that stand on the log and not in the fold's state. Errors: aiohttp.ClientError while it is down."""
        ends = await self._reader.end_offsets(self._places)
        async with aiohttp.ClientSession(timeout=_PATIENCE) as session, session.get(self._metrics) as answer:
            cursors = cursors_of(await answer.text())
        return sum(max(0, end - cursors.get((place.topic, place.partition), 0)) for place, end in ends.items())


def cursors_of(metrics: str) -> dict[tuple[str, int], int]:
    """(topic, partition) → next offset, from the fold's metrics."""
    return {
        (sample.labels["topic"], int(sample.labels["partition"])): int(sample.value)
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == _CURSOR
    }


@asynccontextmanager
async def lag_of(settings: Settings) -> AsyncIterator[Lag]:
    """The fold's lag, as long as the context lasts."""
    reader = consumer(settings.kafka, group_id=None)
    await reader.start()
    try:
        yield Lag(reader, settings)
    finally:
        await reader.stop()


class Watch:
    """Takes pictures of a running demo."""

    def __init__(self, client: Client, lag: Lag, expected: Mapping[str, int]) -> None:
        self._client = client
        self._lag = lag
        self._expected = expected
        self._began = time.monotonic()
        self._calls: deque[tuple[float, int]] = deque(maxlen=256)
        self._seen: dict[str, Json] = {}

    async def look(self, events: Sequence[str]) -> Picture:
        """One picture. `waiting_for` is empty when all there is to do has been done."""
        simulator = await self._client.simulator()
        for campaign_id in self._expected:
            # while its worker is being killed a number is as old as the last look
            with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
                self._seen[campaign_id] = await self._client.campaign(campaign_id)
        calls = simulator["submissions"]["total"]
        picture = Picture(
            seconds=time.monotonic() - self._began,
            expected=self._expected,
            campaigns=dict(self._seen),
            simulator=simulator,
            rate=self._rate(calls),
            waiting_for="",
            events=events,
        )
        return await self._with_wait(picture)

    def _rate(self, calls: int) -> float:
        now = time.monotonic()
        self._calls.append((now, calls))
        while now - self._calls[0][0] > _RATE_WINDOW:
            self._calls.popleft()
        since, before = self._calls[0]
        return (calls - before) / (now - since) if now > since else 0.0

    async def _with_wait(self, picture: Picture) -> Picture:
        waiting = await self._waiting_for(picture)
        return Picture(**{**picture.__dict__, "waiting_for": waiting})

    async def _waiting_for(self, picture: Picture) -> str:
        missing = sum(self._expected.values()) - picture.answered
        if missing:
            return f"{missing} messages to be answered"
        if not picture.simulator["quiet"]:
            return f"{picture.simulator['postbacks']['pending']} postbacks to come"
        try:
            behind = await self._lag.records()
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
            return "the fold to be there"
        return f"{behind} records to be folded" if behind else ""
