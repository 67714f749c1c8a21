"""Many bodies at once to the record batches that keep them: what `PostbackRecords.keep` makes, made by the library.

`PostbackRecords` is the definition. The library (`streams/foldcore/src/receive.rs`) makes the same bytes of the page's
two notifications, and only of those: what their codes and numbers mean it is told at the start, as pieces of events
that `keep` made. Every other body it leaves to `keep`. Tests hold the two together, byte for byte.
"""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from sendledger.edges.core_library import listed, number, open_core, sized, sliced
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.record_batch import PackedBatch
from sendledger.wire.postbacks import OURS
from sendledger.wire.tpstatus import GSM_0340
from sendledger_schemas import ids
from sendledger_schemas.envelope import HEADERS
from sendledger_schemas.fields import format_instant
from sendledger_schemas.topics import POSTBACKS

_NOT_OURS = 2**32 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CODES = ("N201", "N202", "E201", "E202")
_TO = "10000000000"
_MODEL = (
    '<NOTIFICATION ID="1" CREATED="2011-07-26 10:22:26.975911-04"><ORIGIN>{origin}</ORIGIN><CODE>{code}</CODE><BODY>'
    "<HISTORYID>1</HISTORYID><TO>{to}</TO><TRACKINGID>1</TRACKINGID>{status}"
    "<TIMESTAMP>2011-07-26 10:22:25.262743-04</TIMESTAMP></BODY></NOTIFICATION>"
)


class RoundFailedError(Exception):
    """The library could not make a round: a bug of it. Nothing of the round was made."""


class Ready(NamedTuple):
    """A batch for one partition of the postbacks' topic; `covered`: the places of its bodies in the round."""

    topic: str
    partition: int
    batch: PackedBatch
    covered: list[int]


class Round(NamedTuple):
    """What became of the bodies: batches, and the places of those that are left to `keep`."""

    ready: list[Ready]
    left: list[int]


@cache
def _library() -> ctypes.CDLL:
    # PyDLL would keep Python's lock; the few milliseconds of a round are better spent beside Python's other threads.
    library = open_core()
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    library.foldcore_receiver_new.argtypes, library.foldcore_receiver_new.restype = [text, size], pointer
    library.foldcore_receiver_drop.argtypes, library.foldcore_receiver_drop.restype = [pointer], None
    library.foldcore_receiver_round.argtypes = [pointer, text, size, text, text, size, pointer]
    library.foldcore_receiver_batches.argtypes = [pointer] * 4
    library.foldcore_receiver_batches.restype = None
    return library


class PostbackRounds:
    """Makes rounds. `most_bytes` of a batch before it is compressed. One thread at a time. Errors: CoreMissingError."""

    def __init__(self, records: PostbackRecords, *, most_bytes: int) -> None:
        headers = [part for name, value in HEADERS for part in (name.encode(), value)]
        given = number(most_bytes) + listed(headers) + sized(_told(records))
        self._handle = _library().foldcore_receiver_new(given, len(given))
        if not self._handle:
            raise RoundFailedError("the library does not take what it is told")
        weakref.finalize(self, _library().foldcore_receiver_drop, self._handle)

    def make(self, bodies: Sequence[bytes], came: Sequence[datetime]) -> Round:
        """A round of bodies, each with the time at which it came. Errors: RoundFailedError."""
        count, joined = len(bodies), b"".join(bodies)
        lengths = array("I", map(len, bodies)).tobytes()
        times = array("q", [(at - _EPOCH) // _MICROSECOND for at in came]).tobytes()
        places = array("I", bytes(4 * count))
        into = places.buffer_info()[0]
        if _library().foldcore_receiver_round(self._handle, joined, len(joined), lengths, times, count, into):
            raise RoundFailedError("the library failed at a round")
        told = self._batches()
        covered: list[list[int]] = [[] for _ in told[::3]]
        left: list[int] = []
        for position, place in enumerate(places):
            (left if place == _NOT_OURS else covered[place]).append(position)
        packed = zip(told[::3], told[1::3], told[2::3], covered, strict=True)
        ready = [
            Ready(POSTBACKS, int(partition), PackedBatch(int(count), records), positions)
            for records, count, partition, positions in packed
        ]
        return Round(ready, left)

    def _batches(self) -> list[bytes]:
        data, lengths, count = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        _library().foldcore_receiver_batches(self._handle, *map(ctypes.byref, (data, lengths, count)))
        return list(sliced(data.value, lengths.value, count.value))


def _told(records: PostbackRecords) -> bytes:
    """What the library has to know: the pepper, the partitions, what stands in each event, and the codes' meanings."""
    pieces = [b""] * 4
    meanings: dict[bytes, bytes] = {}
    for name, model in _models():
        if found := _cut(records, model):
            *pieces, meanings[name] = found
    table = listed(list(meanings)) + listed(list(meanings.values()))
    return sized(records.pepper) + number(records.partitions) + b"".join(map(sized, pieces)) + table


def _models() -> Iterator[tuple[bytes, bytes]]:
    """A notification of each kind that is announced, under the library's name for the kind."""
    for code in _CODES:
        for protocol, status in (("", ""), *((str(GSM_0340), str(one)) for one in range(256))):
            element = f'<STATUS PROTOCOL="{protocol}" STATUS="{status}"/>' if protocol else ""
            body = _MODEL.format(origin=OURS, code=code, to=_TO, status=element)
            yield "".join(f"{part}\0" for part in (OURS, code, protocol, status)).encode(), body.encode()


def _cut(records: PostbackRecords, body: bytes) -> list[bytes] | None:
    """The event of a body, cut at its id, its time and its recipient: what is before each, and what its codes mean.

    None: it has something unannounced, which has to be counted, so it is not for the library.
    """
    kept = records.keep(body, _EPOCH)
    if kept.odd is not None or kept.reason is not None:
        return None
    left, pieces = kept.record.value, list[bytes]()
    for value in (ids.body_id(body), format_instant(_EPOCH), ids.recipient_id(records.pepper, _TO)):
        piece, _, left = left.partition(value.encode())
        pieces.append(piece)
    quote, meaning = left[:1], left[1:].partition(b',"tracking_id":')[0]
    return [*pieces, quote, meaning]
