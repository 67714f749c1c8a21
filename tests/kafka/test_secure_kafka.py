"""A Kafka of one's own: the same program against a real broker with TLS, passwords and client certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from sendledger.config import ConfigError, KafkaSettings
from sendledger.edges import system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.kafka import connection, consumer, out_of_reach, producer
from sendledger_schemas.topics import RECEIVERS
from tests.support.certificates import KEY_PASSWORD, Certificates, make
from tests.support.instance import Api, environment, running, sendledger
from tests.support.kafka import PEPPER, settings_on
from tests.support.receiver import free_port
from tests.support.simulation import simulator

PASSWORD = "canary-sasl-password-0123"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class SecureKafka(EmbeddedKafka):
    """The same broker with a user whose SCRAM password is written when the log is formatted."""

    def _command(self, java: str, main: str, *arguments: object) -> list[str]:
        scram = ("--add-scram", f"SCRAM-SHA-512=[name=app,password={PASSWORD}]") if "StorageTool" in main else ()
        return super()._command(java, main, *arguments, *scram)


@dataclass(frozen=True)
class Secured:
    """A running broker: its listener with passwords (TLS), its listener with client certificates."""

    sasl: str
    mutual: str
    plaintext: str
    files: Certificates

    def settings(self, **over: object) -> KafkaSettings:
        """Settings of a user with a password."""
        given = {
            "bootstrap_servers": self.sasl,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "app",
            "sasl_password": SecretStr(PASSWORD),
            "ssl_cafile": self.files.ca,
            **over,
        }
        return KafkaSettings.model_validate(given)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One broker with both listeners for all tests here."""
    directory = tmp_path_factory.mktemp("secure")
    files = make(directory / "pki")
    sasl, mutual = free_port(), free_port()
    listeners = f"PLAINTEXT://127.0.0.1:${{broker_port}},SASL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual}"
    kafka = SecureKafka(
        directory,
        settings={
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:${{controller_port}}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
            "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.sasl.plain.sasl.jaas.config": f'{_PLAIN} user_app="{PASSWORD}";',
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.mutual.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(files.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(files.ca),
        },
    )
    asyncio.run(kafka.start())
    yield Secured(f"127.0.0.1:{sasl}", f"127.0.0.1:{mutual}", kafka.bootstrap_servers, files)
    asyncio.run(kafka.stop())


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_sasl_ssl_carries_the_whole_set_up_and_records_both_ways(
    secured: Secured, tmp_path: Path, mechanism: str
) -> None:
    """Topics, system record, a write and a read work over TLS with a password."""
    kafka = secured.settings(sasl_mechanism=mechanism)
    settings = settings_on("", tmp_path, kafka=kafka, embedded_broker=False, replication_factor=1)
    await topics.create(settings)
    await system_record.confirm(settings)
    assert await topics.check(settings) == []
    async with producer(kafka) as writer:
        written = await writer.send_and_wait(RECEIVERS, mechanism.encode())
    async with consumer(kafka, RECEIVERS) as reader, asyncio.timeout(30):
        while (record := await reader.getone()).offset < written.offset:
            pass
    assert record.value == mechanism.encode()


async def test_a_client_certificate_with_a_locked_key_lets_in(secured: Secured) -> None:
    """SSL with a client's certificate works, and without one the broker is out of reach."""
    files = secured.files
    over = {"security_protocol": "SSL", "bootstrap_servers": secured.mutual}
    client = {"ssl_certfile": files.client_certificate, "ssl_keyfile": files.client_key}
    assert await out_of_reach(secured.settings(**over, **client, ssl_password=SecretStr(KEY_PASSWORD))) is None
    assert await out_of_reach(secured.settings(**over)) is not None


async def test_a_wrong_password_is_told_as_such(secured: Secured) -> None:
    """Refused credentials do not look like a broker that is away, and the password is not quoted."""
    reason = await out_of_reach(secured.settings(sasl_password=SecretStr("canary-wrong-password")))
    assert reason is not None
    assert "KAFKA_SASL_PASSWORD" in reason
    assert "canary" not in reason


async def test_a_server_that_the_authority_did_not_sign_is_not_trusted(secured: Secured) -> None:
    """Without the authority's certificate nothing is sent to the broker, not even the password."""
    assert await out_of_reach(secured.settings(ssl_cafile=None)) == "SSLCertVerificationError"


async def test_the_password_of_the_key_is_needed_and_never_shown(secured: Secured) -> None:
    """A locked key without its password is a wrong setting, told in one line at once (no question on a terminal)."""
    files = secured.files
    kafka = secured.settings(ssl_certfile=files.client_certificate, ssl_keyfile=files.client_key)
    with pytest.raises(ConfigError, match="KAFKA_SSL_PASSWORD"):
        connection(kafka)


def test_the_name_of_the_server_is_checked_unless_told_otherwise(secured: Secured) -> None:
    """KAFKA_SSL_CHECK_HOSTNAME=false keeps the check of the certificate and drops that of the name."""
    assert connection(secured.settings())["ssl_context"].check_hostname
    loose = connection(secured.settings(ssl_check_hostname=False))["ssl_context"]
    assert not loose.check_hostname
    assert loose.verify_mode is ssl.CERT_REQUIRED


async def test_a_client_stops_while_the_broker_holds_its_fetch(secured: Secured) -> None:
    """Stopping does not wait for a close_notify that the broker sends only after the fetch (30 s in the event loop)."""
    patient = consumer(secured.settings(), RECEIVERS, auto_offset_reset="latest", fetch_max_wait_ms=60_000)
    await patient.start()
    assert await patient.getmany(timeout_ms=500) == {}  # the fetch is with the broker now
    async with asyncio.timeout(15):
        await patient.stop()


async def test_the_whole_program_works_over_sasl_ssl(secured: Secured, tmp_path: Path) -> None:
    """Every role, Faust's membership included, on a Kafka with TLS and a password: a message is sent and delivered."""
    token = "an-admin-token-of-this-test"
    async with simulator(tmp_path) as provider:
        env = environment(
            tmp_path / "data",
            RECIPIENT_PEPPER=PEPPER,
            REPLICATION_FACTOR="1",
            API_TOKENS=f"admin:{token}",
            POSTBACK_TOKENS="a-postback-token-of-this-test",
            PROVIDER_URL=provider.url,
            PROVIDER_API_KEY="key",
        )
        env |= {
            "KAFKA_BOOTSTRAP_SERVERS": secured.sasl,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": "app",
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(secured.files.ca),
        }
        made = await sendledger("topics", "create", env=env, directory=tmp_path)
        assert made.code == 0, made
        async with running("up", "up", env=env, directory=tmp_path) as up:
            api = Api(env, token)
            await api.ready()
            (tmp_path / "people.csv").write_text("to\n15551230001\n15551230002\n")
            arguments = ("send", "c", "--sender", "60856", "--text", "Hello", "--recipients", "people.csv")
            sent = await sendledger(*arguments, env=env, directory=tmp_path)
            assert sent.code == 0, sent
            await api.until_counts("c", requested=2, accepted=2)
            assert await up.stop() == 0
            assert PASSWORD not in up.out + up.err
