"""The provider's limit on calls per second: a token bucket. The clock comes in as data."""

from __future__ import annotations


class Bucket:
    """Lets `rate` calls a second through, `burst` at once at most. A rate of None lets everything through."""

    def __init__(self, rate: float | None, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled = now

    def take(self, now: float) -> bool:
        """Whether a call at this monotonic time is within the limit; a refused call costs nothing."""
        if self._rate is None:
            return True
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
