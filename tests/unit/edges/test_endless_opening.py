"""A store in which RocksDB would read for ever: who has ended in it twice throws it away, and is told."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
from pathlib import Path

import pytest
from rocksdict import Cache, Options, Rdict

from sendledger.edges import rocksdb
from sendledger.edges.rocksdb import OPENING, PATIENCE, DamagedStoreError, opened
from sendledger.edges.sender_store import SenderStore
from sendledger.edges.state_store import Identity, Memory, StateStore
from tests.support.processes import until

_WITHIN = 30.0  # seconds for a start
_HEADER = struct.Struct("<IHB")  # of a record in a MANIFEST: checksum, length, type
_WHOLE, _RECYCLED = 1, 5  # types; one bit apart
_HEAD = """
import sys
from pathlib import Path
from rocksdict import Cache, Options
from sendledger.edges import rocksdb, sender_store_opening, state_store
path = Path(sys.argv[1])
"""
_OPEN = f"{_HEAD}rocksdb.opened(path, Options(raw_mode=True))"
_FOLD = f"""{_HEAD}
identity = state_store.Identity(1, {{"a": "id-a"}}, {{"a": 0}}, 3)
store = state_store.open_store(path, state_store.Memory(1 << 20, 1 << 20), identity, {{"a": 10}})
assert (store.identity, store.cursor) == (None, {{}})
store.close()
"""
_SENDER = f"""{_HEAD}
store = sender_store_opening.open_store(path, Cache(1 << 20), "log", {{}})
assert store.cursors == {{}}
store.close()
"""


def spoil(store: Path) -> None:
    """Flip the one bit in a MANIFEST that makes RocksDB's reader go round: a disk has done it in a test's round."""
    (path,) = store.glob("MANIFEST-*")
    content, places, at = bytearray(path.read_bytes()), list[int](), 0
    while at + _HEADER.size <= len(content):
        _, length, kind = _HEADER.unpack_from(content, at)
        places += [at + _HEADER.size - 1] if kind == _WHOLE and length else []
        at += _HEADER.size + length
    content[places[-2]] = _RECYCLED
    path.write_bytes(content)


async def hang(store: Path) -> None:
    """Open it in a process of its own, see that it does not come back, and kill that. Errors: AssertionError."""
    before = (store / OPENING).stat().st_size if (store / OPENING).exists() else 0
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _OPEN, str(store))
    try:
        await until(lambda: (store / OPENING).exists() and (store / OPENING).stat().st_size > before, "it is opened")
        with pytest.raises(TimeoutError):  # it does not end by itself: nothing is waited for here
            await asyncio.wait_for(process.wait(), timeout=1.0)
    finally:
        process.kill()
        await process.wait()


async def opens(store: Path, script: str) -> None:
    """The next start gets an empty store; in a process, for who hangs cannot be stopped. Errors: AssertionError."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(store))
    try:
        assert await asyncio.wait_for(process.wait(), timeout=_WITHIN) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert not (store / OPENING).exists()


async def test_a_state_that_is_never_open_is_folded_anew(tmp_path: Path) -> None:
    """After two processes that ended in it; one might have been killed by chance."""
    path = tmp_path / "p3"
    store = StateStore(path, Memory(1 << 20, 1 << 20))
    store.begin(Identity(1, {"a": "id-a"}, {"a": 0}, 3))
    store.close()
    spoil(path)
    for _ in range(PATIENCE):
        await hang(path)
    await opens(path, _FOLD)


async def test_so_is_a_sender_s(tmp_path: Path) -> None:
    """The same files, the same library."""
    path = tmp_path / "p3"
    SenderStore(path, Cache(1 << 20), "log").close()
    spoil(path)
    for _ in range(PATIENCE):
        await hang(path)
    await opens(path, _SENDER)


def test_one_that_was_killed_by_chance_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once is no evidence. Whatever comes to an end is not counted, errors too."""
    path, options = tmp_path / "p3", Options(raw_mode=True)
    database = opened(path, options)
    database[b"k"] = b"v"
    database.close()
    (path / OPENING).write_bytes(b".")
    database = opened(path, options)
    assert database[b"k"] == b"v"
    assert not (path / OPENING).exists()
    database.close()

    def refuses(*_: object) -> Rdict:
        raise Exception("IO error: No space left on device")  # noqa: TRY002 — as RocksDB's own have no type

    monkeypatch.setattr(rocksdb, "Rdict", refuses)
    for _ in range(PATIENCE + 1):
        with pytest.raises(rocksdb.StoreError, match="No space left") as refused:
            opened(path, options)
        assert not isinstance(refused.value, DamagedStoreError)
