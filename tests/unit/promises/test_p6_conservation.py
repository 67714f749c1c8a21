"""P6: `requested` is the sum of the buckets, from one message up to what people read; and P4, P5 on that whole way."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.contribution import contribution
from sendledger.domain.merging import Merging, decode_partial
from sendledger.domain.message import NOTHING_READ
from sendledger.domain.numbers import Numbers
from sendledger.domain.plain import Seen, account
from sendledger.domain.settled import Facts, Policy
from sendledger.edges.fold_core import Origin
from sendledger_schemas.states import BUCKETS, Bucket
from tests.support.oracle import Oracle
from tests.support.states import NOW, campaign_state
from tests.support.story import Folded, Log
from tests.unit.fold.test_properties import in_batches, interleaved
from tests.unit.promises.logs import events, log_of, repeated

SEEDS = st.integers(0, 2**32)
THIS_LOG = {"t": "this log"}
UNHURRIED = settings(deadline=None, max_examples=settings().max_examples * 3 // 5)  # time is no promise of these


def messages_of(log: Log) -> list[Facts]:
    """All messages of a log with their postbacks."""
    by_recipient: defaultdict[str, list[Seen]] = defaultdict(list)
    for topic, offset, fact in log.in_order():
        by_recipient[fact.data.recipient_id].append(Seen(topic, offset, 0, fact))
    return [facts for seen in by_recipient.values() for facts in account(seen).messages.values()]


@UNHURRIED
@given(SEEDS, st.sampled_from(get_args(Policy)))
def test_each_message_counts_once_and_in_one_bucket(seed: int, policy: Policy) -> None:
    """P6, P2: whatever happened to a message and whichever policy reads it: once requested, in one known bucket."""
    for facts in messages_of(log_of(events(seed))):
        bag = Counter(contribution(facts, policy))
        assert bag["requested"] == 1
        assert [(name, count) for name, count in bag.items() if name.startswith("b:")] == [
            (next(f"b:{bucket}" for bucket in BUCKETS if f"b:{bucket}" in bag), 1)
        ]


def test_the_buckets_are_all_there_are() -> None:
    """P6: every bucket that a message can be in is one that readers add up."""
    assert get_args(Bucket) == BUCKETS


@pytest.mark.parametrize("bucket", BUCKETS)
def test_what_people_read_has_every_bucket(bucket: Bucket) -> None:
    """P6: each bucket is shown by its name, and a sum that does not come out is shown, not hidden."""
    whole = campaign_state("c1", counters={"requested": 7, f"b:{bucket}": 7})
    shown = campaign_view("c1", whole, Control(), [], NOW)
    assert (shown["counts"]["requested"], shown["counts"][bucket], shown["imbalance"]) == (7, 7, 0)
    broken = campaign_state("c1", counters={"requested": 7, f"b:{bucket}": 4})
    assert campaign_view("c1", broken, Control(), [], NOW)["imbalance"] == 3


Published = list[tuple[str, bytes]]


def folded_apart(seed: int, chance: random.Random, slot: int, *, whole: bool) -> Published:
    """(key, value) of what a worker of this slot publishes of two partitions, or of some beginning of them."""
    records: Published = []
    for partition in (0, 1):
        reads = interleaved(log_of(events(seed + partition)), chance)
        if not whole:
            reads = reads[: chance.randint(0, len(reads))]
        result = Folded(origin=Origin(partition, slot, NOTHING_READ, THIS_LOG))
        for batch in in_batches(reads, chance):
            result.batch(batch)
        records += result.history
    return records


def merged(records: Published) -> dict[str, dict[str, int]]:
    """Campaign → all counters, as a reader of these records adds them up."""
    merging = Merging(THIS_LOG)
    for _, value in records:
        merging.offer(decode_partial(value))
    found = {name: merging.merged(name) for name in merging.campaigns()}
    for each in found.values():
        numbers = Numbers(each.counters, each.series, 0, NOW)
        assert numbers.imbalance() == 0
        assert numbers.counts()["requested"] == sum(numbers.counts()[bucket] for bucket in BUCKETS)
    everything = {name: {**each.counters, **merged_series(each.series)} for name, each in found.items()}
    return {name: counters for name, counters in everything.items() if counters}


def merged_series(series: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """All days together: the names tell the day."""
    return {name: count for counters in series.values() for name, count in counters.items()}


def truth(seed: int) -> dict[str, dict[str, int]]:
    """What both partitions come to."""
    sums: dict[str, Counter[str]] = {}
    for partition in (0, 1):
        for campaign, counters in Oracle(log_of(events(seed + partition)).in_order()).told().items():
            sums.setdefault(campaign, Counter()).update(counters)
    return {campaign: dict(counters) for campaign, counters in sums.items()}


@UNHURRIED
@given(SEEDS, SEEDS)
def test_merged_numbers_are_those_of_the_whole_log(seed: int, order: int) -> None:
    """P4, P5, P6: partials of two partitions, of a worker and a stale one, in any order and again: the log's sums."""
    chance = random.Random(order)
    records = folded_apart(seed, chance, 0, whole=True) + folded_apart(seed, chance, 1, whole=False)
    records += chance.sample(records, len(records) // 2)
    chance.shuffle(records)
    assert merged(records) == truth(seed)


@UNHURRIED
@given(SEEDS, SEEDS)
def test_compaction_cannot_let_a_woken_worker_win(seed: int, order: int) -> None:
    """P4, P5: the stale worker publishes last and the topic keeps the last record of each key: still the log's sums."""
    chance = random.Random(order)
    records = folded_apart(seed, chance, 0, whole=True) + folded_apart(seed, chance, 1, whole=False)
    assert merged(list(dict(records).items())) == truth(seed)


@UNHURRIED
@given(SEEDS, SEEDS)
def test_conservation_holds_wherever_reading_stops(seed: int, order: int) -> None:
    """P6: at no moment, with repeats and in any order, is a requested message nowhere or in two places."""
    chance = random.Random(order)
    result = Folded()
    for batch in in_batches(interleaved(log_of(repeated(events(seed), chance)), chance), chance):
        result.batch(batch)
        for value in result.published.values():
            partial = decode_partial(value)
            merging = Merging({})
            merging.offer(partial)
            if partial.day is None:
                assert Numbers(merging.merged(partial.campaign_id).counters, {}, 0, NOW).imbalance() == 0
