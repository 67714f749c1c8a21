"""The analysts' tables: every column is described, filled by the rows that are made for it, and stands in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.domain.postgres import KEYS, columns_of, ddl
from sendledger.domain.rows import campaign_row, message_row, postback_row
from sendledger_schemas.generate import dictionary
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.states import BUCKETS, Otherwise
from sendledger_schemas.tables import TABLES, CampaignRow, MessageRow, columns, kept_columns
from tests.support.states import NOW, campaign_state, message_state

DOCS = (Path(__file__).parents[3] / "docs/exports.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described(table: str) -> None:
    """In a sentence, in the documentation's table, and no two alike."""
    described = [column.description for column in columns(table)]
    assert all(len(each) > 8 for each in described)
    assert len(set(described)) == len(described)
    assert dictionary() in DOCS


def test_a_message_row_is_a_row_of_its_table() -> None:
    """Its names, their order and their types are those of the model; a bucket by policy is that of the policy."""
    other = {"last-final": Otherwise(bucket="undelivered", detail="expired", settled_at=NOW)}
    state = message_state("m", settled_at=NOW, otherwise=other)
    row = message_row(state, now=NOW)
    assert list(row) == [column.name for column in columns("messages")]
    assert MessageRow.model_validate(row).model_dump(mode="json") == row
    assert (row["to"], row["day"], row["bucket"]) == ("***888", "2026-11-22", "delivered")
    told = message_row(state, "last-final")
    assert (told["bucket"], told["detail"]) == ("undelivered", "expired")
    assert message_row(state, "failure-wins")["bucket"] == "delivered"
    assert list(message_row(state)) == [column.name for column in kept_columns("messages")]


def test_a_campaign_row_is_a_row_of_its_table() -> None:
    """Its names, their order and their types are those of the model; the buckets add up to what was requested."""
    counters = {"requested": 9, "b:delivered": 6, "b:undelivered": 2, "b:rejected": 1, "accepted_ever": 8, "carrier": 8}
    state = campaign_state("spring", counters={**counters, "late": 1, "repeat": 3, "y:last-final:-:b:delivered": 1})
    row = campaign_row(state, now=NOW)
    assert list(row) == [column.name for column in columns("campaigns")]
    assert CampaignRow.model_validate(row).model_dump(mode="json") == row
    assert sum(row[bucket] for bucket in BUCKETS) == row["requested"] == 9
    assert (row["acceptance"], row["delivery_confirmed"], row["duplicates"]) == (8 / 9, 0.75, 3)
    assert campaign_row(state, "last-final")["delivered"] == 5
    assert list(campaign_row(state)) == [column.name for column in kept_columns("campaigns")]


def test_a_postback_row_has_no_raw_text() -> None:
    """Everything of the table but whose it is, and nothing else (P7)."""
    postback = PostbackReceived(recipient_id="r", origin="MT", code="1", received_at=NOW, raw="<TO>15551234888</TO>")
    row = postback_row("e", postback)
    assert set(row) == {column.name for column in columns("postbacks")} - {"message_id", "campaign_id", "deliveries"}
    assert "15551234888" not in str(row)


def test_a_database_keeps_nothing_that_depends_on_when_it_is_read() -> None:
    """`unknown` stands in the views alone, which say it by the database's clock."""
    tables, _, views = ddl("s").partition("CREATE OR REPLACE VIEW")
    assert all("unknown" not in {column.name for column in columns_of(table)} for table in KEYS)
    assert '"unknown"' not in tables
    assert views.count("AS unknown") == len(KEYS)
