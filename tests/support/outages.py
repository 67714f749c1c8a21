"""What can go away under a receiver, and the clients that notice."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sendledger.config import Settings
from sendledger.edges import embedded_kafka, system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from tests.support.kafka import broker, settings_on
from tests.support.postback_checker import Clients
from tests.support.processes import descendants
from tests.support.receiver import TOKEN, free_port, with_receiver


def clients_of(settings: Settings, clients: int = 16, filling: str = "") -> Clients:
    """Clients of this receiver."""
    return Clients(f"http://127.0.0.1:{settings.receiver_port}/postbacks/{TOKEN}", clients=clients, filling=filling)


def without_kafka(settings: Settings) -> Settings:
    """The same receiver, whose Kafka is a port where nobody listens."""
    nowhere = settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    return settings.model_copy(update={"kafka": nowhere})


def jvm(kafka: EmbeddedKafka) -> list[int]:
    """The processes of the broker."""
    guard = kafka._guard
    assert guard is not None
    return [guard.pid, *descendants(guard.pid)]


@contextmanager
def stopped(kafka: EmbeddedKafka) -> Iterator[None]:
    """A broker that hangs: it takes connections and answers nothing."""
    pids = jvm(kafka)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def own_broker(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[EmbeddedKafka, Settings]]:
    """A broker to be stopped, killed and started again on its port, with all topics; a receiver's settings on it."""
    ports = [free_port(), free_port()]
    monkeypatch.setattr(embedded_kafka, "_free_ports", lambda _: ports)
    async with broker(directory) as kafka:
        settings = settings_on(kafka.bootstrap_servers, directory)
        await topics.create(settings)
        await system_record.confirm(settings)
        yield kafka, with_receiver(settings)
