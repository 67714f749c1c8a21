"""A real broker in tests: one for the whole run where a test can share it, its own where it cannot.

The topics' names are fixed, so tests that share the broker see each other's records: they make up recipients and
campaigns of their own, or take `fresh_topics`, which deletes and creates the topics anew.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sendledger.config import KafkaSettings, Settings
from sendledger.edges import system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.kafka import admin

PEPPER = "canary-pepper-0123456789abcdef"
_LOOK = 0.05


async def eventually(fact: Callable[[], Any], timeout: float = 30.0, what: str = "") -> Any:
    """Ask until the answer is true, and return it. Errors: AssertionError with the last answer after `timeout` s."""
    end = time.monotonic() + timeout
    while True:
        asked = fact()
        answer = await asked if isinstance(asked, Awaitable) else asked
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what or fact}; the last answer was {answer!r}")
        await asyncio.sleep(_LOOK)


def settings_on(bootstrap_servers: str, data_dir: Path, **over: Any) -> Settings:
    """Settings of a program that joins this embedded broker."""
    given: dict[str, Any] = {
        "kafka": KafkaSettings(bootstrap_servers=bootstrap_servers),
        "embedded_broker": True,
        "recipient_pepper": SecretStr(PEPPER),
        "data_dir": data_dir,
        **over,
    }
    return Settings(**given)


@asynccontextmanager
async def broker(directory: Path, **over: Any) -> AsyncIterator[EmbeddedKafka]:
    """A broker of one's own, without topics."""
    async with EmbeddedKafka(directory, jars=_jars(), **over) as kafka:
        yield kafka


@asynccontextmanager
async def system(directory: Path, **over: Any) -> AsyncIterator[Settings]:
    """A broker of one's own with all topics and the system record; the settings of a program on it."""
    async with broker(directory) as kafka:
        settings = settings_on(kafka.bootstrap_servers, directory, **over)
        await topics.create(settings)
        await system_record.confirm(settings)
        yield settings


async def fresh_topics(settings: Settings) -> None:
    """Delete all topics of the registry and create them anew, with the system record."""
    async with admin(settings.kafka) as client:
        there = await topics.find(client)
        await client.delete_topics(list(there))

        async def gone() -> bool:
            return not await topics.find(client)

        await eventually(gone, what="the topics are deleted")
    await topics.create(settings)
    await system_record.confirm(settings)


def _jars() -> Path | None:
    jars = os.environ.get("SENDLEDGER_KAFKA_JARS")
    return Path(jars) if jars else None


class SharedBroker:
    """The broker of the whole run, started when a test first asks for it; it outlives each test's event loop."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._directory = factory.mktemp("shared-kafka")
        self._broker = EmbeddedKafka(self._directory, jars=_jars())
        asyncio.run(self._broker.start())

    def settings(self, data_dir: Path, **over: Any) -> Settings:
        """Settings of a program on this broker with a data directory of its own."""
        return settings_on(self._broker.bootstrap_servers, data_dir, **over)

    def stop(self) -> None:
        """Stop it at the end of the run."""
        asyncio.run(self._broker.stop())
