"""Message states and the audit trail in a local SQLite file, so that pages of millions cost no memory.

A cache of compacted topics: it is made anew at each start, so it needs neither a journal nor a sync. It holds no
personal data (states carry the last three digits of a number). All calls block; the caller picks the thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sendledger.domain.policies import DEFAULT
from sendledger_schemas.states import MessageState

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY, campaign_id TEXT NOT NULL, bucket TEXT NOT NULL,
    fold_version INTEGER NOT NULL, version INTEGER NOT NULL, document BLOB NOT NULL, otherwise TEXT, reason TEXT
) WITHOUT ROWID;
CREATE INDEX by_reason ON messages (campaign_id, reason, message_id) WHERE reason IS NOT NULL;
CREATE INDEX conflicts ON messages (campaign_id, message_id) WHERE otherwise IS NOT NULL;
CREATE INDEX by_bucket ON messages (campaign_id, bucket, message_id);
CREATE INDEX by_campaign ON messages (campaign_id, message_id);
CREATE TABLE audit (
    at TEXT NOT NULL, place TEXT NOT NULL, campaign_id TEXT, document TEXT NOT NULL, PRIMARY KEY (at, place)
) WITHOUT ROWID;
"""
# Of two records for one key the one of the greater rank is the more complete (sendledger_schemas.states.rank).
_PUT = """
INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (message_id) DO UPDATE SET
    campaign_id = excluded.campaign_id, bucket = excluded.bucket, document = excluded.document,
    fold_version = excluded.fold_version, version = excluded.version, otherwise = excluded.otherwise,
    reason = excluded.reason
WHERE (excluded.version, excluded.fold_version) > (version, fold_version)
"""
# Who is in a bucket by default and not elsewhere by the policy; and whom the policy puts there.
_UNDER_POLICY = """
SELECT document, message_id FROM messages
    WHERE campaign_id = ? AND bucket = ? AND message_id > ? AND (otherwise IS NULL OR instr(otherwise, ?) = 0)
UNION ALL
SELECT document, message_id FROM messages
    WHERE campaign_id = ? AND otherwise IS NOT NULL AND message_id > ? AND instr(otherwise, ?) > 0
ORDER BY message_id LIMIT ?
"""
_CHUNK = 500
_Row = tuple[Any, ...]
_EXPORT_PAGE = 2_000


@dataclass(frozen=True)
class Page:
    """Some rows, and where the next ones begin (None: there are no more)."""

    items: tuple[bytes, ...]
    next: str | None


@dataclass(frozen=True)
class Indexed:
    """One message state as it is kept. `document`: the record's value; `otherwise`: policy → bucket, if it differs.

    `reason`: why it is where it is: error code, detail of a receipt, or of a doubt.
    """

    message_id: str
    campaign_id: str
    bucket: str
    fold_version: int
    version: int
    document: bytes
    otherwise: Mapping[str, str] | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which messages: those of one bucket (None: all), as they are settled under a policy; `reason`: by default's."""

    bucket: str | None = None
    policy: str = DEFAULT
    reason: str | None = None


EVERYTHING = Wanted()


class MessageIndex:
    """The file and its one connection, shared by threads under a lock."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._path = path
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Give the file back; its content is on the log."""
        with self._lock:
            self._connection.close()
        self._path.unlink(missing_ok=True)

    def put(self, states: Iterable[Indexed], *, gone: Sequence[str] = ()) -> None:
        """Keep the states that are newer than what is there, and forget the keys in `gone` (tombstones)."""
        rows = [_row(state) for state in states]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(_PUT, rows)
            self._connection.executemany("DELETE FROM messages WHERE message_id = ?", [(key,) for key in gone])
            self._connection.execute("COMMIT")

    def get(self, message_id: str) -> MessageState | None:
        """The state of one message."""
        found = self._all("SELECT document FROM messages WHERE message_id = ?", (message_id,))
        return MessageState.model_validate_json(found[0][0]) if found else None

    def known(self, message_ids: Sequence[str]) -> set[str]:
        """Those of the ids whose state is here."""
        found: set[str] = set()
        for start in range(0, len(message_ids), _CHUNK):
            chunk = message_ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows = self._all(f"SELECT message_id FROM messages WHERE message_id IN ({marks})", chunk)  # noqa: S608
            found.update(row[0] for row in rows)
        return found

    def page(self, campaign_id: str, wanted: Wanted = EVERYTHING, *, after: str, limit: int) -> Page:
        """Up to `limit` states of a campaign in the order of their ids, behind `after` ("" = from the first)."""
        given = {"bucket": wanted.bucket, "reason": wanted.reason}
        chosen = {column: value for column, value in given.items() if value is not None}
        narrowed = "".join(f" AND {column} = ?" for column in chosen)
        query = f"SELECT document, message_id FROM messages WHERE campaign_id = ?{narrowed} AND message_id > ? ORDER BY message_id LIMIT ?"  # noqa: E501, S608
        arguments: _Row = (campaign_id, *chosen.values(), after, limit + 1)
        if wanted.policy != DEFAULT and wanted.bucket is not None:
            query, policy, bucket = _UNDER_POLICY, f";{wanted.policy}=", f";{wanted.policy}={wanted.bucket};"
            arguments = (campaign_id, wanted.bucket, after, policy, campaign_id, after, bucket, limit + 1)
        rows = self._all(query, arguments)
        more = len(rows) > limit
        return Page(tuple(row[0] for row in rows[:limit]), rows[limit - 1][1] if more else None)

    def pages(self, campaign_id: str, wanted: Wanted = EVERYTHING) -> Iterator[Page]:
        """All states of a campaign, page after page; each page is true when it is read."""
        after: str | None = ""
        while after is not None:
            page = self.page(campaign_id, wanted, after=after, limit=_EXPORT_PAGE)
            yield page
            after = page.next

    def add_audit(self, entries: Iterable[tuple[str, str, str | None, str]]) -> None:
        """Add (time, place on the log, campaign, JSON); a place that is there already is the same entry."""
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR IGNORE INTO audit VALUES (?, ?, ?, ?)", list(entries))
            self._connection.execute("COMMIT")

    def audit(self, *, campaign_id: str | None, before: tuple[str, str] | None, limit: int) -> list[_Row]:
        """Up to `limit` entries (time, place, JSON), the latest first, older than `before`."""
        where = "(at, place) < (?, ?)" + ("" if campaign_id is None else " AND campaign_id = ?")
        query = f"SELECT at, place, document FROM audit WHERE {where} ORDER BY at DESC, place DESC LIMIT ?"  # noqa: S608
        arguments = (*(before or ("\uffff", "")), *(() if campaign_id is None else (campaign_id,)), limit)
        return self._all(query, arguments)

    def _all(self, query: str, arguments: Sequence[object]) -> list[_Row]:
        with self._lock:
            return self._connection.execute(query, arguments).fetchall()


def _row(state: Indexed) -> _Row:
    others = None
    if state.otherwise:
        others = "".join(f";{policy}={bucket};" for policy, bucket in state.otherwise.items())
    s = state
    return s.message_id, s.campaign_id, s.bucket, s.fold_version, s.version, s.document, others, s.reason
