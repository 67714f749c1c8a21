"""The DDL for ClickHouse in ClickHouse itself, as a library (chdb).

The Kafka engine cannot run there: tables with the same columns stand in its place, and the records of the topics are
inserted into them. Tested are the tables, the SELECTs of the views over real records, and which of several rows counts;
of the Kafka tables only that ClickHouse can read their statements.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendledger.domain.column_types import CLICKHOUSE
from sendledger.domain.rows import campaign_row, message_row
from sendledger_schemas.fields import EventData
from sendledger_schemas.states import CampaignState, MessageState, rank
from sendledger_schemas.tables import columns, kept_columns
from tests.support.states import NOW, campaign_state, message_state

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-oracles/bin/python"
DDL = ROOT / "infra/clickhouse"


def statements(name: str) -> list[str]:
    """The statements of a file; a semicolon ends one, also before a comment's end of line there is none."""
    text = re.sub(r"--.*$", "", (DDL / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [each.strip() for each in text.split(";\n") if each.strip()]


def clickhouse(*run: str) -> list[list[dict[str, Any]]]:
    """What each statement said."""
    if not (ROOT / ".venv-oracles/.made-from").is_file():
        why = "no ClickHouse for its DDL: infra/setup_tests.sh installs it (make test runs it)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    command = [str(PYTHON), "-W", "ignore", str(ROOT / "tests/oracles/clickhouse/run.py")]
    done = subprocess.run(command, input=json.dumps(run), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return [[json.loads(line) for line in said.splitlines()] for said in json.loads(done.stdout)]


def inserted(table: str, records: Sequence[bytes]) -> str:
    """Records of a topic as the Kafka engine would give them."""
    rows = "\n".join(json.dumps({"record": record.decode(), "_error": ""}) for record in records)
    return f"INSERT INTO sendledger.{table} FORMAT JSONEachRow {rows}"


def newest(states: Sequence[Any], key: str) -> list[Any]:
    """Of each key the state of the greatest rank, by key."""
    found: dict[str, Any] = {}
    for state in states:
        name = getattr(state, key)
        if name not in found or rank(state) > rank(found[name]):
            found[name] = state
    return [found[name] for name in sorted(found)]


def as_told(row: dict[str, Any], table: str) -> dict[str, Any]:
    """A row as ClickHouse prints it: times with a blank, 64-bit numbers as they are."""
    kinds = {column.name: column.kind for column in columns(table)}
    return {
        name: value.replace("T", " ").rstrip("Z") if kinds[name] == "instant" and value else value
        for name, value in row.items()
    }


def test_the_tables_are_what_the_topics_say() -> None:
    """Records in any order, older ones last, some twice: each row is that of the greatest rank, column by column."""
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 — so that it can be run again
    draw, moment = random.Random(seed), datetime.now(UTC).replace(minute=30)
    messages: list[MessageState] = [
        message_state(
            f"m{draw.randrange(60):02d}",
            draw.choice(("spring", "2027")),
            version=draw.randrange(1, 6) * 10**9,
            fold_version=draw.randrange(3, 6),
            bucket=draw.choice(("delivered", "rejected", "in_doubt")),
            detail=draw.choice((None, 'it\'s "=1"', "żółć")),
            operator_id=draw.choice((None, "")),
            sent_at=draw.choice((None, NOW.replace(microsecond=123456))),
            open_since=draw.choice((None, moment - timedelta(hours=draw.randrange(60, 90)))),
        )
        for _ in range(400)
    ]
    counters = {"requested": 5, "b:delivered": 3, "b:rejected": 2, "accepted_ever": 3, "carrier": 3, "repeat": 4}
    campaigns: list[CampaignState] = [
        campaign_state(
            draw.choice(("spring", "2027", "c1", "c2", "c3")),
            counters={**counters, "late": version} if version > 2 else {},
            version=version,
        )
        for version in draw.choices(range(1, 6), k=40)
    ]
    # the same key and rank must be the same record, as it is on the log
    messages, campaigns = _consistent(messages, "message_id"), _consistent(campaigns, "campaign_id")
    source = "(`record` String, `_error` String) ENGINE = Null"
    kafka = statements("kafka.sql")
    queues = [each for each in kafka if "kafka_topic_list" in each]
    views = [each for each in kafka if each.startswith("CREATE MATERIALIZED VIEW")]
    assert (len(queues), len(views), len(kafka)) == (2, 2, 4)
    said = clickhouse(
        *statements("tables.sql"),
        *(f"EXPLAIN AST {each}" for each in queues),
        f"CREATE TABLE sendledger.message_states {source}",
        f"CREATE TABLE sendledger.campaign_states {source}",
        *views,
        *(inserted("message_states", _records(messages[n : n + 40])) for n in range(0, 400, 40)),
        inserted("message_states", [b"", b"[]", b"{}", b"not json"]),
        inserted("campaign_states", _records([*campaigns, campaign_state("_none")])),
        "SET output_format_json_quote_64bit_integers = 0",
        "SELECT * EXCEPT rank FROM sendledger.current_messages ORDER BY message_id, campaign_id",
        "SELECT * EXCEPT rank FROM sendledger.current_campaigns ORDER BY campaign_id",
        "SELECT table, name, type, comment FROM system.columns WHERE database = 'sendledger' ORDER BY table, position",
    )
    told_messages, told_campaigns, described = said[-3:]
    rows = [message_row(state, now=datetime.now(UTC)) for state in newest(messages, "message_id")]
    assert told_messages == [as_told(row, "messages") for row in rows]
    unknown = Counter(row["campaign_id"] for row in rows if row["unknown"])
    assert told_campaigns == [
        {**as_told(campaign_row(state), "campaigns"), "unknown": unknown[state.campaign_id]}
        for state in newest(campaigns, "campaign_id")
    ]
    for table in ("messages", "campaigns"):
        there = [each for each in described if each["table"] == table and each["name"] != "rank"]
        assert [(each["name"], each["comment"]) for each in there] == [
            (c.name, c.description) for c in kept_columns(table)
        ]
        for each, column in zip(there, kept_columns(table), strict=True):
            plain = re.sub(r"LowCardinality\((.*)\)", r"\1", each["type"])
            kind = CLICKHOUSE[column.kind]
            assert plain == (f"Nullable({kind})" if column.optional else kind)


def _records(states: Sequence[EventData]) -> list[bytes]:
    return [state.model_dump_json().encode() for state in states]


def _consistent(states: list[Any], key: str) -> list[Any]:
    """Of each key, and rank, the first everywhere; of a message the first campaign everywhere."""
    first: dict[Any, Any] = {}
    return [
        first.setdefault((getattr(s, key), *rank(s)), s)
        for s in (
            state.model_copy(update={"campaign_id": first.setdefault(getattr(state, key), state).campaign_id})
            for state in states
        )
    ]
