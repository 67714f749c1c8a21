"""The state of one partition on disk: documents, partials, cursor and origin, in one RocksDB (DESIGN §5).

A store is a cache of a log: `Identity` says of which. What does not fit, or is damaged, is thrown away and folded anew.
The fold's own keys begin with a letter, the store's three with a zero byte. One WriteBatch a batch of records changes
all of them together.

There is no write-ahead log: the log of events is one. RocksDB puts whole batches, oldest first, into files of its own
whenever some megabytes have come together (`keep` asks for it, `close` too), so what a crash leaves is older, but
whole, and so is its cursor. With a write-ahead log a lost file of it was a hole in the state that nobody noticed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    WriteBatch,
    WriteBufferManager,
)

from sendledger.edges.rocksdb import DamagedStoreError, distrust, forget, opened, told

_CURSOR = b"\x00cursor"
_IDENTITY = b"\x00identity"
_ARCHIVED = b"\x00archived"
_BLOCK_CACHE = 40 << 20  # bytes, shared by all stores of the process
_WRITE_BUFFERS = 32 << 20  # bytes, shared by all stores of the process
_WRITE_BUFFER = 8 << 20
_BLOOM_BITS = 10
_OPEN_FILES = 256
_LARGEST_LOG = 1 << 20  # of what RocksDB tells of itself
_log = structlog.get_logger()


class Identity(msgspec.Struct, frozen=True):
    """Of which log, and which partition of it, a store is the state. `from_`: the first offset of each topic in it."""

    fold_version: int
    topic_ids: dict[str, str]
    from_: dict[str, int]
    partition: int


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

    def __init__(
        self, block_cache: int = _BLOCK_CACHE, write_buffers: int = _WRITE_BUFFERS, write_buffer: int = _WRITE_BUFFER
    ) -> None:
        self.cache = Cache(block_cache)
        self.buffers = WriteBufferManager(write_buffers, allow_stall=False)
        self._write_buffer = write_buffer

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
        options.set_write_buffer_size(self._write_buffer)
        options.set_max_write_buffer_number(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(_OPEN_FILES)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(_LARGEST_LOG)
        options.set_stats_dump_period_sec(0)
        options.set_max_background_jobs(2)
        return options


class StateStore:
    """An open store. Its cursor is the next offset to read of each source topic. Errors: StoreError."""

    def __init__(self, path: Path, memory: Memory) -> None:
        self._path = path
        self._unkept = False
        self._db = opened(path, memory.options())
        try:
            self.cursor, self.identity, self.archived = self._begun()
        except BaseException:
            self._db.close()
            raise

    def _begun(self) -> tuple[dict[str, int], Identity | None, frozenset[str]]:
        """What the store says of itself; None for the identity of one that `begin` was not called for."""
        cursor, identity, archived = self.load([_CURSOR, _IDENTITY, _ARCHIVED])
        if cursor is None or identity is None or archived is None:
            return {}, None, frozenset()
        try:
            return (
                msgspec.msgpack.decode(cursor, type=dict[str, int]),
                msgspec.msgpack.decode(identity, type=Identity),
                msgspec.msgpack.decode(archived, type=frozenset[str]),
            )
        except msgspec.MsgspecError:
            raise DamagedStoreError(f"{self._path.name}: written in another form") from None

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The documents under these keys, None where there is none."""
        with told(self._path):
            found: list[bytes | None] = self._db.get(list(keys)) or [] if keys else []
        return found

    def begin(self, identity: Identity, archived: frozenset[str] = frozenset()) -> None:
        """An empty store becomes the state of this log. `archived`: campaigns that it must never write."""
        self.identity, self.cursor, self.archived = identity, dict(identity.from_), archived
        batch = WriteBatch(raw_mode=True)
        batch[_IDENTITY] = msgspec.msgpack.encode(identity)
        batch[_ARCHIVED] = msgspec.msgpack.encode(sorted(archived))
        batch[_CURSOR] = msgspec.msgpack.encode(self.cursor)
        self._write(batch)
        self.keep()

    def write(self, documents: Mapping[bytes, bytes], cursor: Mapping[str, int]) -> None:
        """All of these documents and the cursor (topics that are not named keep theirs), or nothing."""
        moved = {**self.cursor, **cursor}
        batch = WriteBatch(raw_mode=True)
        for key, document in documents.items():
            batch[key] = document
        batch[_CURSOR] = msgspec.msgpack.encode(moved)
        self._write(batch)
        self.cursor = moved

    def _write(self, batch: WriteBatch) -> None:
        with told(self._path):
            self._db.write(batch)
        self._unkept = True

    def keep(self, *, wait: bool = False) -> None:
        """Have what was written so far put into files, so that no crash takes it; returns at once unless `wait`."""
        if self._unkept:
            with told(self._path):
                self._db.flush(wait)
            self._unkept = False

    def close(self) -> None:
        """Keep everything and release the directory: another process, or a later assignment, may open it."""
        try:
            self.keep(wait=True)
        finally:
            with told(self._path):
                self._db.close()

    def distrust(self) -> None:
        """Mark it as damaged: the next start throws it away. What cannot be marked either is found again by that."""
        distrust(self._path)


def unfolded(store: StateStore, identity: Identity) -> dict[str, int]:
    """Topic → records that retention cut away before this store had folded them."""
    first = identity.from_
    return {topic: first[topic] - at for topic, at in store.cursor.items() if at < first.get(topic, 0)}


def misfit(store: StateStore, identity: Identity, ends: Mapping[str, int]) -> str | None:
    """Why a store is not the state of this log, or None. `ends`: the offset after the last record of each topic."""
    if store.identity is None:
        return "empty"
    if store.identity.fold_version != identity.fold_version:
        return "another fold_version"
    if store.identity.topic_ids != identity.topic_ids:
        return "another log: topic ids differ"
    if store.identity.partition != identity.partition:
        return "another partition"
    if store.cursor.keys() != ends.keys():
        return "other topics"
    ahead = [topic for topic, offset in store.cursor.items() if offset > ends[topic]]
    if ahead:
        return f"ahead of the end of {', '.join(ahead)}"
    lost = unfolded(store, identity)
    return f"retention cut what was not folded of {', '.join(lost)}" if lost else None


def open_store(path: Path, memory: Memory, identity: Identity, ends: Mapping[str, int]) -> StateStore:
    """The store at `path` if it is the state of this log; else an empty one in its place, for `begin`.

    Errors: StoreError for what a new store would meet too (no space, no permission, in use).
    """
    if not path.exists():
        return StateStore(path, memory)
    try:
        store = StateStore(path, memory)
    except DamagedStoreError as error:
        reason, lost = str(error), dict[str, int]()
    else:
        found = misfit(store, identity, ends)
        if found is None:
            return store
        reason, lost = found, {} if store.identity is None else unfolded(store, identity)
        store.close()
    if lost:
        _log.error("retention cut records that were not folded", path=path.name, records=lost)
    if reason != "empty":
        _log.warning("state thrown away, the log is folded anew", path=path.name, reason=reason)
    forget(path)
    return StateStore(path, memory)
