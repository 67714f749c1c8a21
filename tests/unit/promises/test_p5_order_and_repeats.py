"""P5: in what order facts come, how often and how late, does not show in the state."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain.facts import Fact, Postback, decode_fact
from sendledger.domain.message import Message, evolve, initial
from sendledger.domain.postbacks import NO_TRACKING, Tracking, owned, received
from sendledger_schemas.registry import Data
from tests.support import story
from tests.support.story import Folded, Log
from tests.unit.fold.test_properties import folded, in_batches, interleaved
from tests.unit.promises.logs import counters, delivered_again, events, log_of, repeated

SEEDS = st.integers(0, 2**32)
UNHURRIED = settings(deadline=None, max_examples=settings().max_examples * 3 // 5)  # time is no promise of these

CLASHING: list[Data] = [
    story.requested(operator_id="first"),
    story.requested(operator_id="second", to="15551234999"),
    story.started(),
    story.started(attempt=2),
    story.accepted("T1"),
    story.accepted("T2"),
    story.rejected(),
    story.throttled(attempt=2),
    story.not_sent(attempt=2),
    story.unanswered(),
    story.unanswered(attempt=2),
    story.resolved("sent"),
    story.resolved("withhold"),
    story.withheld("cancelled"),
    story.withheld("expired"),
]


def reads_of(told: list[Data]) -> list[tuple[int, int, Fact]]:
    """The events with their offsets, each a second after the one before."""
    log = Log()
    for second, data in enumerate(told):
        log.add(data, second)
    return log.in_order()


def evolved(reads: list[tuple[int, int, Any]]) -> Message:
    """One message, fact by fact."""
    message = initial(reads[0][2])
    for _, offset, fact in reads:
        message = evolve(message, offset, fact)
    return message


@UNHURRIED
@given(st.permutations(CLASHING), SEEDS)
def test_a_message_does_not_tell_in_which_order_its_facts_were_learnt(log: list[Data], order: int) -> None:
    """P5: of two values for one fact the lower offset stands, whichever was applied first, and however often."""
    reads = reads_of(log)
    chance = random.Random(order)
    shuffled = reads + chance.sample(reads, 5)
    chance.shuffle(shuffled)
    assert evolved(shuffled) == evolved(reads)


def test_of_two_values_the_lower_offset_stands() -> None:
    """P5: the first on the log, not the last one written and not the last one read."""
    message = evolved(
        reads_of([story.accepted("T1"), story.accepted("T2"), story.withheld("expired"), story.withheld()])
    )
    response = message.attempts[1].response
    assert response is not None
    assert response.tracking_id == "T1"
    assert message.withheld is not None
    assert message.withheld.reason == "expired"


NOTICES = [
    story.postback("sent", received=5),
    story.postback("delivered", received=20, provider=3),
    story.postback("undelivered", received=9, detail="expired"),
    story.postback("trying", received=7),
]


@UNHURRIED
@given(st.permutations(range(len(NOTICES) + 2)))
def test_a_tracking_does_not_tell_in_which_order_it_was_learnt(order: list[int]) -> None:
    """P5: postbacks and the responses that own them, in any order: one state, its first owner by the log's order."""
    log = log_of([(notice, 0) for notice in NOTICES])
    facts = [decode_fact(raw) for raw in log.topics[story.TOPIC_OF[type(NOTICES[0])]]]

    def stepped(tracking: Tracking, step: int) -> Tracking:
        if step >= len(facts):
            return owned(tracking, f"m{step}", offset=step)
        fact = facts[step]
        assert isinstance(fact, Postback)
        assert fact.data.claim is not None
        return received(tracking, step, fact, fact.data.claim)

    one = other = NO_TRACKING
    for step in range(len(facts) + 2):
        one = stepped(one, step)
    for step in order:
        other = stepped(other, step)
    assert other == one
    assert one.message_id == f"m{len(facts)}"
    assert (
        one.first_received
        == min(fact.data.received_at for fact in facts if isinstance(fact, Postback)).timestamp() * 1e6
    )


@UNHURRIED
@given(SEEDS, SEEDS)
def test_the_same_records_again_change_nothing(seed: int, order: int) -> None:
    """P5: the same events on the log again, at any later place, any number of them: the same numbers and states."""
    chance = random.Random(order)
    once = delivered_again(events(seed), chance)
    plain = folded([log_of(once).in_order()])
    other = folded(in_batches(interleaved(log_of(repeated(once, chance)), chance), chance))
    assert counters(other) == counters(plain)
    assert said(other) == said(plain)


def said(result: Folded) -> dict[str, dict[str, Any]]:
    """The message states without the places on the log."""
    states = {name: json.loads(value) for name, value in result.states.items()}
    places = ("to", "version", "request")
    return {name: {k: v for k, v in state.items() if k not in places} for name, state in states.items()}


@UNHURRIED
@given(SEEDS, SEEDS)
def test_a_late_postback_ends_where_an_early_one_does(seed: int, order: int) -> None:
    """P5: all postbacks before everything else, or after it, or in between: the same numbers and states."""
    log, chance = log_of(events(seed)), random.Random(order)
    early = sorted(log.in_order(), key=lambda read: not isinstance(read[2], Postback))
    late = sorted(log.in_order(), key=lambda read: isinstance(read[2], Postback))
    results = [folded(in_batches(reads, chance)) for reads in (early, late, interleaved(log, chance))]
    assert counters(results[0]) == counters(results[1]) == counters(results[2])
    assert results[0].states == results[1].states == results[2].states
