"""The tables in PostgreSQL as text: their DDL, and the statements that move them on.

`cursors` says how far each partition of the topics is in the tables; it moves in the transaction of the rows.
"""

from __future__ import annotations

from sendledger.domain.column_types import POSTGRES, literal, names, quoted
from sendledger.domain.numbers import DEADLINE_HOURS
from sendledger_schemas.tables import TABLES, Column, kept_columns

KEYS = {"messages": "message_id", "campaigns": "campaign_id"}
"""The tables that are kept, with their keys."""

CREATE_ALONE = "SELECT pg_advisory_xact_lock(hashtext('sendledger sink postgres --create'), hashtext(%s))"
"""Takes one parameter, the schema, before its `ddl` in a transaction: IF NOT EXISTS fails where two make it at once."""

_OTHERWISE = Column(
    "otherwise", "json", True, "Policy → bucket, detail and settled_at where another policy says otherwise"
)
_INDEXES = {"messages": ("campaign_id, bucket", "recipient_id", "requested_at"), "campaigns": ()}
_CURSORS = """
CREATE TABLE IF NOT EXISTS {schema}.cursors (
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    next_offset bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE {schema}.cursors IS 'How far the topics are in these tables; belongs to sendledger sink postgres';
"""
# What depends on when it is read: a message is unknown from the first full hour that begins 72 hours after its own.
_VIEWS = """
CREATE OR REPLACE VIEW {schema}.current_messages AS
SELECT *, coalesce(date_trunc('hour', open_since AT TIME ZONE 'UTC') + interval '{hours} hours'
                   <= now() AT TIME ZONE 'UTC', false) AS unknown
FROM {schema}.messages;
COMMENT ON VIEW {schema}.current_messages IS 'messages, and whether each is unknown by now';
CREATE OR REPLACE VIEW {schema}.current_campaigns AS
SELECT c.*, (SELECT count(*) FROM {schema}.current_messages m
             WHERE m.campaign_id = c.campaign_id AND m.bucket IN ('accepted', 'sent') AND m.unknown) AS unknown
FROM {schema}.campaigns c;
COMMENT ON VIEW {schema}.current_campaigns IS 'campaigns, and how many messages of each are unknown by now';
"""


def columns_of(table: str) -> tuple[Column, ...]:
    """The columns of a table in PostgreSQL: the analysts' ones, and of messages what other policies say."""
    return (*kept_columns(table), *((_OTHERWISE,) if table == "messages" else ()))


def ddl(schema: str) -> str:
    """Everything that the sink needs, to be run by whoever may create it; running it again changes nothing."""
    name = quoted(schema)
    parts = [f"CREATE SCHEMA IF NOT EXISTS {name};\n", _CURSORS.lstrip("\n").format(schema=name)]
    parts += [_table(name, table, key) for table, key in KEYS.items()]
    parts.append(_VIEWS.lstrip("\n").format(schema=name, hours=DEADLINE_HOURS + 1))
    return "\n".join(parts)


def _table(schema: str, table: str, key: str) -> str:
    lines = [f"    {quoted(c.name)} {POSTGRES[c.kind]}{_may_be(c, key)}" for c in columns_of(table)]
    body = ",\n".join(lines)
    made = [f"CREATE TABLE IF NOT EXISTS {schema}.{table} (\n{body}\n);"]
    made += [f"CREATE INDEX IF NOT EXISTS {_index(table, on)} ON {schema}.{table} ({on});" for on in _INDEXES[table]]
    made.append(f"COMMENT ON TABLE {schema}.{table} IS {literal(TABLES[table].__doc__ or '')};")
    made += [
        f"COMMENT ON COLUMN {schema}.{table}.{quoted(c.name)} IS {literal(c.description)};" for c in columns_of(table)
    ]
    return "\n".join(made) + "\n"


def _may_be(column: Column, key: str) -> str:
    if column.name == key:
        return " PRIMARY KEY"
    return "" if column.optional else " NOT NULL"


def _index(table: str, on: str) -> str:
    return f"{table}_by_{on.replace(', ', '_')}"


def upsert(schema: str, table: str) -> str:
    """Takes one parameter, the rows as a JSON array: each replaces a row of its key only if that is less complete.

    Of each key there must be one row at most (PostgreSQL refuses to touch one twice).
    """
    target, listed = f"{quoted(schema)}.{table}", names(columns_of(table))
    excluded = ", ".join(f"excluded.{quoted(column.name)}" for column in columns_of(table))
    return f"""
        INSERT INTO {target} AS known ({listed})
        SELECT {listed} FROM json_populate_recordset(NULL::{target}, %s::json)
        ON CONFLICT ({KEYS[table]}) DO UPDATE SET ({listed}) = ROW ({excluded})
        WHERE (excluded.version, excluded.fold_version) > (known.version, known.fold_version)
    """  # noqa: S608 — names of ours


def delete(schema: str, table: str) -> str:
    """Takes one parameter, an array of keys."""
    return f"DELETE FROM {quoted(schema)}.{table} WHERE {KEYS[table]} = ANY(%s)"  # noqa: S608 — names of ours


def cursor_statements(schema: str) -> tuple[str, str, str, str]:
    """Four statements, and what they take.

    Add one: topic, partition, topic id · read all · lock one: topic, partition · move one: offset, topic, partition.
    """
    cursors, fields = f"{quoted(schema)}.cursors", "(topic, partition, topic_id, next_offset)"
    return (
        f"INSERT INTO {cursors} {fields} VALUES (%s, %s, %s, 0) ON CONFLICT DO NOTHING",  # noqa: S608 — names of ours
        f"SELECT topic, partition, topic_id, next_offset FROM {cursors}",  # noqa: S608 — a name of ours
        f"SELECT next_offset FROM {cursors} WHERE topic = %s AND partition = %s FOR UPDATE",  # noqa: S608 — as above
        f"UPDATE {cursors} SET next_offset = %s, moved_at = now() WHERE topic = %s AND partition = %s",  # noqa: S608 — as above
    )
