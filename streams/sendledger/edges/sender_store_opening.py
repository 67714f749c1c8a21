"""Opening the sender's store of one partition: waiting for who still holds it, and folding anew what does not fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import structlog
from rocksdict import Cache

from sendledger.edges.rocksdb import DamagedStoreError, StoreError, forget
from sendledger.edges.sender_store import SenderStore

LOCK_WAIT = 10.0
"""Seconds for which a store that another process still holds is asked for again."""

_CACHE_BYTES = 32 << 20
_log = structlog.get_logger()


class StoreHeldError(Exception):
    """Another process has this store open: two senders may not share a data directory."""


def open_store(path: Path, cache: Cache, log: str, ends: Mapping[str, int]) -> SenderStore:
    """Open a partition's store, waiting a little for a process that is just ending.

    One that is not of this log (`log`; `ends`: topic → end offset), or is damaged, is forgotten, and folded again from
    the log's start. Errors: StoreHeldError; OSError if it cannot be deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        store = _opened_within(path, cache, log)
    except DamagedStoreError as error:
        _log.warning("the sender's store is folded anew", path=path.name, reason=str(error))
        forget(path)
        return _opened_within(path, cache, log)
    if store.fits and all(store.cursors.get(topic, 0) <= end for topic, end in ends.items()):
        return store
    store.close()
    forget(path)
    return _opened_within(path, cache, log)


def _opened_within(path: Path, cache: Cache, log: str) -> SenderStore:
    until = time.monotonic() + LOCK_WAIT
    while True:
        try:
            return SenderStore(path, cache, log)
        except DamagedStoreError:
            raise  # RocksDB speaks of a block that it cannot read
        except StoreError as error:
            if "lock" not in str(error).lower():
                raise
            if time.monotonic() > until:
                raise StoreHeldError(f"{path.name} is in use by another process") from None
            time.sleep(0.05)


def shared_cache() -> Cache:
    """The block cache that all partitions of a process share."""
    return Cache(_CACHE_BYTES)
