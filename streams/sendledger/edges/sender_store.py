"""The sender's cache of one partition: message facts, what waits, what is open, and the cursors, in one RocksDB.

The journal is the truth. Whatever is lost here is folded again; what must never happen is that cursors and facts part,
so both go into one WriteBatch, and RocksDB has no write-ahead log of its own (see `state_store`): what a crash leaves
is older, but whole. No number and no text is ever stored (P7). Keys, big-endian so that they sort:

| key | value |
|---|---|
| `c` | cursors: topic → next offset; of which log; the version of this layout |
| `m` message | its facts |
| `q` campaign NUL offset(8) | message that may go at once |
| `w` due(8) offset(8) | message that has to wait until then |
| `x` expires(8) offset(8) | any waiting message |
| `o` message | its open attempt |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rocksdict import BlockBasedOptions, Cache, Options, ReadOptions, WriteBatch

from sendledger.domain.message import Message
from sendledger.domain.sending import Open, Place, Queued
from sendledger.edges.rocksdb import opened, told

LAYOUT = 2
RECENT = 512
"""Messages of one partition that are kept at hand: more than can be claimed at a time."""

FOREVER = (1 << 63) - 1
"""Later than any time in µs."""

_CURSORS = b"c"
_MB = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_message = msgspec.msgpack.Decoder(Message).decode


class Opened(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open attempt: `offset` of its claim, and when the broker appended it (µs)."""

    recipient_id: str
    attempt: int
    offset: int
    at: int


class _Meta(msgspec.Struct, frozen=True, array_like=True):
    """`log`: names the topics that this was folded from; topics made anew are another log."""

    layout: int
    log: str
    cursors: dict[str, int]


class Waiting(NamedTuple):
    """One message in a queue."""

    offset: int
    message_id: str


class Timed(NamedTuple):
    """A place among those that have to wait: `due` in µs."""

    due: int
    offset: int


FIRST = Timed(0, -1)


class Change(NamedTuple):
    """One message that moved: what it is now, and where it stood and stands."""

    message: Message
    before: Place
    now: Place
    opened: Opened | None = None


_opened = msgspec.msgpack.Decoder(Opened).decode
_meta = msgspec.msgpack.Decoder(_Meta).decode


def _eight(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _lane(campaign_id: str) -> bytes:
    return b"q" + campaign_id.encode() + b"\0"


class SenderStore:
    """One partition's store; made by `open_store`, closed by its owner. All calls are quick and block.

    `cursors`: topic → next offset; empty for a new store. `fits`: made by this code from this log. Errors of every
    call: DamagedStoreError (the next start folds anew), StoreError.
    """

    def __init__(self, path: Path, cache: Cache, log: str) -> None:
        self._log, self._path = log, path
        self._db = opened(path, _options(cache))
        try:
            with told(path):
                raw = self._db.get(_CURSORS)
                meta = _Meta(LAYOUT, log, {}) if raw is None else _meta(raw)
        except BaseException:
            self._db.close()
            raise
        self._recent: dict[str, Message] = {}  # what was read or written last, as the store has it
        self.fits = meta.layout == LAYOUT and meta.log == log
        self.cursors = meta.cursors

    def close(self) -> None:
        """Put everything into files, and give them back."""
        try:
            with told(self._path):
                self._db.flush(True)  # and wait for it
        finally:
            with told(self._path):
                self._db.close()

    def messages(self, message_ids: Sequence[str]) -> list[Message | None]:
        """The facts of these messages, in the same order."""
        recent = self._recent
        unknown = [message_id for message_id in message_ids if message_id not in recent]
        read: dict[str, Message] = {}
        if unknown:
            with told(self._path):
                found: Any = self._db.get([b"m" + message_id.encode() for message_id in unknown])
                read = {name: _message(raw) for name, raw in zip(unknown, found, strict=True) if raw is not None}
        asked = [recent.get(message_id) or read.get(message_id) for message_id in message_ids]
        self._remember(read)
        return asked

    def _remember(self, messages: Mapping[str, Message]) -> None:
        """A message is looked at when it is picked, claimed, won and answered, all within a moment."""
        self._recent.update(messages)
        for oldest in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
            del self._recent[oldest]

    def commit(self, changes: Sequence[Change], cursors: Mapping[str, int]) -> None:
        """Facts, places and cursors, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for change in changes:
            message, name = change.message, change.message.message_id.encode()
            batch.put(b"m" + name, _encode(message))
            if change.before != change.now:
                for key in _keys(change.before, message):
                    batch.delete(key)
            match change.now:
                case Queued() as queued:
                    lane, timed, expiry = _keys(queued, message)
                    batch.put(timed if queued.due else lane, name)
                    batch.put(expiry, name)
                case Open() if change.opened is not None:
                    batch.put(b"o" + name, _encode(change.opened))
                case _:
                    pass
        self.cursors = dict(cursors)
        batch.put(_CURSORS, _encode(_Meta(LAYOUT, self._log, self.cursors)))
        self._write(batch)
        for change in changes:
            self._recent.pop(change.message.message_id, None)
        self._remember({one.message.message_id: one.message for one in changes if isinstance(one.now, Open)})

    def _write(self, batch: WriteBatch) -> None:
        with told(self._path):
            self._db.write(batch)

    def promote(self, campaign_id: str, due: int, waiting: Waiting) -> None:
        """The time of a waiting message has come: it stands in its campaign's queue from now on."""
        batch = WriteBatch(raw_mode=True)
        batch.delete(b"w" + _eight(due) + _eight(waiting.offset))
        batch.put(_lane(campaign_id) + _eight(waiting.offset), waiting.message_id.encode())
        self._write(batch)

    def postpone(self, campaign_id: str, due: int, waiting: Waiting) -> None:
        """Undo `promote`: the message has to wait until `due` (µs) again."""
        batch = WriteBatch(raw_mode=True)
        batch.delete(_lane(campaign_id) + _eight(waiting.offset))
        batch.put(b"w" + _eight(due) + _eight(waiting.offset), waiting.message_id.encode())
        self._write(batch)

    def campaigns(self) -> list[str]:
        """Campaigns with messages that may go at once; one seek for each."""
        found, start = [], b"q"
        while (key := next((key for key, _ in self._scan(start, b"r")), None)) is not None:
            campaign = key[1:-9]
            found.append(campaign.decode())
            start = b"q" + campaign + b"\x01"
        return found

    def lane(self, campaign_id: str, after: int, limit: int) -> list[Waiting]:
        """The next messages of a campaign, by the offset of their requests, beyond `after`."""
        prefix = _lane(campaign_id)
        rows = self._scan(prefix + _eight(after + 1), prefix + b"\xff" * 9)
        return [Waiting(_number(key, -8), name.decode()) for (key, name), _ in zip(rows, range(limit), strict=False)]

    def timed(self, until: int, limit: int, after: Timed = FIRST) -> list[tuple[int, Waiting]]:
        """(due, message) of those behind a place whose time comes until then."""
        rows = self._scan(b"w" + _eight(after.due) + _eight(after.offset + 1), b"w" + _eight(until + 1))
        return [
            (_number(key, 1), Waiting(_number(key, -8), name.decode()))
            for (key, name), _ in zip(rows, range(limit), strict=False)
        ]

    def next_due(self) -> int | None:
        """When the first waiting message may go, if any waits."""
        return next((_number(key, 1) for key, _ in self._scan(b"w", b"x")), None)

    def expired(self, until: int, limit: int) -> list[Waiting]:
        """Waiting messages, parked ones too, whose time is over."""
        rows = self._scan(b"x", b"x" + _eight(until + 1))
        return [Waiting(_number(key, -8), name.decode()) for (key, name), _ in zip(rows, range(limit), strict=False)]

    def opened(self) -> dict[str, Opened]:
        """All open attempts, by message."""
        with told(self._path):
            return {key[1:].decode(): _opened(value) for key, value in self._scan(b"o", b"p")}

    def _scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        # The bound keeps RocksDB from walking over all that was deleted behind what is wanted.
        bounded = ReadOptions()
        bounded.set_iterate_upper_bound(end)
        with told(self._path):
            rows: Any = self._db.iter(bounded)
            rows.seek(start)
            while rows.valid():
                yield bytes(rows.key()), bytes(rows.value())
                rows.next()
            rows.status()  # a page that cannot be read looks like the end


def _keys(place: Place, message: Message) -> list[bytes]:
    match place:
        case Queued(offset=offset, due=due):
            # A message that waited may have been promoted: both of its places are named.
            at = _eight(offset)
            return [_lane(message.campaign_id) + at, b"w" + _eight(due) + at, b"x" + _eight(place.expires) + at]
        case Open():
            return [b"o" + message.message_id.encode()]
        case _:
            return []


def _number(key: bytes, at: int) -> int:
    return int.from_bytes(key[at:][:8], "big")


def _options(cache: Cache) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(4 * _MB)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    options.set_block_based_table_factory(table)
    return options
