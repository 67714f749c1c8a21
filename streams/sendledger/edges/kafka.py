"""Clients of Kafka, made in one place: safe writes, explicit reads, TLS and SASL from the settings."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest
from structlog.typing import FilteringBoundLogger

from sendledger.config import ConfigError, KafkaSettings
from sendledger.edges.releasing import ReleasingConsumer

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""The largest record that we write: a partial of a very large campaign; the topics allow as much."""

_ONE_LOOK = 5.0  # seconds for one attempt to reach a broker
_BETWEEN = 3.0  # seconds between two messages that the broker is away
_REFUSED = "it refuses KAFKA_SASL_USERNAME with this KAFKA_SASL_PASSWORD"


def connection(kafka: KafkaSettings) -> dict[str, Any]:
    """The keyword arguments that every aiokafka client needs. Errors: ConfigError for unusable certificates."""
    over: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in (kafka.bootstrap_servers or "").split(",")],
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        over["ssl_context"] = _ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        over["sasl_mechanism"] = kafka.sasl_mechanism
        over["sasl_plain_username"] = kafka.sasl_username
        over["sasl_plain_password"] = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    return over


class _OneSidedClose(ssl.SSLObject):
    """TLS that says goodbye and does not wait for the answer (RFC 8446 §6.1 asks neither side to).

    A broker that holds a long fetch reads nothing more from that connection: asyncio and uvloop would wait
    30 s for its close_notify at the stop of every such client.
    """

    def unwrap(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            super().unwrap()


def _ssl_context(kafka: KafkaSettings) -> Any:
    try:
        context = create_ssl_context(
            cafile=kafka.ssl_cafile,
            certfile=kafka.ssl_certfile,
            keyfile=kafka.ssl_keyfile,
            # never None: OpenSSL would ask for it on the terminal
            password=kafka.ssl_password.get_secret_value() if kafka.ssl_password else "",
        )
    except OSError as error:  # ssl.SSLError is one; its text names what is wrong, not the key
        names = "KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE, KAFKA_SSL_PASSWORD"
        raise ConfigError([f"{names}: cannot be used: {error.strerror or type(error).__name__}"]) from None
    context.check_hostname = kafka.ssl_check_hostname
    context.sslobject_class = _OneSidedClose
    return context


def producer(kafka: KafkaSettings, **over: Any) -> AIOKafkaProducer:
    """A producer, not started. A write counts once all in-sync replicas have it, and is never doubled by a retry.

    `over` replaces any argument of AIOKafkaProducer. Await every send: an error that nobody awaits is lost.
    """
    safe: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "lz4",
        "max_request_size": MAX_RECORD_BYTES,
    }
    return AIOKafkaProducer(**{**safe, **connection(kafka), **over})


def consumer(kafka: KafkaSettings, *topics: str, **over: Any) -> ReleasingConsumer:
    """A consumer, not started: from the start of the log, and committing nothing unless told to."""
    plain: dict[str, Any] = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_partition_fetch_bytes": MAX_RECORD_BYTES,
    }
    return ReleasingConsumer(*topics, **{**plain, **connection(kafka), **over})


@contextlib.asynccontextmanager
async def admin(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client, closed at the end."""
    client = AIOKafkaAdminClient(**connection(kafka))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def out_of_reach(kafka: KafkaSettings) -> str | None:
    """Why no server answers a metadata request with a broker in it now; None if one does. Errors: ConfigError."""
    over = connection(kafka)
    reason = "no server is named"
    for host, port, _family in collect_hosts(over.pop("bootstrap_servers")):
        try:
            async with asyncio.timeout(_ONE_LOOK):
                reached = await create_conn(host, port, **over)
                try:
                    answer = await reached.send(MetadataRequest([]))
                finally:
                    reached.close()
        except (KafkaError, OSError, TimeoutError) as error:
            reason = _REFUSED if isinstance(error, SaslAuthenticationFailed) else type(error).__name__
        else:
            if answer.brokers:
                return None
            reason = "no broker yet"
    return reason


async def wait_for_broker(kafka: KafkaSettings, log: FilteringBoundLogger) -> None:
    """Return once Kafka answers; until then say so every few seconds. Errors: ConfigError only."""
    while reason := await out_of_reach(kafka):
        log.warning("Kafka is away, waiting for it", servers=kafka.bootstrap_servers, reason=reason)
        await asyncio.sleep(_BETWEEN)
