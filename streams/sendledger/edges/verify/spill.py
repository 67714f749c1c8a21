"""Facts and states of one partition put aside by recipient, in memory while they are few and on disk beyond that.

A log can be larger than the memory: each recipient's things go into one of some buckets, so that a bucket at a time can
be folded. The files hold no phone number, only its last three digits, in a directory that nobody else can read.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sendledger.domain.facts import Fact, Requested
from sendledger.domain.plain import Seen

BUCKET_RECORDS = 50_000
"""About 50 MB once they are objects again."""
MEMORY_BYTES = 32 << 20
_LENGTH = 4
_DIGITS = 3


class _Row(msgspec.Struct, array_like=True, gc=False):
    recipient: str
    topic: int
    offset: int
    appended_at: int
    fact: Fact | None = None
    message_id: str = ""
    state: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Row).decode

Bucket = tuple[dict[str, list[Seen]], dict[str, dict[str, bytes]]]
"""By recipient: its facts, and the last published state of each of its messages."""


class Spill:
    """The facts and states of one partition. `expected`: how many are to come, about."""

    def __init__(self, expected: int, memory: int = MEMORY_BYTES, bucket: int = BUCKET_RECORDS) -> None:
        self._count = 1 + expected // bucket
        self._most = memory
        self._waiting: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._size = 0
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        if self._directory is not None:
            self._directory.cleanup()

    def fact(self, seen: Seen) -> None:
        """Put a fact aside; of a request's number the last three digits stay."""
        fact = seen.fact
        if isinstance(fact, Requested):
            masked = msgspec.structs.replace(fact.data, to=fact.data.to[-_DIGITS:])
            fact = msgspec.structs.replace(fact, data=masked)
        self._put(_Row(fact.data.recipient_id, seen.topic, seen.offset, seen.appended_at, fact))

    def state(self, recipient: str, message_id: str, state: bytes) -> None:
        """Put a published message state aside; an empty one is a tombstone."""
        self._put(_Row(recipient, -1, -1, -1, None, message_id, state))

    def _put(self, row: _Row) -> None:
        raw = _encode(row)
        waiting = self._waiting[zlib.crc32(row.recipient.encode()) % self._count]
        waiting += len(raw).to_bytes(_LENGTH, "big")
        waiting += raw
        self._size += len(raw) + _LENGTH
        if self._size > self._most:
            self._flush()

    def _flush(self) -> None:
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="sendledger-verify-")  # mode 0700
        for number, waiting in self._waiting.items():
            with self._file(number).open("ab") as file:
                file.write(waiting)
        self._waiting.clear()
        self._size = 0

    def _file(self, number: int) -> Path:
        return Path(self._directory.name if self._directory else "") / str(number)

    def buckets(self) -> Iterator[Bucket]:
        """All that was put aside, a bucket at a time."""
        for number in range(self._count):
            seen: defaultdict[str, list[Seen]] = defaultdict(list)
            states: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
            for row in self._rows(number):
                if row.fact is None:
                    states[row.recipient][row.message_id] = row.state
                else:
                    seen[row.recipient].append(Seen(row.topic, row.offset, row.appended_at, row.fact))
            yield seen, states

    def _rows(self, number: int) -> Iterator[_Row]:
        if self._directory is not None and self._file(number).exists():
            with self._file(number).open("rb") as file:
                while head := file.read(_LENGTH):
                    yield _decode(file.read(int.from_bytes(head, "big")))
        waiting = memoryview(self._waiting.get(number, bytearray()))
        at = 0
        while at < len(waiting):
            end = at + _LENGTH + int.from_bytes(waiting[at : at + _LENGTH], "big")
            yield _decode(waiting[at + _LENGTH : end])
            at = end
