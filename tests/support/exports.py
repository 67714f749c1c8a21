"""Message states as they stand on the log, put into a Database for tests of what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from aiokafka import ConsumerRecord

from sendledger.edges.exports.database import Database
from sendledger.edges.exports.scan import Reading
from sendledger_schemas.states import CampaignState, MessageState
from sendledger_schemas.topics import CAMPAIGN_STATE, MESSAGE_STATE


@dataclass
class Log:
    """Records of one partition in the order in which a test writes them, taken by a `Reading` as if from Kafka."""

    reading: Reading
    offset: int = 0
    taken: list[Any] = field(default_factory=list)

    def record(self, topic: str, key: str, value: bytes | None) -> None:
        """One record."""
        made: Any = ConsumerRecord(topic, 0, self.offset, 0, 0, key.encode(), value, None, 0, len(value or b""), ())
        self.offset += 1
        self.taken.append(made)
        self.reading.take([made])

    def message(self, state: MessageState) -> None:
        """A message state."""
        self.record(MESSAGE_STATE, state.message_id, state.model_dump_json().encode())

    def campaign(self, state: CampaignState) -> None:
        """A campaign state."""
        self.record(CAMPAIGN_STATE, state.campaign_id, state.model_dump_json().encode())


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a Parquet file, by column, in the file's order; times as DuckDB has them in UTC, without a zone."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(f"SELECT * FROM read_parquet('{path}', hive_partitioning = false)")  # noqa: S608 — a path of the test's
    names = [column[0] for column in found.description]
    made = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    connection.close()
    return made


def asked(database: Database, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return list(database.run(query).rows())
