"""What the benchmarks compute from what they saw; pure, so that a wrong figure is a failing unit test."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Place = tuple[str, int]
"""Topic or campaign, and partition."""


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that is not below `share` (0–1) of all values. Errors: ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1_000_000) * len(ordered) // 1_000_000) - 1))]


class Sightings:
    """When was which offset of a partition first seen to be counted? `see` in order of time."""

    def __init__(self) -> None:
        self._offsets: dict[Place, list[int]] = {}
        self._times: dict[Place, list[float]] = {}

    def see(self, place: Place, offset: int, when: float) -> None:
        """At `when` everything of this partition up to and with `offset` was counted."""
        offsets = self._offsets.setdefault(place, [])
        if not offsets or offset > offsets[-1]:
            offsets.append(offset)
            self._times.setdefault(place, []).append(when)

    def counted_at(self, place: Place, offset: int) -> float | None:
        """When this offset was first seen to be counted; None if it never was."""
        offsets = self._offsets.get(place, [])
        found = bisect_left(offsets, offset)
        return self._times[place][found] if found < len(offsets) else None

    def partitions(self) -> set[int]:
        """Those of which anything was seen."""
        return {partition for _, partition in self._times}

    def moves(self, partition: int) -> list[float]:
        """When the numbers of a partition moved, whichever topic moved them."""
        return sorted(when for (_, of), times in self._times.items() if of == partition for when in times)


def longest_pause(times: Iterable[float], since: float, until: float) -> float:
    """The longest time within [since, until] in which none of `times` lies."""
    edges = [since, *(when for when in sorted(times) if since < when < until), until]
    return max(later - earlier for earlier, later in pairwise(edges))


def current_from(
    written: Mapping[Place, Sequence[tuple[int, float]]], seen: Sightings, since: float, late: float
) -> float | None:
    """The first moment from which on every record was counted within `late` seconds of its writing; None: never.

    `written`: of each partition (offset, when it was acknowledged), all of them. What was written before `since`
    counts as written then: whoever comes back at `since` has all of that to catch up with.
    """
    last = since
    for place, records in written.items():
        for offset, when in records:
            counted = seen.counted_at(place, offset)
            if counted is None:
                return None
            if counted > since and counted - max(when, since) > late:
                last = max(last, counted)
    return last


def slowed(base: float, other: float) -> float:
    """By what share `other` is slower than `base` (rates): 0.1 is a tenth; less than 0 is faster."""
    return 1 - other / base
