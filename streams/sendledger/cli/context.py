"""What every verb needs first: the settings, and the running instance that it joins."""

from __future__ import annotations

import getpass
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop
from aiokafka.errors import KafkaError

from sendledger.cli.errors import CannotError
from sendledger.config import Settings, load
from sendledger.edges.embedded_kafka import BrokerError
from sendledger.edges.kafka import out_of_reach, producer
from sendledger.edges.logging import configure
from sendledger.edges.orders import Orders
from sendledger.edges.running import AlreadyRunningError, Running, find
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.edges.system_record import OtherSystemError
from sendledger.edges.topics import TopicsError

T = TypeVar("T")


def operator() -> str:
    """Who gives the order, as it stands in `by` of the events: the operating system's user."""
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):
        return "user:unknown"


def secrets_of(settings: Settings) -> list[str]:
    """All secrets that these settings hold, for the log to leave out."""
    single = (settings.provider_api_key, settings.recipient_pepper, settings.kafka.sasl_password,
              settings.kafka.ssl_password, settings.postgres_dsn)  # fmt: skip
    several = (*settings.postback_tokens, *(given.token for given in settings.api_tokens))
    plain = [secret.get_secret_value() for secret in (*single, *several) if secret is not None]
    pairs = [pair.get_secret_value() for pair in settings.receiver_basic_auth]
    # HTTP Basic's pairs as they are set, as they go over the wire, and their passwords alone.
    forms = [form for pair in pairs for form in (pair, b64encode(pair.encode()).decode(), pair.partition(":")[2])]
    return plain + forms


def joining() -> Settings:
    """The settings on the Kafka that is given, or on that of the instance which runs on the data directory.

    Errors: ConfigError; CannotError if none runs.
    """
    settings = load()
    if not settings.embedded or settings.kafka.bootstrap_servers is not None:
        return with_kept_secrets(settings)
    running = find(settings.data_dir)
    if running is None:
        raise CannotError(
            f"no Sendledger runs on {settings.data_dir}: start `sendledger up`, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    return with_kept_secrets(_on(running, settings))


def _on(running: Running, settings: Settings) -> Settings:
    if not running.embedded:
        raise CannotError(
            f"the Sendledger that runs here (process {running.pid}) uses the Kafka at {running.bootstrap_servers}: "
            "set KAFKA_BOOTSTRAP_SERVERS and the other settings as it has them"
        )
    return settings.on(running.bootstrap_servers)


async def reachable(settings: Settings) -> Settings:
    """The same settings, once it is known that their Kafka answers. Errors: CannotError."""
    if (reason := await out_of_reach(settings.kafka)) is not None:
        raise CannotError(f"Kafka at {settings.kafka.bootstrap_servers} does not answer: {reason}")
    return settings


@asynccontextmanager
async def orders_of(settings: Settings) -> AsyncIterator[Orders]:
    """Who writes orders, as long as the context lasts. Errors: CannotError, KafkaError."""
    await reachable(settings)
    writer = producer(settings.kafka)
    await writer.start()
    try:
        yield Orders(writer, pepper=settings.pepper(), partitions=settings.partitions)
    finally:
        await writer.stop()


def run(work: Coroutine[Any, Any, T], *, role: str = "cli", settings: Settings | None = None) -> T:
    """Run the work of a verb; what is no fault of the program becomes a CannotError.

    The settings' secrets stay out of whatever is logged meanwhile.
    """
    secrets = [] if settings is None else secrets_of(settings)
    configure(role=role, secrets=secrets, level="WARNING" if settings is None else settings.log_level)
    try:
        return uvloop.run(work)
    except (AlreadyRunningError, BrokerError, OtherSystemError, TopicsError) as error:
        raise CannotError(str(error)) from None
    except (KafkaError, TimeoutError) as error:
        raise CannotError(f"Kafka did not do it: {type(error).__name__}") from None


def joined(work: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Run the work of a verb on the Kafka that it joins. Errors: ConfigError, CannotError."""
    settings = joining()

    async def reached() -> T:
        return await work(await reachable(settings))

    return run(reached(), settings=settings)
