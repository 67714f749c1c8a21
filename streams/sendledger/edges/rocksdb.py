"""RocksDB's files, whatever is kept in them: opening them, what is wrong with them, throwing them away.

What is kept so is a cache of a log: what is damaged is thrown away and folded anew.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rocksdict import Options, Rdict, WriteOptions

DAMAGED = "DAMAGED"
"""File beside RocksDB's own: this store must not be believed any more."""
OPENING = "OPENING"
"""File beside RocksDB's own while they are opened: a byte for each opening that has not come to an end."""
PATIENCE = 2
"""Openings that may end with their process. One bit of a MANIFEST is enough to have RocksDB read it for ever."""

# What RocksDB says of files that are not as it left them. All else (no space, no permission, the lock) is said of the
# machine: the state may be good, and throwing it away would not help.
_SPOILED = ("Corruption", "IO error: No such file or directory", "Not implemented", "Invalid argument")


class StoreError(Exception):
    """The disk does not take or give the state. The message is RocksDB's; it names files, never content."""


class DamagedStoreError(StoreError):
    """The files are not as they were written; the next start folds this partition anew."""


def opened(path: Path, options: Options) -> Rdict:
    """The database at `path`, a new one where there is none. Without a write-ahead log: the log of events is one.

    A process that hangs in it is ended from outside (`deadman`), and its next start would hang in it again: so who has
    ended in it `PATIENCE` times is not opened. Errors: DamagedStoreError, StoreError.
    """
    if (path / DAMAGED).exists():
        raise DamagedStoreError(f"{path.name}: found damaged before")
    with told(path), _counted(path) as unended:
        if unended >= PATIENCE:
            raise DamagedStoreError(f"{path.name}: opening it did not come to an end {unended} times")
        database = Rdict(str(path), options)
    unlogged = WriteOptions()
    unlogged.disable_wal = True  # type: ignore[method-assign,assignment]  # its stub calls it a method
    database.set_write_options(unlogged)
    return database


@contextmanager
def _counted(path: Path) -> Iterator[int]:
    """How many openings before this one have not come to an end. Errors: OSError."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / OPENING).open("ab") as file:
        unended = file.tell()
        file.write(b".")
    try:
        yield unended
    finally:
        (path / OPENING).unlink(missing_ok=True)


def distrust(path: Path) -> None:
    """Mark the store at `path` as damaged."""
    with contextlib.suppress(OSError):
        (path / DAMAGED).touch()


@contextmanager
def told(path: Path) -> Iterator[None]:
    """RocksDB's errors, which have no type of their own, as ours: of files that are spoiled, the store is marked.

    Errors: DamagedStoreError, also for a document that cannot be decoded; StoreError for all else.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        message = f"state of {path.name}: {error}"
        if not str(error).startswith(_SPOILED) and not isinstance(error, msgspec.MsgspecError):
            raise StoreError(message) from error
        distrust(path)
        raise DamagedStoreError(message) from error


def forget(path: Path) -> None:
    """Delete a store. Errors: OSError; what is left then is still marked as damaged if it was.

    The mark goes last: without it the rest would be taken for a state the next time.
    """
    for file in path.iterdir():
        if file.name != DAMAGED:
            file.unlink()
    shutil.rmtree(path)
