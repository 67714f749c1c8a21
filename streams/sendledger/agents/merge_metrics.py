"""What the merge tells of itself and of the campaigns.

Label `campaign`: only the newest that are not over (domain/campaign_digest.py), at most as many as the settings say,
and gone with the next scrape once they are over. Numbers over all campaigns of this merge have no such label.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sendledger.domain.campaign_digest import QUALITIES, Digest, digest, newest, young
from sendledger.domain.merging import Merged
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger_schemas.states import BUCKETS

FRESHNESS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
"""Seconds. 0.03 and 0.1 are what is promised of a quiet system (p50, p99), 1 is the service level."""

_UNREAD = 64  # campaigns whose numbers wait for a scrape as they are; more are digested at once, for the memory's sake


class MergeMetrics:
    """The merge's counters. `campaigns`: how many campaigns get a label."""

    def __init__(self, registry: CollectorRegistry, campaigns: int = 50) -> None:
        self.partials = Counter("sendledger_merge_partials", "Partials read", registry=registry)
        self.states = Counter("sendledger_merge_states", "Campaign states published", registry=registry)
        self.unreadable = Counter("sendledger_merge_unreadable", "Records nobody could read", registry=registry)
        self.freshness = Histogram(
            "sendledger_merge_freshness_seconds",
            "Age of the oldest new fact in a campaign's numbers when they were acknowledged",
            buckets=FRESHNESS,
            registry=registry,
        )
        self.campaigns = CampaignMetrics(campaigns)
        registry.register(self.campaigns)


class _Totals:
    """Over all campaigns, kept as they change: at ten thousand, adding them up would hold up the merge's loop."""

    def __init__(self) -> None:
        self.buckets = [0] * len(BUCKETS)
        self.open_by_hour: Tally[int] = Tally()
        self.imbalance = 0

    def add(self, one: Digest, sign: int) -> None:
        """Put a campaign in (1) or take it out (−1)."""
        self.imbalance += sign * abs(one.imbalance)
        self.buckets = [total + sign * count for total, count in zip(self.buckets, one.buckets, strict=True)]
        for hour, count in one.open_by_hour:
            self.open_by_hour[hour] += sign * count
            if not self.open_by_hour[hour]:
                del self.open_by_hour[hour]


class CampaignMetrics(Collector):
    """The campaigns' numbers as they were last published. `clock`: seconds since 1970."""

    def __init__(self, most: int, clock: Callable[[], float] = time.time) -> None:
        self._most, self._clock = most, clock
        self._told: dict[str, Merged] = {}
        self._known: dict[str, Digest] = {}
        self._alive: set[str] = set()  # that were not over at the last look, or changed since
        self._totals = _Totals()
        self._published: dict[str, float] = {}
        self._orphans: dict[str, int] = {}

    def told(self, campaign: str, merged: Merged, orphans: int) -> None:
        """A campaign's numbers go out. It costs nothing until somebody asks."""
        self._orphans[campaign] = orphans
        if campaign != NO_CAMPAIGN:
            self._told[campaign], self._published[campaign] = merged, self._clock()
            if len(self._told) > _UNREAD:
                self._digest()

    def gone(self, campaigns: Iterable[str]) -> None:
        """They are another merge's now."""
        self._digest()
        for campaign in campaigns:
            self._put(campaign, None)
            self._published.pop(campaign, None)
            self._orphans.pop(campaign, None)

    def _digest(self) -> None:
        for campaign, told in self._told.items():
            self._put(campaign, digest(told.counters, told.series))
        self._told.clear()

    def _put(self, campaign: str, new: Digest | None) -> None:
        if (old := self._known.pop(campaign, None)) is not None:
            self._totals.add(old, -1)
            self._alive.discard(campaign)
        if new is not None:
            self._totals.add(new, 1)
            self._known[campaign] = new
            self._alive.add(campaign)

    def describe(self) -> Iterable[Metric]:
        """The families, without samples: the registry refuses a second one of the same name."""
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        """Made anew at each scrape: a label that is not told is gone."""
        self._digest()
        now, families, totals = self._clock(), _families(), self._totals
        for bucket, total in zip(BUCKETS, totals.buckets, strict=True):
            families["messages"].add_metric([bucket], total)
        families["open"].add_metric([], young(totals.open_by_hour.items(), now))
        families["orphans"].add_metric([], self._orphans.get(NO_CAMPAIGN, 0))
        families["imbalance"].add_metric([], totals.imbalance)
        families["known"].add_metric([], len(self._known))
        self._alive = {campaign for campaign in self._alive if not self._known[campaign].is_over(now)}
        for campaign in newest({name: self._known[name] for name in self._alive}, self._most):
            self._one(families, campaign, now)
        yield from families.values()

    def _one(self, families: dict[str, GaugeMetricFamily], campaign: str, now: float) -> None:
        known = self._known[campaign]
        for bucket, count in zip(BUCKETS, known.buckets, strict=True):
            families["campaign_messages"].add_metric([campaign, bucket], count)
        qualities = zip(QUALITIES, known.qualities, strict=True)
        for quality, count in (*qualities, ("orphan", self._orphans.get(campaign, 0))):
            families["campaign_postbacks"].add_metric([campaign, quality], count)
        families["campaign_open"].add_metric([campaign], known.open_at(now))
        families["campaign_imbalance"].add_metric([campaign], known.imbalance)
        families["campaign_published"].add_metric([campaign], self._published[campaign])


_FAMILIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "messages": ("sendledger_messages", "Messages of all campaigns of this merge, by bucket", ("bucket",)),
    "open": ("sendledger_open_messages", "Accepted or sent, no final receipt, younger than the deadline", ()),
    "orphans": ("sendledger_orphan_postbacks", "Postbacks that match no message, 0 where another merge has them", ()),
    "imbalance": ("sendledger_merge_imbalance", "Messages of all campaigns in no bucket or in several (P6)", ()),
    "known": ("sendledger_merge_campaigns", "Campaigns of this merge, with and without a label", ()),
    "campaign_messages": ("sendledger_campaign_messages", "Messages by bucket", ("campaign", "bucket")),
    "campaign_postbacks": (
        "sendledger_campaign_postbacks",
        "Postbacks seen again, late, in conflict, or matching nothing",
        ("campaign", "quality"),
    ),
    "campaign_open": (
        "sendledger_campaign_open_messages",
        "Accepted or sent, no final receipt, younger than the deadline",
        ("campaign",),
    ),
    "campaign_imbalance": ("sendledger_campaign_imbalance", "Requested - sum of buckets (P6)", ("campaign",)),
    "campaign_published": (
        "sendledger_campaign_published_timestamp_seconds",
        "When the campaign's numbers were last published",
        ("campaign",),
    ),
}


def _families() -> dict[str, GaugeMetricFamily]:
    return {key: GaugeMetricFamily(name, text, labels=labels) for key, (name, text, labels) in _FAMILIES.items()}
