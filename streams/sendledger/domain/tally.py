"""What a batch adds to the campaigns' numbers, a part (campaign, day) at a time; day None is the main one.

Bags are only collected while the batch goes on, and counted once at its end: that is what makes the fold quick.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from sendledger.domain.contribution import day_of
from sendledger.domain.message import Offsets, joined

PartName = tuple[str, str | None]
_NO_DAYS: frozenset[str] = frozenset()


@dataclass
class Tally:
    """Differences and offsets, collected."""

    _before: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _after: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _to: defaultdict[tuple[str, frozenset[str]], list[Offsets]] = field(default_factory=lambda: defaultdict(list))

    def moved(self, campaign: str, to: Offsets, days: frozenset[str] = _NO_DAYS) -> None:
        """Every part that a message could ever count in moves its `to`, whether its numbers change or not."""
        self._to[campaign, days].append(to)

    def changed(self, campaign: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        """One message's difference."""
        if before != after:
            self._before[campaign] += before
            self._after[campaign] += after

    def parts(self) -> Iterator[tuple[PartName, Offsets, dict[str, int]]]:
        """Each part to publish: its name, the greatest offsets, and by how much its counters change."""
        changes: defaultdict[PartName, dict[str, int]] = defaultdict(dict)
        for campaign in self._after.keys() | self._before.keys():
            change = Counter(self._after[campaign])
            change.subtract(self._before[campaign])
            for name, by in change.items():
                if by:
                    changes[campaign, day_of(name)][name] = by
        for part, to in self._last().items():
            yield part, to, changes.pop(part, {})
        if changes:
            raise AssertionError(f"a counter changed in a part whose `to` did not move: {sorted(changes, key=str)}")

    def _last(self) -> dict[PartName, Offsets]:
        last: dict[PartName, Offsets] = {}
        for (campaign, days), offsets in self._to.items():
            to: Offsets = tuple(map(max, zip(*offsets, strict=True)))
            for day in (None, *days):
                part = campaign, day
                last[part] = joined(last[part], to) if part in last else to
        return last
