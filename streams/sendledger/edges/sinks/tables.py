"""The tables in a PostgreSQL: how far they are, and what moves them on, each step whole or not at all.

No message of an error holds the address's password or a value of a row (P7, P8).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import orjson
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from sendledger.domain.changes import Changes
from sendledger.domain.postgres import CREATE_ALONE, cursor_statements, ddl, delete, upsert
from sendledger.edges.sinks.sink import SinkError

VARIABLE = "SENDLEDGER_POSTGRES_DSN"
Place = tuple[str, int]
"""Topic and partition."""
_CONNECT_SECONDS = 10
# What a server says that will be there again in a while.
_PASSING = ("starting up", "shutting down", "recovery mode", "too many", "reserved", "administrator command", "crash")


class Away(Exception):
    """The database is away for the moment; the message says why."""


@dataclass(frozen=True)
class Moved:
    """Where the cursor is now, and what changed on the way: rows put (new or newer), rows deleted."""

    cursor: int
    put: int = 0
    deleted: int = 0


class Tables:
    """One connection. A failed call leaves the tables as they were; after `Away` a new connection is needed."""

    def __init__(self, connection: psycopg.AsyncConnection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._add, self._all, self._lock, self._move = cursor_statements(schema)

    async def create(self) -> None:
        """Make what is missing. Errors: SinkError, Away."""
        with _told(self._schema):
            async with self._connection.transaction():
                await self._connection.execute(CREATE_ALONE, (self._schema,))
                await self._connection.execute(ddl(self._schema).encode())

    async def cursors(self, topic_ids: Mapping[str, str], places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each place. Errors: SinkError if the tables follow another log; Away."""
        with _told(self._schema):
            async with self._connection.transaction():
                for topic, partition in places:
                    await self._connection.execute(self._add.encode(), (topic, partition, topic_ids[topic]))
                found = await (await self._connection.execute(self._all.encode())).fetchall()
        known = {(topic, partition): (topic_id, offset) for topic, partition, topic_id, offset in found}
        for topic, partition in places:
            if known[topic, partition][0] != topic_ids[topic]:
                raise SinkError(
                    f"the tables in schema {self._schema} are of another log ({topic} was made anew): "
                    "give another --schema, or drop that one"
                )
        return {place: known[place][1] for place in places}

    async def apply(self, place: Place, table: str, changes: Changes, begin: int, end: int) -> Moved:
        """Put changes that stood on the log from `begin` to before `end`, and move the cursor, in one transaction.

        Nothing is done unless the cursor is at `begin`: somebody else was here.
        Errors: SinkError, Away.
        """
        put = deleted = 0
        with _told(self._schema):
            async with self._connection.transaction():
                # 1. alone with this partition until the end of the transaction
                found = await (await self._connection.execute(self._lock.encode(), place)).fetchone()
                if found is None:
                    raise SinkError(f"the cursor of {place[0]} is gone from schema {self._schema}: start again")
                if found[0] != begin:
                    return Moved(int(found[0]))
                # 2. rows
                if changes.gone:
                    done = await self._connection.execute(delete(self._schema, table).encode(), (changes.gone,))
                    deleted = done.rowcount
                if rows := changes.rows:
                    as_json = orjson.dumps(rows).decode()
                    put = (await self._connection.execute(upsert(self._schema, table).encode(), (as_json,))).rowcount
                # 3. cursor; both are there once the transaction is, or neither
                await self._connection.execute(self._move.encode(), (end, *place))
        return Moved(end, put, deleted)


@asynccontextmanager
async def connected(dsn: SecretStr, schema: str) -> AsyncIterator[Tables]:
    """Tables while the context lasts. Errors: SinkError, Away."""
    address = dsn.get_secret_value()
    try:
        parts = conninfo_to_dict(address)
    except psycopg.Error:
        raise SinkError(f"{VARIABLE}: must be like postgresql://user:password@host/database") from None
    try:
        connection = await psycopg.AsyncConnection.connect(
            address, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="sendledger"
        )
    except psycopg.OperationalError as error:
        raise _not_let_in(str(error), parts) from None
    try:
        yield Tables(connection, schema)
    finally:
        await connection.close()


@contextmanager
def _told(schema: str) -> Iterator[None]:
    """Errors of psycopg as ours."""
    try:
        yield
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn) as error:
        why = f"schema {schema} has not all tables and columns ({error.diag.message_primary})"
        hint = (
            "--create makes missing tables, --ddl prints them; a schema of an older version is dropped and filled anew"
        )
        raise SinkError(f"{why}: {hint}") from None
    except psycopg.OperationalError as error:
        raise Away(_words(error)) from None
    except psycopg.Error as error:
        raise SinkError(f"PostgreSQL refuses: {_words(error)}") from None


def _not_let_in(said: str, parts: Mapping[str, object]) -> SinkError | Away:
    """Why no connection came about. libpq tells a server's refusal only in words."""
    for secret in ("password", "sslpassword"):
        if parts.get(secret):
            said = said.replace(str(parts[secret]), "***")
    _, fatal, refusal = said.partition("FATAL:")
    if fatal and not any(passing in refusal for passing in _PASSING):
        return SinkError(f"PostgreSQL refuses {VARIABLE}: {refusal.strip().splitlines()[0]}")
    return Away((refusal if fatal else said).strip().splitlines()[0])


def _words(error: psycopg.Error) -> str:
    # Only a server's own sentence: what the library says may quote the address.
    said = error.diag.message_primary
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
