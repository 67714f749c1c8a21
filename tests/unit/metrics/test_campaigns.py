"""The campaigns' numbers as metrics: which of them have a label, for how long, and what is added up without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from sendledger.agents.merge_metrics import CampaignMetrics
from sendledger.domain.campaign_digest import LINGER
from sendledger.domain.partial import NO_CAMPAIGN
from tests.support.registries import merged

MINUTE, HOUR = 60, 3600
NOW = 500_000.0 * HOUR


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """At NOW."""
    return Clock()


def numbers(minutes_ago: int = 0, **buckets: int) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Counters and series of a campaign whose messages were accepted so long ago."""
    minute = int(NOW) // MINUTE - minutes_ago
    waiting = buckets.get("accepted", 0) + buckets.get("sent", 0)
    counters = {"requested": sum(buckets.values()), **{f"b:{name}": count for name, count in buckets.items()}}
    day = {f"2026-03-01/m:{minute}:accepted": 1, f"2026-03-01/open:{minute // 60}": waiting}
    return counters, {"2026-03-01": day | {"y:last-final:+:2026-03-01/open:1": 7}}


Value = Callable[..., float | None]


def metrics(clock: Clock, most: int = 50) -> tuple[CampaignMetrics, Value]:
    """The metrics of a merge, and how to read them."""
    registry, campaigns = CollectorRegistry(), CampaignMetrics(most, clock)
    registry.register(campaigns)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"sendledger_{name}", labels)

    return campaigns, value


def test_a_campaign_is_shown_by_bucket(clock: Clock) -> None:
    """Each bucket, what is open, the quality of its receipts, and when that was published."""
    campaigns, value = metrics(clock)
    counters, series = numbers(accepted=2, delivered=5)
    campaigns.told("c1", merged(counters | {"repeat": 3, "late": 1}, series), 4)
    assert value("campaign_messages", campaign="c1", bucket="delivered") == 5
    assert value("campaign_messages", campaign="c1", bucket="rejected") == 0
    assert value("campaign_open_messages", campaign="c1") == value("open_messages") == 2
    assert value("campaign_postbacks", campaign="c1", quality="duplicate") == 3
    assert value("campaign_postbacks", campaign="c1", quality="orphan") == 4
    assert value("campaign_published_timestamp_seconds", campaign="c1") == NOW


def test_only_the_newest_have_a_label(clock: Clock) -> None:
    """Of a hundred campaigns that run, the setting's number has a label; the totals are of all."""
    campaigns, value = metrics(clock, most=3)
    for age in range(100):
        campaigns.told(f"c{age:02}", merged(*numbers(age, queued=1, delivered=1)), 0)
    campaigns.told("fresh", merged({"requested": 1, "b:queued": 1}), 0)
    shown = [
        n for n in (*(f"c{i:02}" for i in range(100)), "fresh") if value("campaign_open_messages", campaign=n) == 0
    ]
    assert shown == ["c00", "c01", "fresh"]
    assert value("messages", bucket="delivered") == 100
    assert value("messages", bucket="queued") == 101
    assert value("merge_campaigns") == 101


def test_no_labels_at_all_if_so_set(clock: Clock) -> None:
    """0 in the setting: totals only."""
    campaigns, value = metrics(clock, most=0)
    campaigns.told("c1", merged(*numbers(queued=1)), 0)
    assert value("campaign_open_messages", campaign="c1") is None
    assert value("messages", bucket="queued") == 1


def test_a_campaign_that_is_over_loses_its_label(clock: Clock) -> None:
    """An hour after its last message was settled, without anything more being published."""
    campaigns, value = metrics(clock)
    campaigns.told("c1", merged(*numbers(delivered=5)), 0)
    assert value("campaign_messages", campaign="c1", bucket="delivered") == 5
    clock.now += LINGER + MINUTE
    assert value("campaign_messages", campaign="c1", bucket="delivered") is None
    assert value("messages", bucket="delivered") == 5


@pytest.mark.parametrize("bucket", ["queued", "attempting", "in_doubt", "accepted", "sent"])
def test_a_campaign_with_something_to_come_keeps_it(clock: Clock, bucket: str) -> None:
    """As long as anything may happen by itself or by an operator; what is open, up to the deadline of 72 hours."""
    campaigns, value = metrics(clock)
    campaigns.told("c1", merged(*numbers(**{bucket: 1})), 0)
    clock.now += 71 * HOUR
    assert value("campaign_messages", campaign="c1", bucket=bucket) == 1
    clock.now += 3 * HOUR
    over = bucket in ("accepted", "sent")
    assert (value("campaign_messages", campaign="c1", bucket=bucket) is None) == over
    assert value("open_messages") == 0


def test_what_went_to_another_merge_is_gone(clock: Clock) -> None:
    """Totals of several merges can be added up: nothing is told twice."""
    campaigns, value = metrics(clock)
    campaigns.told("c1", merged(*numbers(queued=1)), 0)
    campaigns.told(NO_CAMPAIGN, merged({"orphans": 2}), 2)
    assert value("orphan_postbacks") == 2
    campaigns.gone(["c1", NO_CAMPAIGN])
    assert value("campaign_messages", campaign="c1", bucket="queued") is None
    assert value("messages", bucket="queued") == value("orphan_postbacks") == 0


def test_what_nobody_scrapes_is_kept_small(clock: Clock) -> None:
    """Thousands of campaigns, told at a merge's start, do not stay in memory with all their counters."""
    campaigns, value = metrics(clock)
    for number in range(1_000):
        campaigns.told(f"c{number}", merged(*numbers(number, delivered=1)), 0)
    assert len(campaigns._told) <= 64
    assert value("messages", bucket="delivered") == 1_000


def test_no_number_of_a_person_is_told(clock: Clock) -> None:
    """Carriers, codes and whatever else a campaign's counters are named by become no label."""
    campaigns, _ = metrics(clock)
    counters, series = numbers(delivered=1)
    canaries = {"o:15559170001:delivered": 1, "e:15559170002": 1, "d:15559170003": 1, "t:15559170004": 1}
    campaigns.told("c1", merged(counters | canaries, series), 0)
    registry = CollectorRegistry()
    registry.register(campaigns)
    assert "1555917" not in generate_latest(registry).decode()


_buckets = st.dictionaries(st.sampled_from(["queued", "accepted", "delivered", "rejected"]), st.integers(0, 3))
_steps = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 90), _buckets | st.none(), st.booleans()), max_size=12
)


@given(_steps, st.integers(0, 3))
def test_totals_are_those_of_the_campaigns_that_are_there(
    steps: list[tuple[str, int, dict[str, int] | None, bool]], most: int
) -> None:
    """Whatever was told, changed, taken away (None) and scraped in between; never more labels than the setting."""
    clock = Clock()
    campaigns, value = metrics(clock, most)
    there: dict[str, dict[str, int]] = {}
    for name, age, buckets, scraped in steps:
        if buckets is None:
            campaigns.gone([name])
            there.pop(name, None)
        else:
            campaigns.told(name, merged(*numbers(age, **buckets)), 0)
            there[name] = buckets
        if scraped:
            value("merge_campaigns")
    for bucket in ("queued", "accepted", "delivered", "sent"):
        assert value("messages", bucket=bucket) == sum(one.get(bucket, 0) for one in there.values())
    assert value("open_messages") == sum(one.get("accepted", 0) for one in there.values())
    labelled = [name for name in "abcd" if value("campaign_open_messages", campaign=name) is not None]
    assert len(labelled) <= most
    assert set(labelled) <= there.keys()
    left = [n for n, one in there.items() if n not in labelled and (one.get("queued") or one.get("accepted"))]
    assert not left or len(labelled) == most
