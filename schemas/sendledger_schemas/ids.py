"""Ids: plain functions from facts to names, the same on every side of the log (DESIGN §2, §3)."""

from __future__ import annotations

import hashlib
import hmac
import struct

ID_BYTES = 16


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -1, -10)


def _base32(digest: bytes) -> str:
    # As base64.b32encode in lower case and without "=" (RFC 4648, section 6), at three fifths of its price: a message
    # has three ids. 16 bytes are 130 bits with the two that are added: 13 pairs of letters.
    bits = int.from_bytes(digest[:ID_BYTES], "big") << 2
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def _hash(*parts: str) -> str:
    # Lengths are hashed along with the parts: ("ab", "c") and ("a", "bc") must not meet.
    framed = b""
    for part in parts:
        raw = part.encode()
        framed += len(raw).to_bytes(4, "big") + raw
    return _base32(hashlib.sha256(framed).digest())


def digits_of(to: str) -> str:
    """TO as every side compares it: trimmed, one leading `+` or `00` dropped, nothing else (DESIGN §2)."""
    trimmed = to.strip()
    if trimmed.startswith("+"):
        return trimmed[1:]
    return trimmed.removeprefix("00")


def recipient_id(pepper: bytes, to: str) -> str:
    """26 characters of lower-case base32: the first 16 bytes of HMAC-SHA256(pepper, digits of TO)."""
    return _base32(hmac.digest(pepper, digits_of(to).encode(), "sha256"))


def pepper_fingerprint(pepper: bytes) -> str:
    """What may be written down of the pepper: a hash that tells two peppers apart and nothing else."""
    return _base32(hmac.digest(pepper, b"sendledger pepper fingerprint v1", "sha256"))


def batch_id(idempotency_key: str) -> str:
    """The name of a batch: a hash of its idempotency key, which may hold anything."""
    return _hash("batch", idempotency_key)


def message_id(campaign_id: str, batch: str, row: int) -> str:
    """The same campaign, batch and row give the same message, so that a repeated POST gives no second one."""
    return _hash("message", campaign_id, batch, str(row))


def event_id(event_type: str, *facts: str) -> str:
    """An id that is a function of the facts, for events whose writer may have to write them again after a crash."""
    return _hash("event", event_type, *facts)


def body_id(body: bytes) -> str:
    """The id of a postback: a hash of the body's bytes, so that a repeated delivery is the same event (DESIGN §3)."""
    return _base32(hashlib.sha256(body).digest())


_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_WORDS = struct.Struct("<I").iter_unpack


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 as a signed-free 32-bit number (org.apache.kafka.common.utils.Utils.murmur2)."""
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for (word,) in _WORDS(data[:whole]):
        k = word * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a key: murmur2, made positive, modulo the count."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
