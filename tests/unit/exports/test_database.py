"""What a Database makes of the records of the compacted topics: of each key the greatest, whatever came when."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendledger.edges.exports import views
from sendledger.edges.exports.database import Database
from sendledger.edges.exports.scan import Reading
from sendledger.edges.message_index import MessageIndex
from sendledger.edges.view import View
from sendledger_schemas.states import MessageState
from sendledger_schemas.topics import MESSAGE_STATE
from tests.support.exports import Log, asked
from tests.support.states import campaign_state, message_state


def test_the_greater_version_wins_whatever_order_it_came_in(made: Database) -> None:
    """An older record behind a newer one changes nothing; a newer fold replaces an older one once it is as far."""
    log = Log(Reading(made, ("messages", "campaigns")))
    for version, fold_version, bucket in ((3, 4, "sent"), (5, 4, "delivered"), (4, 4, "accepted"), (4, 9, "queued")):
        log.message(message_state("m", version=version, fold_version=fold_version, bucket=bucket))
    log.message(message_state("n", version=5, fold_version=4, bucket="sent"))
    log.message(message_state("n", version=5, fold_version=5, bucket="delivered"))
    log.campaign(campaign_state("spring", 7, version=9))
    log.campaign(campaign_state("spring", 5, version=8))
    made.settle("messages", "campaigns")
    wanted = [("m", "delivered", 5), ("n", "delivered", 5)]
    assert asked(made, "SELECT message_id, bucket, version FROM messages ORDER BY ALL") == wanted
    assert asked(made, "SELECT campaign_id, requested FROM campaigns") == [("spring", 7)]


def test_a_tombstone_forgets_what_came_before_it_and_of_its_topic_only(made: Database) -> None:
    """A deleted message is not exported; a record behind the tombstone is; a campaign of the same name stays."""
    log = Log(Reading(made, ("messages", "campaigns")))
    log.campaign(campaign_state("a"))
    log.message(message_state("a", version=9))
    log.message(message_state("b", version=9))
    log.record(MESSAGE_STATE, "a", None)
    log.record(MESSAGE_STATE, "b", None)
    log.message(message_state("b", version=2))
    made.settle("messages", "campaigns")
    assert asked(made, "SELECT message_id, version FROM messages") == [("b", 2)]
    assert asked(made, "SELECT campaign_id FROM campaigns") == [("a",)]


def test_what_nobody_can_read_is_counted_and_left_out(made: Database) -> None:
    """Broken records stop nothing; a record of another campaign that quotes the wanted one's name is not its."""
    reading = Reading(made, ("messages",), "spring")
    log = Log(reading)
    for value in (b"\xff spring", b'{"campaign_id": "spring"}', b"[]"):
        log.record(MESSAGE_STATE, "x", value)
    log.message(message_state("a", "autumn", detail="spring"))
    log.message(message_state("b", detail="a\0b\n"))
    made.settle("messages")
    assert asked(made, "SELECT message_id, detail FROM messages") == [("b", "a\ufffdb\n")]
    assert reading.unreadable[MESSAGE_STATE] == 2  # the third names no campaign: whose it is, nobody knows


@pytest.fixture
def _in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_new_york")
def test_a_day_is_a_day_in_utc(made: Database) -> None:
    """Just before and at midnight in UTC are two days, in whatever zone the machine or the event is."""
    log = Log(Reading(made, ("messages",)))
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    log.message(message_state("a", requested_at=midnight - timedelta(microseconds=1)))
    log.message(message_state("b", requested_at=midnight))
    made.settle("messages")
    days = [(day.isoformat(), at.isoformat()) for day, at in asked(made, "SELECT day, requested_at FROM messages")]
    assert days == [("2026-02-28", "2026-02-28T23:59:59.999999"), ("2026-03-01", "2026-03-01T00:00:00")]


def test_it_agrees_with_the_api_about_any_history(made: Database, tmp_path: Path) -> None:
    """Whatever records and tombstones came in whatever order, in chunks: an export has what the API's index has."""
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 — so that it can be run again
    draw = random.Random(seed)
    log, index = Log(Reading(made, ("messages",))), MessageIndex(tmp_path / "index.sqlite3")
    view = View(index)
    for _ in range(14_000):
        key, version, fold_version = f"m{draw.randrange(4_000)}", draw.randrange(6), draw.randrange(1, 3)
        if draw.random() < 0.15:
            log.record(MESSAGE_STATE, key, None)
        else:
            log.message(message_state(key, version=version, fold_version=fold_version))
        view._index([log.taken.pop()])
    made.settle("messages")
    page = index.page("spring", after="", limit=5_000)
    known = [MessageState.model_validate_json(document) for document in page.items]
    there = asked(made, "SELECT message_id, version, fold_version FROM messages ORDER BY ALL")
    assert there == [(state.message_id, state.version, state.fold_version) for state in known]
    assert 2_000 < len(there) < 4_000
    index.close()


def test_the_views_say_why(made: Database) -> None:
    """`errors` counts reasons with the documentation's words; the dictionary names every column that there is."""
    log = Log(Reading(made, ("messages",)))
    for number in range(4):
        log.message(message_state(f"r{number}", bucket="rejected", error_code="E110"))
    log.message(message_state("u", bucket="undelivered", detail="expired"))
    log.message(message_state("d", bucket="in_doubt", doubt_reason="timeout"))
    log.message(message_state("x", bucket="rejected", error_code="E999"))
    log.message(message_state("ok"))
    views.make(made, ("errors",))
    found = asked(made, "SELECT bucket, reason, error_class, meaning, messages, share FROM errors")
    assert found == [
        ("rejected", "E110", "message", "invalid receiver number", 4, 0.5),
        ("in_doubt", "timeout", None, None, 1, 0.125),
        ("rejected", "E999", None, None, 1, 0.125),
        ("undelivered", "expired", None, None, 1, 0.125),
    ]
    ours = "WHERE table_name NOT IN ('columns', 'error_codes') AND NOT internal"
    there = f"SELECT table_name, column_name, data_type FROM duckdb_columns() {ours}"  # noqa: S608 — words of the test's
    described = "SELECT table_name, column_name, column_type FROM columns"
    assert set(asked(made, there)) == set(asked(made, described))
