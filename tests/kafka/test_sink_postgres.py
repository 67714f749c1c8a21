"""`sink postgres` on a real Kafka and PostgreSQL: killed, doubled, cut off, its tables are what the topics say."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from sendledger.config import Settings
from sendledger.domain.numbers import overdue
from sendledger.edges.publisher import Outgoing
from sendledger.edges.sinks.postgres import keep
from sendledger.edges.sinks.sink import Sink, SinkError
from sendledger.edges.sinks.tables import connected
from sendledger_schemas.states import CampaignState, MessageState
from sendledger_schemas.topics import CAMPAIGN_STATE, MESSAGE_STATE
from tests.support.folding import read, write
from tests.support.instance import Program, environment, running, sendledger
from tests.support.kafka import PEPPER, eventually, fresh_topics
from tests.support.postgres import PASSWORD, Postgres, postgres
from tests.support.processes import kill
from tests.support.receiver import free_port
from tests.support.sink import told_by
from tests.support.states import NOW, campaign_state, message_state

TOMBSTONE: Any = None
_BUCKETS = ("queued", "accepted", "sent", "delivered", "undelivered")


@pytest.fixture(scope="module")
def _server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(_server: Postgres) -> Postgres:
    """The module's server, without tables of ours."""
    _server.do("DROP SCHEMA IF EXISTS sendledger CASCADE")
    return _server


def message(state: MessageState) -> Outgoing:
    """A state as a record, on the partition of its message."""
    partition = int(state.message_id[1:]) % 8
    return Outgoing(MESSAGE_STATE, partition, state.message_id.encode(), state.model_dump_json().encode())


def campaign(state: CampaignState) -> Outgoing:
    """As `message`."""
    return Outgoing(CAMPAIGN_STATE, 3, state.campaign_id.encode(), state.model_dump_json().encode())


def a_history(records: int, seed: int, messages: int) -> list[Outgoing]:
    """Records in an order that no single writer would write: older ones behind newer ones, tombstones in between."""
    draw, made = random.Random(seed), []
    for _ in range(records):
        number, version = draw.randrange(messages), draw.randrange(1, 9)
        name, bucket = f"m{number}", draw.choice(_BUCKETS)
        if draw.random() < 0.03:
            made.append(Outgoing(MESSAGE_STATE, number % 8, name.encode(), TOMBSTONE))
        else:
            later = NOW + timedelta(seconds=version)
            over = {"detail": f"v{version}\0", "settled_at": later, "fold_version": draw.randrange(3, 5)}
            if bucket in {"accepted", "sent"}:  # by the clock, as the database's own `now()` is
                over["open_since"] = datetime.now(UTC) - timedelta(hours=draw.uniform(60, 90))
            made.append(message(message_state(name, f"c{number % 5}", version=version, bucket=bucket, **over)))
        if draw.random() < 0.02:
            made.append(campaign(campaign_state(f"c{number % 5}", version, version=version)))
    return made


async def wanted(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the topics say, by another reading than the program's: key → the facts of its greatest record."""
    found: dict[str, dict[str, Any]] = {MESSAGE_STATE: {}, CAMPAIGN_STATE: {}}
    for record in await read(settings, MESSAGE_STATE, CAMPAIGN_STATE):
        known, key = found[record.topic], record.key.decode()
        if record.value is None:
            known.pop(key, None)
            continue
        value = json.loads(record.value)
        before = known.get(key)
        if before is None or (value["version"], value["fold_version"]) > (before["version"], before["fold_version"]):
            known[key] = value
    return found[MESSAGE_STATE], found[CAMPAIGN_STATE]


async def agrees(settings: Settings, server: Postgres) -> None:
    """Both tables hold exactly what the topics say."""
    messages, campaigns = await wanted(settings)
    columns = 'message_id, campaign_id, bucket, detail, settled_at, version, fold_version, "to", day::text'
    rows = server.ask(f"SELECT {columns} FROM sendledger.messages")  # noqa: S608 — of ours
    there = {row[0]: row[1:] for row in rows}
    assert there.keys() == messages.keys()
    for name, value in messages.items():
        detail = value["detail"] and value["detail"].replace("\0", "\ufffd")
        settled = value["settled_at"] and datetime.fromisoformat(value["settled_at"])
        facts = (value["campaign_id"], value["bucket"], detail, settled, value["version"], value["fold_version"])
        assert there[name] == (*facts, "***888", "2026-11-22"), name
    unknown = agrees_about_unknown(server, messages)
    counted = server.ask("SELECT campaign_id, unknown FROM sendledger.current_campaigns")
    assert dict(counted) == {name: unknown[name] for name in campaigns}
    numbers = server.ask("SELECT campaign_id, requested, version FROM sendledger.campaigns")
    assert {n[0]: n[1:] for n in numbers} == {
        name: (value["counters"]["requested"], value["version"]) for name, value in campaigns.items()
    }


def agrees_about_unknown(server: Postgres, messages: dict[str, Any]) -> Counter[str]:
    """The view says what the exports say, by the database's clock; unknown messages by campaign."""
    rows = server.ask("SELECT message_id, unknown, now() FROM sendledger.current_messages")
    since = {m: v["open_since"] and datetime.fromisoformat(v["open_since"]) for m, v in messages.items()}
    assert {m: told for m, told, _ in rows} == {m: s is not None and overdue(s, rows[0][2]) for m, s in since.items()}
    return Counter(messages[name]["campaign_id"] for name, told, _ in rows if told)


def env_of(settings: Settings, server: Postgres, **over: str) -> dict[str, str]:
    """The environment of a sink, which tells nobody of itself unless `over` says where."""
    own = {"POSTGRES_DSN": server.dsn, "SINK_METRICS_PORT": "0", **over}
    given = environment(settings.data_dir / "cli", RECIPIENT_PEPPER=PEPPER, **own)
    return {**given, "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or ""}


async def once(settings: Settings, server: Postgres, dsn: str | None = None, patience: float = 60.0) -> None:
    """A sink in this process, up to the topics' ends."""
    sink = Sink(SecretStr(dsn or server.dsn), create=True, once=True, patience=patience)
    await asyncio.wait_for(keep(settings, sink, progress=lambda _read, _of: None), 60)


@asynccontextmanager
async def following(settings: Settings, server: Postgres, name: str, port: int = 0) -> AsyncIterator[Program]:
    """A sink that follows, with its metrics at this port."""
    env = env_of(settings, server, SINK_METRICS_PORT=str(port))
    async with running(name, "sink", "postgres", "--create", env=env, directory=settings.data_dir) as program:
        yield program


def waiting(server: Postgres) -> bool:
    """Whether a sink's transaction waits for a lock of the test's."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sendledger' AND wait_event_type = 'Lock'"
    return bool(server.ask(query)[0][0])


def cursors(server: Postgres) -> int:
    """How far all partitions are, together."""
    return int(server.ask("SELECT coalesce(sum(next_offset), 0) FROM sendledger.cursors")[0][0])


def moved(server: Postgres, before: int) -> bool:
    """Whether some of what was to be read is in the tables."""
    return cursors(server) > before


def up_to_date(sink: Program) -> bool:
    """Whether it says so. Errors: AssertionError with what it said if it has ended instead."""
    assert sink.process.returncode is None, sink.err
    return "up to date" in sink.err


async def test_many_create_the_tables_at_once(server: Postgres) -> None:
    """Sinks that start together, each with --create: one makes schema and tables, the others find them."""

    async def create() -> None:
        async with connected(SecretStr(server.dsn), "sendledger") as tables:
            await tables.create()

    for _ in range(5):
        await asyncio.gather(*(create() for _ in range(4)))
        assert cursors(server) == 0  # the table is there
        server.do("DROP SCHEMA sendledger CASCADE")


async def test_killed_in_the_middle_of_its_transactions(shared_kafka: Settings, server: Postgres) -> None:
    """Killed with -9 between rows and cursor, and at any other moment: nothing is lost, nothing stays old."""
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 — so that it can be run again
    await once(shared_kafka, server)
    for number in range(3):
        await write(shared_kafka, a_history(5_000, seed + number, 2_000))
        before = cursors(server)
        with psycopg.connect(server.dsn) as other:
            if number != 1:
                other.execute("LOCK TABLE sendledger.messages IN EXCLUSIVE MODE")
            async with following(shared_kafka, server, f"sink-{number}") as sink:
                if number != 1:
                    await eventually(lambda: waiting(server), what="it stands in the middle of a transaction")
                else:
                    await eventually(partial(moved, server, before), what="it works")
                kill(sink.process.pid)
                await sink.process.wait()
    await write(shared_kafka, [message(message_state("m0", version=0, bucket="queued"))])  # older than what is there
    await once(shared_kafka, server)
    await agrees(shared_kafka, server)


async def test_two_at_once_and_a_database_that_goes_away(shared_kafka: Settings, server: Postgres) -> None:
    """Two sinks write the same tables and take turns; when the database comes back both go on where they were."""
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 — so that it can be run again
    await write(shared_kafka, a_history(5_000, seed, 1_500))
    port = free_port()
    async with (
        following(shared_kafka, server, "one", port) as one,
        following(shared_kafka, server, "two") as two,
        told_by(port) as told,
    ):
        for sink in (one, two):
            await eventually(partial(up_to_date, sink), what="it is up to date")
        await agrees(shared_kafka, server)
        end = len(await read(shared_kafka, MESSAGE_STATE, CAMPAIGN_STATE))
        await told.until(ready=1, cursor=end, lag=0, age=0, away=0)
        taken = await sendledger(
            *("sink", "postgres"),
            env=env_of(shared_kafka, server, SINK_METRICS_PORT=str(port)),
            directory=one.directory,
        )
        assert (taken.code, "SENDLEDGER_SINK_METRICS_PORT" in taken.err, taken.err.count("\n")) == (2, True, 1)
        server.stop()
        await write(shared_kafka, a_history(2_000, seed + 1, 1_500))
        waits = len(await read(shared_kafka, MESSAGE_STATE, CAMPAIGN_STATE)) - end
        await told.until(ready=0, cursor=end, lag=waits)
        assert (await told.now())["away"] > 0
        assert 0 < (await told.now())["age"] < 60
        server.start()
        await eventually(lambda: cursors(server) == end + waits, what="the tables are at the topics' ends")
        await agrees(shared_kafka, server)
        await told.until(ready=1, cursor=end + waits, lag=0, age=0)
        seen = await told.now()
        assert 0 < seen["rows"] <= end + waits
        assert 0 <= time.time() - seen["written_at"] < 60
        assert [await sink.stop() for sink in (one, two)] == [0, 0]
        assert PASSWORD not in one.err + two.err


async def test_what_is_refused_is_told_and_leaves_the_cursor(shared_kafka: Settings, server: Postgres) -> None:
    """Each lasting error ends the sink with its reason; rows that were refused are written by the next run."""
    await one_line_without_the_password(shared_kafka, server)
    await write(shared_kafka, [message(message_state(f"m{number}")) for number in range(800)])
    await once(shared_kafka, server)
    server.do("ALTER TABLE sendledger.messages ADD CONSTRAINT no_more CHECK (bucket <> 'sent')")
    await write(shared_kafka, [message(message_state(f"m{n}", version=2, bucket="sent")) for n in range(800)])
    with pytest.raises(SinkError, match="no_more"):
        await once(shared_kafka, server)
    server.do("ALTER TABLE sendledger.messages DROP CONSTRAINT no_more")
    await once(shared_kafka, server)
    await agrees(shared_kafka, server)
    await unreadable_records_and_another_log(shared_kafka, server)


async def one_line_without_the_password(shared_kafka: Settings, server: Postgres) -> None:
    """No tables, a wrong password, no server, no address: exit code 2, what to do, and never a secret."""
    env = env_of(shared_kafka, server)
    ended = await sendledger("sink", "postgres", "--once", env=env, directory=shared_kafka.data_dir)
    assert (ended.code, "--create makes" in ended.err, ended.err.count("\n")) == (2, True, 1)
    reasons = {
        server.dsn.replace(PASSWORD, f"{PASSWORD}-wrong"): "password authentication failed",
        f"postgresql//x:{PASSWORD}@h/d": "must be like postgresql://",
        f"postgresql://x:{PASSWORD}@127.0.0.1:1/d": "PostgreSQL is away",
    }
    for dsn, reason in reasons.items():
        with pytest.raises(SinkError, match=reason) as told:
            await once(shared_kafka, server, dsn, patience=0)
        assert PASSWORD not in str(told.value)


async def unreadable_records_and_another_log(shared_kafka: Settings, server: Postgres) -> None:
    """Unreadable records are left out; tables of a log that is no more are not mixed with a new one's."""
    strange = [
        Outgoing(MESSAGE_STATE, 1, b"m1", b"\xff"),
        message(message_state("m9", version=2**70)),
        Outgoing(MESSAGE_STATE, 1, b"not-its-key", message_state("m9", version=4).model_dump_json().encode()),
    ]
    await write(shared_kafka, [message(message_state("m9", version=3)), *strange])
    await once(shared_kafka, server)
    assert server.ask("SELECT version FROM sendledger.messages WHERE message_id = 'm9'") == [(4,)]
    await fresh_topics(shared_kafka)
    with pytest.raises(SinkError, match="another log"):
        await once(shared_kafka, server)
