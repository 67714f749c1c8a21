"""The best partial of each place, added up: whatever order, slots and repeats they come in."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.merging import Merging, Orphans, PartialRecord, coarse, decode_partial, fitting, rank
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from tests.support.partials import record

IDS = {"t": "id-1"}


def partial(
    count: int = 1,
    version: int = 10,
    *,
    partition: int = 0,
    slot: int = 0,
    day: str | None = None,
    from_: int = 0,
    fold_version: int = 1,
    ids: dict[str, str] | None = None,
    campaign: str = "c1",
) -> PartialRecord:
    """A partial that counts `count` requests."""
    counters = msgspec.Raw(msgspec.json.encode({"requested": count, "b:queued": count}))
    to = {"t": version}
    return PartialRecord(
        campaign, partition, slot, counters, {"t": from_}, to, version, fold_version, IDS if ids is None else ids, day
    )


def requested(merging: Merging) -> int:
    """What the campaign's main counters say."""
    return merging.merged("c1").counters["requested"]


def test_reads_what_the_fold_writes() -> None:
    """The record that the domain encodes is the one that the merge decodes."""
    origin = Origin(3, 1, NOTHING_READ, IDS)
    read = decode_partial(record("c1", origin, "2026-03-01", {"requested": 2}, (5, -1, -1, -1, -1)))
    assert (read.campaign_id, read.partition, read.slot, read.day, read.version) == ("c1", 3, 1, "2026-03-01", 6)
    assert msgspec.json.decode(read.counters) == {"requested": 2}


@given(st.integers(0, 10**6))
def test_the_order_does_not_matter(seed: int) -> None:
    """Any order and any repeats of the same partials give the same numbers."""
    chance = random.Random(seed)
    told = [
        partial(version, version, partition=p, slot=chance.randint(0, 2), day=chance.choice((None, "2026-03-01")))
        for p in range(3)
        for version in chance.sample(range(1, 50), 4)
    ]
    one, other = Merging(IDS), Merging(IDS)
    for each in told:
        one.offer(each)
    for each in chance.choices(told, k=5) + chance.sample(told, len(told)):
        other.offer(each)
    assert one.merged("c1") == other.merged("c1")


def test_adds_up_partitions_and_keeps_days_apart() -> None:
    """Main counters are summed over partitions, series day by day; `version` sums the main partials' versions."""
    merging = Merging(IDS)
    for each in (partial(1, 5), partial(2, 7, partition=1), partial(9, 7, partition=1, day="2026-03-01")):
        assert merging.offer(each)
    merged = merging.merged("c1")
    assert merged.counters == {"b:queued": 3, "requested": 3}
    assert merged.series == {"2026-03-01": {"requested": 9, "b:queued": 9}}
    assert (merged.version, merged.to) == (12, {"0": {"t": 5}, "1": {"t": 7}})


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (partial(version=11), partial(version=10)),
        (partial(version=10, slot=1), partial(version=9, slot=0)),
        (partial(version=10, from_=0), partial(version=99, from_=5)),
        (partial(version=10, fold_version=2), partial(version=10, fold_version=1)),
        (partial(version=11, fold_version=1), partial(version=10, fold_version=2)),
        (msgspec.structs.replace(partial(), archived=True), partial()),
    ],
)
def test_which_partial_is_believed(better: PartialRecord, worse: PartialRecord) -> None:
    """The smaller `from` first, then the greater version, then the newer fold_version once it is as far."""
    assert rank(better) > rank(worse)
    merging = Merging(IDS)
    assert merging.offer(better)
    assert not merging.offer(worse)


def test_partials_of_another_log_are_none() -> None:
    """Topics made anew: what was folded from the old ones counts no longer, however great its version."""
    merging = Merging(IDS)
    assert not merging.offer(partial(100, 1000, ids={"t": "id-0"}))
    assert merging.offer(partial(1, 1))
    assert requested(merging) == 1


def test_a_newer_partial_replaces_the_sum() -> None:
    """A sum that was made before is not kept when one of its partials moves on."""
    merging = Merging(IDS)
    merging.offer(partial(1, 5))
    assert requested(merging) == 1
    merging.offer(partial(4, 6))
    assert requested(merging) == 4


def test_orphans_of_a_campaign_come_from_all_partitions() -> None:
    """`orphans:<campaign>` of the `_none` partials are summed, and the campaigns that changed are named."""
    orphans = Orphans(IDS)

    def none(partition: int, version: int, **counts: int) -> PartialRecord:
        raw = msgspec.Raw(msgspec.json.encode({name.replace("__", ":"): n for name, n in counts.items()}))
        return PartialRecord("_none", partition, 0, raw, {"t": 0}, {"t": version}, version, 1, IDS)

    assert orphans.offer(none(0, 5, orphans=2, orphans__c1=2)) == {"c1", "_none"}
    assert orphans.offer(none(1, 5, orphans=3, orphans__c1=1, orphans__c2=3)) == {"c1", "c2", "_none"}
    assert (orphans.of("c1"), orphans.of("c2"), orphans.of("_none"), orphans.of("c3")) == (3, 3, 5, 0)
    assert orphans.offer(none(1, 6, orphans=3, orphans__c1=1, orphans__c2=3)) == set()
    assert orphans.offer(none(1, 7, orphans=1, orphans__c1=1)) == {"c2", "_none"}
    assert orphans.offer(partial()) == set()


def test_long_series_become_coarse_from_the_oldest_day() -> None:
    """A record that would outgrow the limit loses minutes, not counts, and recent days keep theirs."""
    series = {
        day: {f"{day}/m:{minute}:delivered": 1 for minute in range(600)} | {f"{day}/open:7": 2}
        for day in ("2026-03-01", "2026-03-02")
    }
    size = sum(len(name) + 8 for counters in series.values() for name in counters)
    assert fitting(series, size) == series
    fitted = fitting(series, size - 1)
    assert fitted["2026-03-02"] == series["2026-03-02"]
    assert fitted["2026-03-01"] == {f"2026-03-01/h:{hour}:delivered": 60 for hour in range(10)} | {
        "2026-03-01/open:7": 2
    }
    assert sum(coarse(series["2026-03-02"]).values()) == sum(series["2026-03-02"].values())
