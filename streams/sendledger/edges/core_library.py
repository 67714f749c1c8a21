"""The library in Rust (`streams/foldcore`): opened once, and the form of what travels to it and back."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Collection, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

_LIBRARY = Path(__file__).with_name("libfoldcore.native")


class CoreMissingError(Exception):
    """The library is not there, or not for this machine."""


@cache
def open_core() -> ctypes.CDLL:
    """The library; calls into it let go of Python's lock. Errors: CoreMissingError."""
    try:
        return ctypes.CDLL(str(_LIBRARY))
    except OSError as error:
        raise CoreMissingError(f"{_LIBRARY.name} is missing or not for this machine: `make setup` builds it") from error


def sliced(data: int | None, lengths: int | None, count: int) -> Iterator[bytes]:
    """The byte strings that stand at `data` one behind the other; at `lengths` stand `count` lengths of 32 bits."""
    if not count or lengths is None:
        return iter(())
    sizes = array("I", ctypes.string_at(lengths, 4 * count))
    ends = list(accumulate(sizes))
    raw = ctypes.string_at(data or 0, ends[-1])
    return (raw[end - size : end] for size, end in zip(sizes, ends, strict=True))


def number(value: int) -> bytes:
    """Unsigned, 7 bits a byte."""
    told = bytearray()
    while value > 0x7F:  # noqa: PLR2004 — the form's own
        told.append(value & 0x7F | 0x80)
        value >>= 7
    told.append(value)
    return bytes(told)


def signed(value: int) -> bytes:
    """A number that may be negative (zigzag)."""
    return number(2 * value if value >= 0 else -2 * value - 1)


def sized(raw: bytes) -> bytes:
    """Bytes behind their length."""
    return number(len(raw)) + raw


def listed(values: Collection[bytes]) -> bytes:
    """Byte strings, each behind its length, behind their count."""
    return number(len(values)) + b"".join(map(sized, values))
