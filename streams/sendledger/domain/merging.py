"""Partials → the numbers of a campaign: of each partition and day the most complete one, added up (DESIGN §5).

Several slots may have told of the same partition, a stale worker among them. The one with the smaller `from` wins
first, then the greater `version`, then the newer `fold_version` (which so replaces an older one once it is as far),
then the one that is marked as archived.
Records of another log (other topic ids) are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from sendledger.domain.partial import NO_CAMPAIGN, bounded
from sendledger.domain.policies import differing, stem

Counters = dict[str, int]
_ORPHANS = "orphans:"
MAX_STATE_BYTES = 3 << 20
"""Of one campaign's state; below the largest record that the topics take."""
_MINUTES_AN_HOUR = 60


_Count = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_Offset = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
"""Bounds, so that no record makes a sum that cannot be published."""


class PartialRecord(msgspec.Struct, frozen=True):
    """`sms.campaign-partials.v1`; the counters stay bytes until they are added."""

    campaign_id: str
    partition: int
    slot: int
    counters: msgspec.Raw
    from_: dict[str, _Offset] = msgspec.field(name="from")
    to: dict[str, _Offset]
    version: _Count
    fold_version: int
    topic_ids: dict[str, str]
    day: str | None = None
    archived: bool = False


decode_partial = msgspec.json.Decoder(PartialRecord).decode
"""Bytes → PartialRecord. Errors: those in UNREADABLE."""
UNREADABLE = (msgspec.MsgspecError, RecursionError)
"""What decoding raises for bytes that are no partial; RecursionError for thousands of nested brackets."""
_decode_counters = msgspec.json.Decoder(dict[str, _Count]).decode


def rank(partial: PartialRecord) -> tuple[int, int, int, bool]:
    """Of two partials of one campaign, partition and day, the greater is to be believed.

    Orphans begin anew where the log was cut, and count what was cut as read: of them the one that has read further.
    """
    counts_back = -sum(partial.from_.values())
    first = (counts_back, partial.version)
    if partial.campaign_id == NO_CAMPAIGN:
        first = (partial.version, counts_back)
    return *first, partial.fold_version, partial.archived


def add(into: Counters, counters: Mapping[str, int]) -> None:
    """Add counters, name by name."""
    for name, count in counters.items():
        into[name] = into.get(name, 0) + count


@dataclass
class _Campaign:
    best: dict[tuple[int, str | None], PartialRecord] = field(default_factory=dict)
    sums: dict[str | None, Counters] = field(default_factory=dict)  # by day, made when asked for

    def total(self, day: str | None) -> Counters:
        if (known := self.sums.get(day)) is not None:
            return known
        total: Counters = {}
        for (_, of_day), partial in self.best.items():
            if of_day == day:
                add(total, _decode_counters(partial.counters))
        self.sums[day] = total
        return total


@dataclass(frozen=True)
class Merged:
    """The numbers of a campaign, as they are published (`CampaignState` without `as_of` and orphans)."""

    counters: Counters
    series: dict[str, Counters]
    to: dict[str, dict[str, int]]
    version: int
    fold_version: int
    archived: bool


class Merging:
    """The best partials of some campaigns. `topic_ids`: of the log that counts now."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        self._topic_ids = dict(topic_ids)
        self._campaigns: dict[str, _Campaign] = {}

    def offer(self, partial: PartialRecord) -> bool:
        """Take a partial if it is the best known. Returns whether the campaign's numbers may have changed.

        Errors: those in UNREADABLE, for counters that are none; what was known before stands.
        """
        if partial.topic_ids != self._topic_ids:
            return False
        place = partial.partition, partial.day
        campaign = self._campaigns.get(partial.campaign_id) or _Campaign()
        known = campaign.best.get(place)
        if known is not None and rank(partial) <= rank(known):
            return False
        _decode_counters(partial.counters)
        self._campaigns[partial.campaign_id] = campaign
        campaign.best[place] = partial
        campaign.sums.pop(partial.day, None)
        return True

    def campaigns(self) -> Iterable[str]:
        """Those with at least one partial."""
        return self._campaigns

    def version(self, campaign_id: str) -> int:
        """The version that `merged` would have."""
        best = self._campaigns[campaign_id].best
        return sum(partial.version for (_, day), partial in best.items() if day is None)

    def merged(self, campaign_id: str) -> Merged:
        """The campaign's numbers now. Errors: KeyError for a campaign without partials."""
        campaign = self._campaigns[campaign_id]
        main = {partition: partial for (partition, day), partial in campaign.best.items() if day is None}
        return Merged(
            counters=dict(sorted(bounded(campaign.total(None)).items())),
            series={day: campaign.total(day) for day in sorted({day for _, day in campaign.best if day is not None})},
            to={str(partition): main[partition].to for partition in sorted(main)},
            version=self.version(campaign_id),
            fold_version=max((partial.fold_version for partial in campaign.best.values()), default=0),
            archived=any(partial.archived for partial in campaign.best.values()),
        )


class Orphans:
    """Postbacks that match nothing, by campaign: from the partials of the reserved campaign `_none`."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        self._none = Merging(topic_ids)
        self._by_campaign: Counters = {}

    def offer(self, partial: PartialRecord) -> set[str]:
        """Take a partial of `_none`. Returns the campaigns whose orphans changed."""
        if partial.campaign_id != NO_CAMPAIGN or not self._none.offer(partial):
            return set()
        counters = self._none.merged(NO_CAMPAIGN).counters
        before, self._by_campaign = (
            self._by_campaign,
            {name.removeprefix(_ORPHANS): count for name, count in counters.items() if name.startswith(_ORPHANS)},
        )
        self._by_campaign[NO_CAMPAIGN] = counters.get("orphans", 0)
        return {name for name in before.keys() | self._by_campaign if before.get(name) != self._by_campaign.get(name)}

    def of(self, campaign_id: str) -> int:
        """Orphans whose recipient has a message in the campaign; of `_none`: all."""
        return self._by_campaign.get(campaign_id, 0)


def fitting(series: dict[str, Counters], limit: int = MAX_STATE_BYTES) -> dict[str, Counters]:
    """The series small enough for one record: minutes become hours, the oldest day first, as far as it must be."""
    fitted = dict(series)
    size = sum(_size(counters) for counters in fitted.values())
    for day in sorted(fitted):
        if size <= limit:
            break
        size -= _size(fitted[day])
        fitted[day] = coarse(fitted[day])
        size += _size(fitted[day])
    return fitted


def coarse(counters: Counters) -> Counters:
    """`<day>/m:<minute>:<what>` → `<day>/h:<hour>:<what>`."""
    result: Counters = {}
    for name, count in counters.items():
        head, dated = stem(name)
        day, _, counter = dated.partition("/")
        kind, _, rest = counter.partition(":")
        number, _, what = rest.partition(":")
        key = differing(head, f"{day}/h:{int(number) // _MINUTES_AN_HOUR}:{what}") if kind == "m" else name
        result[key] = result.get(key, 0) + count
    return result


def _size(counters: Counters) -> int:
    return sum(len(name) + 8 for name in counters)
