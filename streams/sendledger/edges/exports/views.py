"""The tables of `sendledger sql`: `attempts`, `postbacks`, `errors`, and the dictionary `columns`, made in DuckDB."""

from __future__ import annotations

from collections.abc import Collection

from sendledger.domain.column_types import DUCKDB, literal, names, quoted
from sendledger.edges.exports.database import Database
from sendledger.wire.codes import ERROR_CODES
from sendledger_schemas.tables import TABLES, columns

NEEDS = {"errors": ("messages",), "postbacks": ("messages",)}
"""What a table is made of besides its own records."""

# Of several claims the first on the log; of several ends a real answer before silence, then the first (DESIGN §6).
_ATTEMPTS = """
    CREATE TABLE attempts AS
    WITH claims AS (
        SELECT message_id, attempt, min(_offset) AS place, count(*) AS claims
        FROM read_attempts WHERE started_at IS NOT NULL GROUP BY ALL
    ),
    ends AS (
        SELECT message_id, attempt, arg_min(_offset, {u: "end" = 'unanswered', o: _offset}) AS place
        FROM read_attempts WHERE ended_at IS NOT NULL GROUP BY ALL
    ),
    claimed AS (SELECT c.claims, r.* FROM claims c JOIN read_attempts r USING (message_id, attempt)
                WHERE r.started_at IS NOT NULL AND r._offset = c.place),
    ended AS (SELECT r.* FROM ends e JOIN read_attempts r USING (message_id, attempt)
              WHERE r.ended_at IS NOT NULL AND r._offset = e.place)
    SELECT message_id, coalesce(c.campaign_id, e.campaign_id) AS campaign_id,
        coalesce(c.recipient_id, e.recipient_id) AS recipient_id, attempt, c.started_at, c.worker,
        coalesce(c.claims, 0) AS claims, e.ended_at, e."end", e.error_code, e.error_class, e.reason, e.retry_at,
        e.tracking_id, e.duration_ms
    FROM claimed c FULL JOIN ended e USING (message_id, attempt)
"""

_POSTBACKS = """
    CREATE TABLE postbacks AS
    WITH firsts AS (
        SELECT event_id, arg_min(_offset, {t: received_at, o: _offset}) AS place, count(*) AS deliveries
        FROM read_postbacks GROUP BY event_id
    ),
    owners AS (
        SELECT recipient_id, tracking_id, min(message_id) AS message_id, min(campaign_id) AS campaign_id
        FROM messages WHERE tracking_id IS NOT NULL GROUP BY ALL
    ),
    found AS (
        SELECT r.*, o.message_id, o.campaign_id, f.deliveries
        FROM firsts f JOIN read_postbacks r ON r.event_id = f.event_id AND r._offset = f.place
        LEFT JOIN owners o USING (recipient_id, tracking_id)
    )
    SELECT {listed} FROM found
"""

_ERRORS = """
    CREATE VIEW errors AS
    WITH reasons AS (
        SELECT campaign_id, bucket, requested_at,
            CASE bucket WHEN 'rejected' THEN error_code WHEN 'undelivered' THEN detail ELSE doubt_reason END AS reason
        FROM messages WHERE bucket IN ('rejected', 'undelivered', 'in_doubt')
    ),
    totals AS (SELECT campaign_id, count(*) AS total FROM messages GROUP BY campaign_id)
    SELECT campaign_id, bucket, reason, error_class, meaning, count(*) AS messages,
        count(*) / any_value(total) AS share, min(requested_at) AS first_at, max(requested_at) AS last_at
    FROM reasons JOIN totals USING (campaign_id)
    LEFT JOIN error_codes ON bucket = 'rejected' AND error_code = reason
    GROUP BY ALL ORDER BY campaign_id, messages DESC, bucket, reason
"""


def make(database: Database, tables: Collection[str]) -> None:
    """All tables; those that are not in `tables` are empty."""
    wanted = {*tables, *(needed for table in tables for needed in NEEDS.get(table, ()))}
    for table in ("messages", "campaigns"):
        if table not in wanted:
            database.run(_empty(table))
    database.settle(*({"messages", "campaigns"} & wanted))
    database.run(_ATTEMPTS)
    database.run(_POSTBACKS.replace("{listed}", names(columns("postbacks"))))
    _codes(database)
    database.run(_ERRORS)
    for raw in ("read_attempts", "read_postbacks", "read_messages", "read_campaigns"):
        database.run(f"DROP TABLE IF EXISTS {raw}")
    _dictionary(database)


def _empty(table: str) -> str:
    fields = ", ".join(f"{quoted(column.name)} {DUCKDB[column.kind]}" for column in columns(table))
    return f"CREATE TABLE {table} ({fields})"


def _codes(database: Database) -> None:
    """The provider's codes as a table: what its documentation calls each, and whose fault it is."""
    database.run("CREATE TABLE error_codes (error_code VARCHAR, error_class VARCHAR, meaning VARCHAR)")
    for row in ERROR_CODES.values():
        values = [row.code, row.error_class.name, row.meaning]
        database.run("INSERT INTO error_codes VALUES (?, ?, ?)", values)


def _dictionary(database: Database) -> None:
    """`columns`: what every column means; the same stands as a comment on each."""
    database.run(
        "CREATE TABLE columns (table_name VARCHAR, column_name VARCHAR, column_type VARCHAR, description VARCHAR)"
    )
    for table, model in TABLES.items():
        kind = "VIEW" if table == "errors" else "TABLE"
        database.run(f"COMMENT ON {kind} {table} IS {literal(model.__doc__ or '')}")
        for column in columns(table):
            described = [table, column.name, DUCKDB[column.kind], column.description]
            database.run("INSERT INTO columns VALUES (?, ?, ?, ?)", described)
            database.run(f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {literal(column.description)}")
