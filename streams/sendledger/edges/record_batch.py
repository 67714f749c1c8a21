"""A record batch of Kafka's message format v2 whose records are packed already; aiokafka takes it as one of its own.

aiokafka compresses with LZ4's level 9, on the event loop: level 1 takes a tenth of the time for a tenth more bytes, and
this is done by whoever packs the records, on its own thread. (Kafka's Java clients do what is level 1 here.)
"""

from __future__ import annotations

import time
from struct import Struct

import cramjam
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER = Struct(">qiibIhiqqqhii")
"""Base offset, length, leader's epoch, magic, check sum, attributes, last offset delta, first and last time, producer's
id, epoch and sequence, count of records."""

COVERED = 21
"""The place of the attributes: from there on the check sum covers everything."""

LENGTH_ENDS = 12  # the length counts what stands behind it
_MAGIC, _LZ4 = 2, 3


def compressed(records: bytes) -> bytes:
    """LZ4 frame, blocks by themselves, as Kafka wants them (KIP-57)."""
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(records)
    return bytes(compressor.finish())


class PackedBatch:
    """`count` records, packed; stands in for aiokafka's `BatchBuilder` (`AIOKafkaProducer.send_batch`)."""

    def __init__(self, count: int, records: bytes) -> None:
        self._count, self._records, self._buffer = count, compressed(records), b""
        self._producer = -1, -1, -1

    def append(self, **_record: object) -> None:
        """None: it takes no more."""

    def close(self) -> None:
        """It is closed from the start."""

    def closed(self) -> bool:
        """Always."""
        return True

    def record_count(self) -> int:
        """How many records."""
        return self._count

    def size(self) -> int:
        """Bytes on the wire."""
        return HEADER.size + len(self._records)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = producer_id, producer_epoch, base_sequence

    def _build(self) -> bytes:
        """All its bytes; the same again where a batch is sent again."""
        if not self._buffer:
            now, length = int(time.time() * 1000), self.size() - LENGTH_ENDS
            rest = (_LZ4, self._count - 1, now, now, *self._producer, self._count)
            unsummed = HEADER.pack(0, length, -1, _MAGIC, 0, *rest) + self._records
            self._buffer = HEADER.pack(0, length, -1, _MAGIC, calc_crc32c(unsummed[COVERED:]), *rest) + self._records
        return self._buffer


class Packer:
    """Packs records one by one, at most so many bytes of them (before they are compressed)."""

    def __init__(self, most_bytes: int) -> None:
        given = {"is_transactional": 0, "producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
        self._records = DefaultRecordBatchBuilder(_MAGIC, 0, batch_size=most_bytes, **given)
        self._at = int(time.time() * 1000)
        self.count = 0

    def append(self, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> bool:
        """Whether it was taken; if not, it is full."""
        if self._records.append(self.count, self._at, key, value, headers) is None:
            return False
        self.count += 1
        return True

    def batch(self) -> PackedBatch:
        """What was appended; nothing more can be."""
        return PackedBatch(self.count, bytes(self._records.build()[HEADER.size :]))
