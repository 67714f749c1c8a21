"""Three clocks, for three questions: what time is it, how long ago was it, and what time is it at the broker?"""

from __future__ import annotations

import time
from datetime import UTC, datetime

_MICROS = 1_000_000
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def utc_now() -> datetime:
    """The wall's time, for what is written down."""
    return datetime.now(UTC)


def wall_micros() -> int:
    """The wall's time in microseconds since 1970, for due and expiry times."""
    return time.time_ns() // 1000


def steady() -> float:
    """Seconds of a clock that never jumps and also runs while the machine is suspended, for ages."""
    return time.clock_gettime(_STEADY)


class BrokerClock:
    """A time that the broker's clock has surely reached: the newest append time that was seen, and what passed since.

    Without the second part a quiet log would stand still, and nobody's death would ever be noticed.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None  # broker's seconds minus steady seconds, the greatest seen

    def saw(self, appended_ms: int) -> None:
        """A record that the broker appended at this time (LogAppendTime, ms)."""
        if appended_ms > 0:
            ahead = appended_ms / 1000 - steady()
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)

    def micros(self) -> int:
        """The broker's time in microseconds since 1970, at least; 0 as long as nothing was seen."""
        return 0 if self._ahead is None else int((self._ahead + steady()) * _MICROS)
