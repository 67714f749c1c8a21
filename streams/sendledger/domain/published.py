"""What stands on the compacted topics, as `verify` judges it.

Of each key the last record, for that is what compaction leaves and what whoever starts later will read (DESIGN §5). Of
several slots' partials the greatest counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from sendledger.domain.merging import UNREADABLE, Counters, PartialRecord, decode_partial, rank
from sendledger.domain.message import Offsets
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.refold import offsets_of

Place = tuple[str, int, str | None]
"""Campaign, partition, day (None: the main record)."""

_decode_counters = msgspec.json.Decoder(Counters).decode
_ORPHANS = "orphans:"


class StateRecord(msgspec.Struct, frozen=True):
    """`sms.campaign-state.v1`, as far as the log can prove it."""

    campaign_id: str
    counters: Counters
    series: dict[str, Counters]
    orphans: int
    to: dict[int, dict[str, int]]
    version: int
    fold_version: int
    archived: bool = False
    topic_ids: dict[str, str] = {}

    def offsets(self, partition: int) -> Offsets | None:
        """Up to where it counts one partition; None if it counts nothing of it."""
        to = self.to.get(partition)
        return None if to is None else offsets_of(to)


_decode_state = msgspec.json.Decoder(StateRecord).decode


def counters_of(partial: PartialRecord) -> Counters:
    """The counters of a partial. Errors: those in UNREADABLE."""
    return _decode_counters(partial.counters)


class Published:
    """The partials and campaign states of one log (`topic_ids`), as they stand after the records taken so far."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        self._ids = dict(topic_ids)
        self._partials: defaultdict[Place, dict[bytes, PartialRecord]] = defaultdict(dict)
        self.states: dict[str, StateRecord] = {}
        self.unreadable: list[bytes] = []
        self._none: dict[int, PartialRecord] = {}
        self._orphans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    def partial(self, key: bytes, value: bytes | None, timestamp: int) -> Place | None:
        """A record of the partials' topic. `timestamp` in ms. Returns the place that it may have changed."""
        if value is None:
            for place, known in self._partials.items():
                if known.pop(key, None) is not None:
                    return place
            return None
        try:
            partial = decode_partial(value)
            counters = counters_of(partial)
        except UNREADABLE:
            self.unreadable.append(key)
            return None
        if partial.topic_ids != self._ids:
            return None
        place = partial.campaign_id, partial.partition, partial.day
        self._partials[place][key] = partial
        if partial.campaign_id == NO_CAMPAIGN:
            self._hear_orphans(partial, counters, timestamp)
        return place

    def state(self, key: bytes, value: bytes | None) -> str | None:
        """A record of the campaign states' topic. Returns the campaign."""
        campaign = key.decode("utf-8", "replace")
        if value is None:
            self.states.pop(campaign, None)
            return campaign
        try:
            state = _decode_state(value)
        except UNREADABLE:
            self.unreadable.append(key)
            return None
        if state.topic_ids == self._ids:
            self.states[campaign] = state
        return campaign

    def best(self, place: Place) -> PartialRecord | None:
        """The partial that readers believe."""
        return max(self._partials.get(place, {}).values(), key=rank, default=None)

    def of_partition(self, partition: int) -> dict[Place, PartialRecord]:
        """The believed partials of one of the fold's partitions."""
        best = {place: self.best(place) for place in list(self._partials) if place[1] == partition}
        return {place: partial for place, partial in best.items() if partial is not None}

    def campaigns(self) -> set[str]:
        """Those of which anything is published."""
        return {place[0] for place, known in self._partials.items() if known} | self.states.keys()

    # ------------------------------------------------------------------------------ orphans
    def _hear_orphans(self, partial: PartialRecord, counters: Counters, timestamp: int) -> None:
        """Merge reads this one topic partition in this order, and keeps of each partition the greatest."""
        known = self._none.get(partial.partition)
        if known is not None and rank(partial) <= rank(known):
            return
        before = {} if known is None else counters_of(known)
        self._none[partial.partition] = partial
        for name in before.keys() | counters.keys():
            if (change := counters.get(name, 0) - before.get(name, 0)) != 0:
                campaign = NO_CAMPAIGN if name == "orphans" else name.removeprefix(_ORPHANS)
                history = self._orphans[campaign]
                history.append((timestamp, (history[-1][1] if history else 0) + change))

    def orphans_since(self, campaign: str, moment: int) -> set[int]:
        """The numbers of orphans that a campaign had at any time since then (ms): merge may show any of them."""
        found, last = set(), 0
        for timestamp, value in self._orphans.get(campaign, ()):
            if timestamp > moment:
                found.add(last)
            last = value
        return found | {last}
