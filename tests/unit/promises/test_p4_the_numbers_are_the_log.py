"""P4: every number is a function of the set of events, the one that the design gives."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain.numbers import Numbers
from tests.support import story
from tests.support.oracle import Oracle
from tests.support.story import Folded
from tests.unit.fold.test_properties import folded, in_batches, interleaved
from tests.unit.promises.logs import counters, delivered_again, events, log_of, repeated

SEEDS = st.integers(0, 2**32)
UNHURRIED = settings(deadline=None, max_examples=settings().max_examples * 3 // 5)  # time is no promise of these


@UNHURRIED
@given(SEEDS, SEEDS)
def test_every_counter_is_what_the_set_of_events_says(seed: int, order: int) -> None:
    """P4: counts, codes, latencies and series, batch by batch, are those worked out at once from all facts."""
    chance = random.Random(order)
    log = log_of(repeated(delivered_again(events(seed), chance), chance))
    result = folded(in_batches(interleaved(log, chance), chance))
    assert counters(result) == Oracle(log.in_order()).told()


@UNHURRIED
@given(SEEDS, SEEDS)
def test_every_message_is_where_the_set_of_events_puts_it(seed: int, order: int) -> None:
    """P4, P2: each requested message is in the bucket of §4's table, and its `to` covers its own facts, no more."""
    chance = random.Random(order)
    log = log_of(repeated(delivered_again(events(seed), chance), chance))
    result = folded(in_batches(interleaved(log, chance), chance))
    oracle = Oracle(log.in_order())
    states = {name: json.loads(value) for name, value in result.states.items()}
    assert {name: state["bucket"] for name, state in states.items()} == oracle.buckets
    assert {name: state["to"] for name, state in states.items()} == oracle.to


@UNHURRIED
@given(SEEDS, SEEDS)
def test_the_numbers_are_right_after_every_batch(seed: int, order: int) -> None:
    """P4: not only at the end: wherever reading stops, the numbers are those of what was read."""
    chance = random.Random(order)
    log = log_of(delivered_again(events(seed), chance))
    result, read = Folded(), []
    for batch in in_batches(interleaved(log, chance), chance):
        result.batch(batch)
        read += batch
        assert counters(result) == Oracle(read).told()


@UNHURRIED
@given(SEEDS, SEEDS)
def test_a_partial_tells_how_far_it_counts(seed: int, order: int) -> None:
    """P4, P5: `to` of a campaign's partial is the greatest of its messages', not how far the worker has read."""
    chance = random.Random(order)
    log = log_of(events(seed))
    result = folded(in_batches(interleaved(log, chance), chance))
    oracle = Oracle(log.in_order())
    wanted: dict[str, dict[str, int]] = {}
    for name, to in oracle.to.items():
        into = wanted.setdefault(oracle.lives[name].campaign, dict.fromkeys(to, -1))
        into.update({topic: max(offset, into[topic]) for topic, offset in to.items()})
    partials = [json.loads(value) for value in result.published.values()]
    main = {p["campaign_id"]: p["to"] for p in partials if p["day"] is None and p["campaign_id"] != "_none"}
    assert main == wanted


@pytest.mark.parametrize(("hours", "unknown"), [(72.0, 0), (72.99, 0), (73.0, 1), (500.0, 1)])
def test_open_becomes_unknown_by_whole_hours(hours: float, unknown: int) -> None:
    """P4: a message sent in some hour is unknown once every message of that hour is past the deadline, not before."""
    sent = int(story.START.timestamp()) // 3600
    numbers = Numbers({}, {"2026-03-01": {f"2026-03-01/open:{sent}": 1}}, 0, story.START + timedelta(hours=hours))
    assert numbers.counts()["unknown"] == unknown


@pytest.mark.parametrize(("after", "late"), [(72 * 3600.0, 0), (72 * 3600 + 1.0, 1)])
def test_late_is_counted_from_the_attempt(after: float, late: int) -> None:
    """P4: a receipt is late by the time since its call, however long the message had waited before."""
    told = [(story.requested(), 0.0), (story.started(), 7200.0), (story.accepted("T1"), 7201.0)]
    log = log_of([*told, (story.postback("delivered", received=7200 + after), 0.0)])
    assert counters(folded([log.in_order()]))["c1"].get("late", 0) == late
