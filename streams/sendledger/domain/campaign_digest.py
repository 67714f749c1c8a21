"""What metrics tell of a campaign, in few words: made of its published counters, small enough to be kept for thousands.

Pure. Prometheus wants few series, so only some campaigns get a label: those that are not over, and of these the newest.
A campaign is over when nothing of it is queued, attempting, in doubt or open below the deadline; it keeps its label for
an hour after its last accepted, delivered or failed message, so that its last numbers are read and short ones seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sendledger.domain.numbers import DEADLINE_HOURS, imbalance
from sendledger_schemas.states import BUCKETS

LINGER = 3600.0
"""Seconds."""

_MINUTE, _HOUR = 60, 3600
_BUSY = frozenset({"queued", "attempting", "in_doubt"})
QUALITIES = {"duplicate": "repeat", "late": "late", "conflicted": "conflicted"}
"""What is counted of receipts → the counter's name (domain/contribution.py)."""


@dataclass(frozen=True, slots=True)
class Digest:
    """`buckets`, `qualities`: messages, in the order of BUCKETS and QUALITIES.

    `open_by_hour`: (hour of sending since 1970, messages).
    `first`, `last`: begin of the first step and end of the last one of its series, in seconds since 1970.
    """

    buckets: tuple[int, ...]
    qualities: tuple[int, ...]
    imbalance: int
    open_by_hour: tuple[tuple[int, int], ...]
    first: float | None
    last: float | None

    def open_at(self, now: float) -> int:
        """Messages that are accepted or sent, without a final receipt, and younger than the deadline."""
        return young(self.open_by_hour, now)

    def is_over(self, now: float) -> bool:
        """Whether its label may go."""
        busy = any(count for bucket, count in zip(BUCKETS, self.buckets, strict=True) if bucket in _BUSY)
        recent = self.last is not None and now - self.last < LINGER
        return not (busy or recent or self.open_at(now) > 0)


def young(open_by_hour: Iterable[tuple[int, int]], now: float) -> int:
    """Of open messages by their hour of sending: those that are younger than the deadline."""
    oldest = int(now) // _HOUR - DEADLINE_HOURS
    return sum(count for hour, count in open_by_hour if hour >= oldest)


def digest(counters: Mapping[str, int], series: Mapping[str, Mapping[str, int]]) -> Digest:
    """Of a campaign's numbers, as the merge adds them up."""
    open_by_hour: Counter[int] = Counter()
    starts: list[float] = []
    ends: list[float] = []
    for of_day in series.values():
        for name, count in of_day.items():
            head, _, counter = name.partition("/")
            kind, _, rest = counter.partition(":")
            if ":" in head or not count:  # what another policy says, or is no more
                continue
            if kind == "open":
                open_by_hour[int(rest)] += count
            elif kind in ("m", "h"):
                length = _MINUTE if kind == "m" else _HOUR
                starts.append(int(rest.partition(":")[0]) * length)
                ends.append(starts[-1] + length)
    return Digest(
        buckets=tuple(counters.get(f"b:{bucket}", 0) for bucket in BUCKETS),
        qualities=tuple(counters.get(counter, 0) for counter in QUALITIES.values()),
        imbalance=imbalance(counters),
        open_by_hour=tuple(sorted(open_by_hour.items())),
        first=min(starts, default=None),
        last=max(ends, default=None),
    )


def newest(digests: Mapping[str, Digest], most: int) -> list[str]:
    """At most `most` of these campaigns, the newest first: one that has no answer yet is newer than all."""
    dated = [(one.first is None, one.first or 0.0, name) for name, one in digests.items()]
    return [name for _, _, name in sorted(dated, reverse=True)[:most]]
