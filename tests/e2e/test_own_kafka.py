from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from sendledger.edges.embedded_kafka import EmbeddedKafka
from tests.support.instance import Api, Program, environment, running, sendledger
from tests.support.processes import until

PEPPER = "a-pepper-that-this-test-made-up"
OWN = {"RECIPIENT_PEPPER": PEPPER, "REPLICATION_FACTOR": "1", "PARTITIONS": "3"}
TOKENS = {"API_TOKENS": "admin:an-admin-token-of-this-test", "POSTBACK_TOKENS": "a-postback-token-of-this-test"}


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    """A Kafka that somebody else runs: the program only gets its address."""
    async with EmbeddedKafka(tmp_path / "theirs") as kafka:
        yield kafka


def own(tmp_path: Path, broker: EmbeddedKafka, **over: str) -> dict[str, str]:
    """An environment that names that Kafka."""
    env = environment(tmp_path / "data", **{**OWN, **TOKENS, **over})
    return {**env, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}


async def test_a_kafka_of_ones_own_is_prepared_once_and_then_used(tmp_path: Path, broker: EmbeddedKafka) -> None:
    """Without its topics `up` says what to do; `topics create` makes them; then everything runs on that Kafka."""
    env = own(tmp_path, broker)
    missing = await sendledger("up", env=env, directory=tmp_path)
    assert missing.code == 2
    assert "sms.send-requests.v1: missing" in missing.err
    assert "sendledger topics create" in missing.err
    made = await sendledger("topics", "create", env=env, directory=tmp_path)
    assert made.code == 0, made
    assert (await sendledger("topics", "check", env=env, directory=tmp_path)).code == 0
    async with running("up", "up", env=env, directory=tmp_path) as up:
        api = Api(env, TOKENS["API_TOKENS"].removeprefix("admin:"))
        await api.ready()
        (tmp_path / "people.csv").write_text("to\n15551230001\n15551230002\n")
        arguments = ("send", "c", "--sender", "60856", "--text", "Hello", "--recipients", "people.csv")
        sent = await sendledger(*arguments, env=env, directory=tmp_path)
        assert sent.code == 0, sent
        await api.until_counts("c", requested=2, queued=2)
        assert await up.stop() == 0
    assert not (tmp_path / "data" / "kafka").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"RECIPIENT_PEPPER": "another-pepper-than-the-logs-own"}, "SENDLEDGER_RECIPIENT_PEPPER"),
        ({"PARTITIONS": "4"}, "SENDLEDGER_PARTITIONS"),
    ],
)
async def test_a_role_with_other_settings_than_the_log_refuses(
    tmp_path: Path, broker: EmbeddedKafka, change: dict[str, str], complaint: str
) -> None:
    """A single role that was given another pepper or partition count ends with one line and exit code 2."""
    assert (await sendledger("topics", "create", env=own(tmp_path, broker), directory=tmp_path)).code == 0
    for role in ("fold", "receiver", "api"):
        ended = await sendledger("run", role, env=own(tmp_path, broker, **change), directory=tmp_path)
        assert ended.code == 2, ended.err[-2000:]
        assert complaint in ended.err.splitlines()[-1]


def says(program: Program, text: str) -> bool:
    """Whether the program has logged it."""
    return text in program.err


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """`up` and single roles say that Kafka is away and go on waiting; a signal ends them cleanly."""
    env = {**environment(tmp_path / "data", **OWN, **TOKENS), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    for name, arguments in (("up", ("up",)), ("fold", ("run", "fold")), ("api", ("run", "api"))):
        async with running(name, *arguments, env=env, directory=tmp_path) as program:
            await until(partial(says, program, "Kafka is away"), f"{name} says so")
            assert program.process.returncode is None
            assert await program.stop() == 0, program.err[-2000:]
            assert "Traceback" not in program.err
