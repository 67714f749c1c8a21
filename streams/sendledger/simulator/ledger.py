"""The ledger file: appended to, synced to disk in groups, so that many answers wait for one sync."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from sendledger.simulator.entries import Entry, to_line


class LedgerFailed(RuntimeError):
    """The disk refused the ledger. Without it there is no truth to compare with, so the simulator ends."""


class Ledger:
    """Writes entries in the order in which they are given. Used by one event loop.

    With `sync` what `durable()` has waited for survives a power cut; without it, it survives `kill -9`.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self._path = path
        self._sync = sync
        self._file = -1
        self._waiting: list[bytes] = []
        self._group: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._end_torn_line()
        self._writer = asyncio.create_task(self._write_groups())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        try:
            await self.failed()
        finally:
            os.close(self._file)

    def append(self, entries: Iterable[Entry]) -> None:
        """Hands entries over to be written with the next group."""
        self._waiting.extend(to_line(entry) for entry in entries)
        self._wake.set()

    async def durable(self) -> None:
        """Returns once all that was appended until now is on disk.

        Raises:
            LedgerFailed: it will never be.
        """
        if self._writer is None or self._writer.done():
            raise LedgerFailed
        if self._group is None:
            self._group = asyncio.get_running_loop().create_future()
            self._wake.set()
        await asyncio.shield(self._group)

    async def failed(self) -> None:
        """Returns when the ledger is closed; raises LedgerFailed as soon as the disk refuses."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write_groups(self) -> None:
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            lines, self._waiting = self._waiting, []
            group, self._group = self._group, None
            try:
                await self._write(b"".join(lines))
            except OSError as error:
                failure = LedgerFailed(f"the ledger cannot be written: {error.strerror}")
                if group is not None:
                    group.set_exception(failure)
                raise failure from error
            if group is not None:
                group.set_result(None)

    async def _write(self, data: bytes) -> None:
        if self._sync:
            # In a thread: meanwhile the loop gathers the next group.
            await asyncio.get_running_loop().run_in_executor(None, self._write_synced, data)
        else:
            self._write_whole(data)

    def _write_synced(self, data: bytes) -> None:
        self._write_whole(data)
        os.fdatasync(self._file)

    def _write_whole(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _end_torn_line(self) -> None:
        # A crash may have cut the last line of an older run: the next line must not be glued to it.
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._write_whole(b"\n")
