"""The verb sql beside its reading of Kafka: what a statement needs, the prompt, and the tables made of the logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sendledger.cli import sql
from sendledger.edges.exports import views
from sendledger.edges.exports.database import Database
from sendledger.edges.exports.scan import Reading
from sendledger_schemas.attempts import AttemptStarted, RequestPosition
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.registry import Data
from sendledger_schemas.responses import SendAccepted, SendNotSent, SendUnanswered
from sendledger_schemas.topics import API_RESPONSES, POSTBACKS, SEND_ATTEMPTS
from tests.support.exports import Log, asked
from tests.support.states import NOW, message_state

WHO = {"message_id": "m", "campaign_id": "spring", "recipient_id": "recipient"}


def happened(log: Log, topic: str, data: Data, name: str = "", second: int = 0) -> None:
    """An event on the log."""
    made = event(data, id=name or f"e{log.offset}", source="test", time=NOW + timedelta(seconds=second))
    log.record(topic, "recipient", encode(made))


def claim(worker: str, attempt: int = 1) -> AttemptStarted:
    """A claim."""
    request = RequestPosition(partition=0, offset=0)
    return AttemptStarted(**WHO, attempt=attempt, worker=worker, incarnation="i", request=request)


def test_only_what_a_statement_names_is_read() -> None:
    """Names in any case and place count; a statement about nothing reads nothing."""
    assert sql.named("SELECT * FROM Messages m, errors") == ("messages", "errors")
    assert sql.named('SELECT "attempts".message_id FROM attempts') == ("attempts",)
    assert sql.named("SELECT * FROM columns") == ()


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    """A statement may have several lines; the last one needs no semicolon."""
    assert [s.split() for s in sql.statements(["SELECT\n", "1;\n", "SELECT ';'\n", "\n"])] == [
        ["SELECT", "1;"],
        ["SELECT", "';'"],
    ]


def test_an_attempt_is_its_first_claim_and_its_real_answer(made: Database) -> None:
    """Of two claims the first on the log; of two ends a late answer before silence; an open one has no end."""
    log = Log(Reading(made, ("attempts",)))
    happened(log, SEND_ATTEMPTS, claim("first"), second=1)
    happened(log, SEND_ATTEMPTS, claim("second"), second=0)
    happened(log, API_RESPONSES, SendUnanswered(**WHO, attempt=1, reason="crash"), second=9)
    happened(log, API_RESPONSES, SendAccepted(**WHO, attempt=1, tracking_id="T", duration_ms=7.5), second=20)
    happened(log, API_RESPONSES, SendNotSent(**WHO, attempt=2, reason="paused"), second=30)
    happened(log, SEND_ATTEMPTS, claim("third", 3), second=40)
    views.make(made, ("attempts",))
    found = asked(
        made, 'SELECT attempt, worker, claims, "end", tracking_id, duration_ms, reason FROM attempts ORDER BY 1'
    )
    assert found == [
        (1, "first", 2, "accepted", "T", 7.5, None),
        (2, None, 0, "not_sent", None, None, "paused"),
        (3, "third", 1, None, None, None, None),
    ]


def test_a_postback_is_one_row_however_often_it_came(made: Database) -> None:
    """It is its message's by recipient and TRACKINGID; its text is in no column (P7)."""
    log = Log(Reading(made, ("messages", "postbacks")))
    log.message(message_state("m", tracking_id="T"))
    given: dict[str, Any] = {
        "recipient_id": "recipient",
        "origin": "MT",
        "code": "1",
        "raw": "<TO>15551234888</TO> canary text",
    }
    for second, tracking_id, name in ((5, "T", "a"), (3, "T", "a"), (4, "other", "b")):
        at = NOW + timedelta(seconds=second)
        happened(log, POSTBACKS, PostbackReceived(**given, tracking_id=tracking_id, received_at=at), name)
    views.make(made, ("postbacks",))
    found = asked(
        made, "SELECT event_id, message_id, campaign_id, deliveries, second(received_at) FROM postbacks ORDER BY 1"
    )
    assert found == [("a", "m", "spring", 2, 3), ("b", None, None, 1, 4)]
    tables = asked(made, "SELECT table_name FROM duckdb_tables()")
    everything = [asked(made, f"SELECT * FROM {name}") for (name,) in tables]  # noqa: S608 — names of ours
    assert "canary" not in str(everything)
    assert "15551234888" not in str(everything)


def test_the_prompt_goes_on_after_a_wrong_statement(made: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Statements over several lines, dot commands, errors: each is answered, until the end of input."""
    views.make(made, ())
    typed = [".columns errors", "SELECT nothing", "FROM messages;", "SELECT 1 AS", "one;", ".nonsense"]
    lines: Iterator[str] = iter(typed)
    sql._loop(made, "json", lambda _prompt: next(lines, None))
    told = capsys.readouterr()
    answers = [json.loads(line) for line in told.out.splitlines() if line.startswith("{")]
    assert {"table_name", "column_name", "column_type", "description"} == set(answers[0])
    assert answers[-1] == {"one": 1}
    assert "nothing" in told.err
    assert ".tables" in told.out


def test_a_csv_of_an_answer_calculates_nothing(made: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Text is disarmed, numbers stay numbers, times are UTC."""
    answer = made.run("SELECT '=1' AS a, -5 AS b, TIMESTAMP '2026-03-01 00:00:00' AS c, NULL AS d")
    sql._print(answer, "csv")
    assert capsys.readouterr().out == "a,b,c,d\n'=1,-5,2026-03-01T00:00:00.000000Z,\n"
