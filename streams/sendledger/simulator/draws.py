"""Chance as a pure function: the same seed, subject and name give the same draw, in any order and at any time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K", bound=str | int)

_WHOLE = 2**64


class Draws:
    """Named draws about one subject. A new name changes no other draw, unlike a stream of random numbers."""

    __slots__ = ("_subject",)

    def __init__(self, *subject: str | int) -> None:
        # JSON frames the parts: ("ab", "c") and ("a", "bc") must not meet.
        self._subject = hashlib.blake2b(json.dumps(subject).encode(), digest_size=32).digest()

    def unit(self, name: str) -> float:
        """A number in [0, 1), evenly spread."""
        digest = hashlib.blake2b(name.encode(), key=self._subject, digest_size=8).digest()
        return int.from_bytes(digest, "big") / _WHOLE

    def happens(self, name: str, share: float) -> bool:
        """True for `share` of all subjects."""
        return share > 0 and self.unit(name) < share

    def between(self, name: str, low: float, high: float) -> float:
        """A number in [low, high]."""
        return low + (high - low) * self.unit(name)

    def one_of(self, name: str, shares: Mapping[K, float]) -> K | None:
        """A key by its share; None for the rest that the shares leave. The mapping's order does not matter."""
        if not shares:
            return None
        left = self.unit(name)
        for key in sorted(shares):
            left -= shares[key]
            if left < 0:
                return key
        return None
