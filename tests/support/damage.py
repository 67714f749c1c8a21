"""Ways in which a disk, or somebody, spoils the files of a store, and stores of something else in its place."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sendledger.edges.state_store import Memory, StateStore


def small() -> Memory:
    """So little memory that a test's few records already fill several files."""
    return Memory(8 << 20, 2 << 20, 256 << 10)


# ------------------------------------------------------------------------------------------------ one file of a store
def _delete(path: Path, chance: random.Random) -> None:
    path.unlink()


def _empty(path: Path, chance: random.Random) -> None:
    os.truncate(path, 0)


def _cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def _flip(path: Path, chance: random.Random) -> None:
    """One bit, as a disk that lies does it; in a large file that is a record's, found when it is read."""
    content = bytearray(path.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _zero(path: Path, chance: random.Random) -> None:
    """A piece of zeros: what a file system may leave of the last pages."""
    content = bytearray(path.read_bytes())
    start = chance.randrange(len(content) + 1)
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)


_WAYS: tuple[Callable[[Path, random.Random], None], ...] = (_delete, _empty, _cut, _flip, _flip, _zero)


def spoil(store: Path, chance: random.Random) -> str:
    """Damage one file of a closed store, RocksDB's own log apart; what was done, for the test's output."""
    files = sorted(path for path in store.iterdir() if path.name not in {"LOG", "LOCK", "LOG.old"})
    path, way = chance.choice(files), chance.choice(_WAYS)
    way(path, chance)
    return f"{store.name}/{path.name}{way.__name__}"


# -------------------------------------------------------------------------------------------- a store of something else
def identify(store: Path, ends: Mapping[str, int], **over: Any) -> None:
    """Make an old store say that it is something else, and that it has folded all: who believes it misses the rest."""
    opened = StateStore(store, small())
    assert opened.identity is not None
    opened.begin(msgspec.structs.replace(opened.identity, **over), opened.archived)
    opened.write({}, ends)
    opened.close()


def swap(one: Path, other: Path) -> None:
    """Put two stores in each other's place."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def restore(saved: Path, store: Path) -> None:
    """Put an older copy in the store's place."""
    shutil.rmtree(store)
    shutil.copytree(saved, store)
