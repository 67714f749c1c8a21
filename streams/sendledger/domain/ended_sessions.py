"""Sessions of the live page that were signed out: which cookies are worth nothing any more. Pure.

An entry is forgotten once its cookie is over by itself. No clock is asked for that: a session that ends `LIFETIME` or
more before another's end had its own end before that other one was opened.
"""

from __future__ import annotations

LIFETIME = 12 * 3600
"""Seconds for which a cookie is good."""
_OFTEN = 1_000


class EndedSessions:
    """A growing set, in any order and with repeats. `ends`: when a session's cookie is over, in seconds since 1970."""

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}
        self._last = 0

    def __contains__(self, session: str) -> bool:
        return session in self._ends

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, session: str, ends: int) -> None:
        """Somebody signed out of it."""
        self._ends[session] = ends
        self._last = max(self._last, ends)
        if len(self._ends) % _OFTEN == 0:
            self._ends = {name: end for name, end in self._ends.items() if end > self._last - LIFETIME}
