"""The fold's inner loop: record batches in, changed documents and records to publish out (DESIGN §5).

What events mean is defined by `sendledger.domain`. Here the same is done on whole batches of Kafka's bytes, by a small
library in Rust (`streams/foldcore`) that needs no object an event, and lets go of Python's lock while it works. Tests
hold the two together; `sendledger verify` proves the numbers of this one with the code of the other.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import msgspec

from sendledger.domain.message import Offsets
from sendledger.edges.core_library import CoreMissingError, listed, open_core, signed, sized, sliced
from sendledger.edges.record_batch import PackedBatch
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import FOLD_SOURCES

Load = Callable[[list[bytes]], Sequence[bytes | None]]
"""Keys → stored documents (None = there is none)."""

Judge = Callable[[int, int], bytes | None]
"""(source topic, offset) of a record out of the ordinary → the event in its usual form, None = a dead letter."""

_ABSENT = 2**32 - 1
_DOCUMENTS, _MESSAGES, _PARTIALS = range(3)
_HOST_FAILED, _DAMAGED = 1, 2
_FAULTS = {_DAMAGED: "a stored document is damaged", 3: "a record batch is not in Kafka's format"}


class FoldCoreError(Exception):
    """A batch could not be folded; the fold must not be used any more."""


class DamagedDocumentError(FoldCoreError):
    """A stored document is not as it was written."""


@dataclass(frozen=True)
class Origin:
    """Where a fold's numbers come from: its partition, its slot, and the log that it reads."""

    partition: int
    slot: int
    from_: Offsets
    topic_ids: Mapping[str, str]


class Packed(Protocol):
    """A record batch (`agents.fetched.Packed`)."""

    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def base(self) -> int: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def records(self) -> bytes: ...  # noqa: D102


class Partial(NamedTuple):
    """One partial to publish. `imbalance`: |requested − sum of buckets| of a main record, None for a day's series."""

    key: bytes
    campaign_id: str
    value: bytes
    imbalance: int | None


class Changes:
    """What a batch changed: `documents` to write; `messages` (states, in batches) and `partials` to publish before."""

    def __init__(self, documents: list[bytes], messages: list[bytes], partials: list[bytes]) -> None:
        self.documents = dict(zip(documents[::2], documents[1::2], strict=True))
        packed = zip(messages[::2], messages[1::2], strict=True)
        self.messages = [PackedBatch(int(count), records) for records, count in packed]
        rows = zip(partials[::4], partials[1::4], partials[2::4], partials[3::4], strict=True)
        self.partials = [
            Partial(key, campaign.decode(), value, abs(int(balance)) if balance else None)
            for key, campaign, value, balance in rows
        ]


class _Batch(ctypes.Structure):
    _fields_ = (
        ("topic", ctypes.c_size_t),
        ("first", ctypes.c_int64),
        ("base", ctypes.c_int64),
        ("count", ctypes.c_size_t),
        ("records", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
    )


_Loaded = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_Judged = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)


class _Callbacks(ctypes.Structure):
    _fields_ = (("load", _Loaded), ("judge", _Judged))


@cache
def _library() -> ctypes.CDLL:
    """The library; calls into it let go of Python's lock, its calls back take it again."""
    try:
        library = open_core()
    except CoreMissingError as error:
        raise FoldCoreError(str(error)) from error
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    library.foldcore_new.argtypes, library.foldcore_new.restype = [text, size], pointer
    library.foldcore_drop.argtypes, library.foldcore_drop.restype = [pointer], None
    library.foldcore_reply.argtypes, library.foldcore_reply.restype = [pointer, text, size, text, size], None
    library.foldcore_fold.argtypes = [pointer, pointer, size, _Callbacks]
    library.foldcore_again.argtypes = [pointer, text, size, _Callbacks]
    library.foldcore_changes.argtypes = [pointer, ctypes.c_int32, *[pointer] * 4]
    library.foldcore_changes.restype = None
    return library


class PartitionFold:
    """The fold of one partition. Between batches it keeps only campaigns' parts, which follow from what it wrote.

    `archived`: campaigns of which nothing is published. One batch at a time. Errors: whatever `load` and `judge` raise,
    FoldCoreError; after any of them the fold must not be used any more.
    """

    def __init__(self, load: Load, origin: Origin, archived: Collection[str] = ()) -> None:
        self._load = load
        self._error: BaseException | None = None
        self._judge: Judge | None = None
        self._callbacks = _Callbacks(_Loaded(self._loaded), _Judged(self._judged))
        given = _given(origin, archived)
        self._fold = _library().foldcore_new(given, len(given))
        if not self._fold:
            raise FoldCoreError("the fold's origin cannot be read")

    def __del__(self) -> None:
        """Let go of its memory."""
        if getattr(self, "_fold", None):
            _library().foldcore_drop(self._fold)

    def fold(self, batches: Mapping[str, Sequence[Packed]], judge: Judge) -> Changes:
        """Fold record batches by source topic, each topic's in log order."""
        given = [
            _Batch(number, one.first, one.base, one.count, records, len(records))
            for number, topic in enumerate(FOLD_SOURCES)
            for one in batches.get(topic, ())
            for records in (one.records,)
        ]
        self._judge = judge
        told = (_Batch * len(given))(*given)
        return self._changes(_library().foldcore_fold(self._fold, told, len(given), self._callbacks))

    def again(self, campaign_id: str, days: Sequence[str], messages: Mapping[str, str]) -> Changes:
        """The campaign's main partial and those of these days, and the states of these of its messages, as stored.

        `messages`: message id → recipient id.
        """
        given = _text(campaign_id) + _texts(days) + _texts(messages.values()) + _texts(messages.keys())
        return self._changes(_library().foldcore_again(self._fold, given, len(given), self._callbacks))

    def _changes(self, result: int) -> Changes:
        error, self._error = self._error, None
        if error is not None:
            raise error
        if result == _DAMAGED:
            raise DamagedDocumentError(_FAULTS[result])
        if result:
            raise FoldCoreError(_FAULTS.get(result, "the fold contradicts itself"))
        documents, messages, partials = (self._told(which) for which in (_DOCUMENTS, _MESSAGES, _PARTIALS))
        return Changes(documents, messages, partials)

    def _told(self, which: int) -> list[bytes]:
        data, lengths = ctypes.c_void_p(), ctypes.c_void_p()
        length, count = ctypes.c_size_t(), ctypes.c_size_t()
        references = [ctypes.byref(one) for one in (data, length, lengths, count)]
        _library().foldcore_changes(self._fold, which, *references)
        return list(sliced(data.value, lengths.value, count.value))

    # ------------------------------------------------------------------------------ called by the library
    def _loaded(self, reply: int, keys: int, lengths: int, count: int) -> int:
        try:
            found = self._load(list(sliced(keys, lengths, count)))
            sizes = array("I", [_ABSENT if raw is None else len(raw) for raw in found]).tobytes()
            data = b"".join([raw for raw in found if raw is not None])
            _library().foldcore_reply(reply, data, len(data), sizes, len(found))
        except BaseException as error:  # noqa: BLE001 — raised again where the library returns
            self._error = error
            return _HOST_FAILED
        return 0

    def _judged(self, reply: int, topic: int, offset: int) -> int:
        try:
            event = self._judge(topic, offset) if self._judge else None
            if event is not None:
                _library().foldcore_reply(reply, event, len(event), array("I", [len(event)]).tobytes(), 1)
        except BaseException as error:  # noqa: BLE001 — as above
            self._error = error
            return _HOST_FAILED
        return 0


# ---------------------------------------------------------------------------------------- what the library is told
def _text(value: str) -> bytes:
    return sized(value.encode())


def _texts(values: Collection[str]) -> bytes:
    return listed([value.encode() for value in values])


def _given(origin: Origin, archived: Collection[str]) -> bytes:
    ids = msgspec.json.encode(dict(origin.topic_ids)).decode()
    numbers = b"".join(map(signed, (origin.partition, origin.slot, FOLD_VERSION)))
    starts = b"".join(_text(topic) + signed(first) for topic, first in zip(FOLD_SOURCES, origin.from_, strict=True))
    return numbers + _text(ids) + starts + _texts(archived)
