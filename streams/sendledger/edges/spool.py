"""The spool: records that Kafka could not take in time, on local disk, in order, synced (DESIGN §7).

One SQLite file in WAL mode with `synchronous=FULL`: when `put` returns, the records survive a power cut. The file
holds personal data (P7): it is readable by its owner alone, and what was removed is overwritten.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sendledger.edges.record import Headers, Record

_ROW_OVERHEAD = 64  # bytes that a row costs beside its contents, roughly
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    key BLOB,
    value BLOB NOT NULL,
    headers BLOB NOT NULL,
    size INTEGER NOT NULL,
    spooled_at REAL NOT NULL
)
"""
_INSERT = "INSERT INTO spool (topic, partition, key, value, headers, size, spooled_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
# EXCLUSIVE: a second receiver on the same file is refused, and no shared-memory file is needed.
# secure_delete: a number that went on to Kafka must not stay behind in a free page.
_PRAGMAS = (
    "locking_mode=EXCLUSIVE",
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
)


class SpoolFailed(Exception):
    """The spool could not keep or give back records: disk full, I/O error, locked. The message holds no record."""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How full the spool is. `oldest`: Unix time at which its first record came; None if it is empty."""

    records: int
    bytes: int
    limit: int
    oldest: float | None


class Spool:
    """A bounded queue on disk. Not for two threads at a time; errors of every method: SpoolFailed."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._records = 0
        self._bytes = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives the WAL file the mode of the main file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
            self._prepare()
            _sync_directory(path.parent)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(f"the spool cannot be opened: {error}") from error

    def _prepare(self) -> None:
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        self._db.execute(_SCHEMA)
        row = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM spool").fetchone()
        self._records, self._bytes = int(row[0]), int(row[1])

    def put(self, records: Sequence[Record], *, now: float) -> int:
        """Keep the first records, as many as there is room for; durable when it returns how many. `now`: Unix time."""
        rows: list[tuple[object, ...]] = []
        total = self._bytes
        for record in records:
            size = record.size + _ROW_OVERHEAD
            if total + size > self._max_bytes:
                break
            total += size
            headers = msgspec.msgpack.encode(record.headers)
            rows.append((record.topic, record.partition, record.key, record.value, headers, size, now))
        if rows:
            self._in_transaction(_INSERT, rows)
        self._records += len(rows)
        self._bytes = total
        return len(rows)

    def head(self, *, records: int, size: int) -> list[tuple[int, Record]]:
        """The oldest records with their numbers: at most `records`, and at most `size` bytes, but at least one."""
        found: list[tuple[int, Record]] = []
        taken = 0
        try:
            query = "SELECT seq, topic, partition, key, value, headers, size FROM spool ORDER BY seq LIMIT ?"
            for seq, topic, partition, key, value, headers, row_size in self._db.execute(query, (records,)):
                taken += row_size
                if found and taken > size:
                    break
                found.append((seq, Record(topic, partition, key, value, _headers(headers))))
        except sqlite3.Error as error:
            raise SpoolFailed(f"the spool cannot be read: {error}") from error
        return found

    def remove(self, entries: Sequence[tuple[int, Record]]) -> None:
        """Forget what `head` gave, once it is durable elsewhere."""
        self._in_transaction("DELETE FROM spool WHERE seq = ?", [(seq,) for seq, _ in entries])
        self._records -= len(entries)
        self._bytes -= sum(record.size + _ROW_OVERHEAD for _, record in entries)
        if self._records:
            return
        try:  # empty: give the disk back, and leave nothing personal in free pages or the journal
            self._db.execute("PRAGMA incremental_vacuum").fetchall()
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise SpoolFailed(f"the spool cannot be tidied: {error}") from error

    def state(self) -> SpoolState:
        """How full it is and since when."""
        try:
            row = self._db.execute("SELECT spooled_at FROM spool ORDER BY seq LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise SpoolFailed(f"the spool cannot be read: {error}") from error
        return SpoolState(
            records=self._records, bytes=self._bytes, limit=self._max_bytes, oldest=row[0] if row else None
        )

    def close(self) -> None:
        """Give the file back; what is in it stays in it."""
        self._db.close()

    def _in_transaction(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                self._db.execute("ROLLBACK")
            raise SpoolFailed(f"the spool cannot be written: {error}") from error


def _headers(packed: bytes) -> Headers:
    return msgspec.msgpack.decode(packed, type=Headers)


def _sync_directory(directory: Path) -> None:
    # A new file is only safe from a power cut once its directory's entry is.
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
