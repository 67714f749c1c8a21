"""The columns' types in the databases that hold our tables. Texts are unbounded, times UTC with microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sendledger_schemas.tables import Column, Kind

# DuckDB: times without a zone, so that no session's zone can move a message to another day; files get the zone.
DUCKDB: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "instant": "TIMESTAMP",
    "date": "DATE",
    "json": "JSON",
}
POSTGRES: Mapping[Kind, str] = {
    "text": "text",
    "boolean": "boolean",
    "integer": "bigint",
    "number": "double precision",
    "instant": "timestamptz",
    "date": "date",
    "json": "jsonb",
}
CLICKHOUSE: Mapping[Kind, str] = {
    "text": "String",
    "boolean": "Bool",
    "integer": "UInt64",
    "number": "Float64",
    "instant": "DateTime64(6, 'UTC')",
    "date": "Date",
    "json": "String",
}


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def names(columns: Iterable[Column]) -> str:
    """The columns' names in a row, for SELECT and INSERT."""
    return ", ".join(quoted(column.name) for column in columns)
