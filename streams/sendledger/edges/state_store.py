"""The state of one partition on disk: documents, partials, cursor and origin, in one RocksDB (DESIGN §5).

A store is a cache of a log: `Identity` says of which. What does not fit is thrown away and folded anew. The fold's own
keys begin with a letter, the store's three with a zero byte. One WriteBatch a batch of records changes all of them
together. It is not synced: after a power cut the store is older, but whole, and so is its cursor.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch, WriteBufferManager

_CURSOR = b"\x00cursor"
_IDENTITY = b"\x00identity"
_ARCHIVED = b"\x00archived"
_BLOCK_CACHE = 64 << 20  # bytes, shared by all stores of the process
_WRITE_BUFFERS = 32 << 20  # bytes, shared by all stores of the process
_WRITE_BUFFER = 8 << 20
_BLOOM_BITS = 10
_OPEN_FILES = 256

_log = structlog.get_logger()


class Identity(msgspec.Struct, frozen=True):
    """Of which log a store is the state. `from_`: the first offset of each topic that it has folded."""

    fold_version: int
    topic_ids: dict[str, str]
    from_: dict[str, int]


class SlotTakenError(Exception):
    """Another process has the directory of this slot."""


@contextmanager
def sole_user(directory: Path) -> Iterator[None]:
    """Have the directory for oneself, also after kill -9 of whoever had it before. Errors: SlotTakenError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"another process uses {directory.name}: give each fold a slot of its own (SENDLEDGER_FOLD_SLOT)"
            raise SlotTakenError(message) from None
        yield


class Memory:
    """The memory that all stores of a process share, so that it does not grow with the number of partitions."""

    def __init__(self, block_cache: int = _BLOCK_CACHE, write_buffers: int = _WRITE_BUFFERS) -> None:
        self.cache = Cache(block_cache)
        self.buffers = WriteBufferManager(write_buffers, allow_stall=False)

    def options(self) -> Options:
        """Options for one store."""
        table = BlockBasedOptions()
        table.set_block_cache(self.cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_bloom_filter(_BLOOM_BITS, False)
        table.set_format_version(5)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self.buffers)
        options.set_write_buffer_size(_WRITE_BUFFER)
        options.set_max_write_buffer_number(2)
        options.set_max_total_wal_size(4 * _WRITE_BUFFER)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(_OPEN_FILES)
        options.set_keep_log_file_num(2)
        options.set_max_background_jobs(2)
        return options


class StateStore:
    """An open store. Its cursor is the next offset to read of each source topic. Errors: whatever the disk says."""

    def __init__(self, path: Path, memory: Memory) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = Rdict(str(path), memory.options())
        cursor, identity, archived = self.load([_CURSOR, _IDENTITY, _ARCHIVED])
        self.cursor = {} if cursor is None else msgspec.msgpack.decode(cursor, type=dict[str, int])
        self.identity = None if identity is None else msgspec.msgpack.decode(identity, type=Identity)
        self.archived = frozenset() if archived is None else msgspec.msgpack.decode(archived, type=frozenset[str])

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The documents under these keys, None where there is none."""
        found: list[bytes | None] = self._db.get(list(keys)) or [] if keys else []
        return found

    def begin(self, identity: Identity, archived: frozenset[str] = frozenset()) -> None:
        """An empty store becomes the state of this log. `archived`: campaigns that it must never write."""
        self.identity, self.cursor, self.archived = identity, dict(identity.from_), archived
        batch = WriteBatch(raw_mode=True)
        batch[_IDENTITY] = msgspec.msgpack.encode(identity)
        batch[_ARCHIVED] = msgspec.msgpack.encode(sorted(archived))
        batch[_CURSOR] = msgspec.msgpack.encode(self.cursor)
        self._db.write(batch)

    def write(self, documents: Mapping[bytes, bytes], cursor: Mapping[str, int]) -> None:
        """All of these documents and the cursor (topics that are not named keep theirs), or nothing."""
        moved = {**self.cursor, **cursor}
        batch = WriteBatch(raw_mode=True)
        for key, document in documents.items():
            batch[key] = document
        batch[_CURSOR] = msgspec.msgpack.encode(moved)
        self._db.write(batch)
        self.cursor = moved

    def close(self) -> None:
        """Release the directory: another process, or a later assignment, may open it."""
        self._db.close()


def misfit(store: StateStore, identity: Identity, ends: Mapping[str, int]) -> str | None:
    """Why a store is not the state of this log, or None. `ends`: the offset after the last record of each topic."""
    if store.identity is None:
        return "empty"
    if store.identity.fold_version != identity.fold_version:
        return "another fold_version"
    if store.identity.topic_ids != identity.topic_ids:
        return "another log: topic ids differ"
    if store.cursor.keys() != ends.keys():
        return "other topics"
    ahead = [topic for topic, offset in store.cursor.items() if offset > ends[topic]]
    return f"ahead of the end of {', '.join(ahead)}" if ahead else None


def open_store(path: Path, memory: Memory, identity: Identity, ends: Mapping[str, int]) -> StateStore:
    """The store at `path` if it is the state of this log; else an empty one in its place, for `begin`."""
    store = StateStore(path, memory)
    reason = misfit(store, identity, ends)
    if reason is not None:
        if reason != "empty":
            _log.warning("state thrown away, the log is folded anew", path=path.name, reason=reason)
        store.close()
        shutil.rmtree(path)
        store = StateStore(path, memory)
    return store
