"""Any order, any repeats, any interleaving of topics: the same state; conservation always (P4, P5, P6)."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.contribution import contribution
from sendledger.domain.message import Message
from sendledger.domain.settled import known
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.registry import Data
from sendledger_schemas.states import BUCKETS, CampaignPartial, MessageState
from tests.support import story
from tests.support.story import Folded, Log, Read

DAY = 86_400


def a_log(seed: int) -> Log:
    """A random log of two recipients, three messages each: likely lives, and facts that make no sense together."""
    chance = random.Random(seed)
    log = Log()
    events: list[tuple[Data, float]] = []
    for recipient in ("r1", "r2"):
        trackings = [f"T{n}" for n in range(4)]
        for number in range(chance.randint(1, 3)):
            who = (f"{recipient}m{number}", recipient, chance.choice(("c1", "c2")))
            events += a_life(chance, who, trackings)
        for _ in range(chance.randint(0, 4)):
            events.append((a_postback(chance, recipient, chance.choice(trackings)), 0))
    chance.shuffle(events)
    for data, when in events:
        name = f"{data.TYPE}{data!r}"
        log.add(data, when, event_id=name)
        if chance.random() < 0.2:
            log.add(data, when, event_id=name)
    return log


def a_life(chance: random.Random, who: tuple[str, str, str], trackings: list[str]) -> list[tuple[Data, float]]:
    """The facts of one message, some of them missing."""
    when = chance.choice((0, 3 * DAY)) + chance.random() * 100
    facts: list[Data] = [story.requested(*who)] if chance.random() < 0.9 else []
    for attempt in range(1, chance.randint(1, 3)):
        facts.append(story.started(*who, attempt=attempt))
        if chance.random() < 0.2:
            facts.append(story.started(*who, attempt=attempt))
        ends: dict[str, Callable[..., Data]] = {
            "unanswered": story.unanswered,
            "accepted": partial(story.accepted, chance.choice(trackings)),
            "rejected": story.rejected,
            "throttled": story.throttled,
            "not_sent": story.not_sent,
        }
        for name, end in ends.items():
            if chance.random() < (0.5 if name == "unanswered" else 0.3):
                facts.append(end(*who, attempt=attempt))
        if chance.random() < 0.2:
            facts.append(story.resolved(chance.choice(("sent", "withhold", "resend")), *who, attempt=attempt))
    if chance.random() < 0.2:
        facts.append(story.withheld(chance.choice(("cancelled", "expired")), *who))
    return [(fact, when + n) for n, fact in enumerate(facts)]


def a_postback(chance: random.Random, recipient: str, tracking: str) -> Data:
    """A postback that may come early, late, again, or contradict another."""
    claims: tuple[Claim, ...] = get_args(Claim)
    claim = chance.choice(claims)
    received = chance.choice((1.0, 50.0, 2 * DAY, 5.0 * DAY)) + chance.randint(0, 3)
    return story.postback(claim, tracking, recipient, received, detail="failed" if claim == "undelivered" else None)


def interleaved(log: Log, chance: random.Random) -> list[Read]:
    """The topics in a random interleaving: each topic in its own order."""
    queues = [list(reversed(topic)) for topic in log.reads()]
    reads = []
    while any(queues):
        reads.append(chance.choice([queue for queue in queues if queue]).pop())
    return reads


def in_batches(reads: list[Read], chance: random.Random) -> list[list[Read]]:
    """The same reads, cut anywhere."""
    batches: list[list[Read]] = []
    while reads:
        size = chance.randint(1, 6)
        batches.append(reads[:size])
        reads = reads[size:]
    return batches


def folded(batches: list[list[Read]]) -> Folded:
    """Everything folded, batch after batch."""
    result = Folded()
    for batch in batches:
        result.batch(batch)
    return result


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_any_interleaving_and_any_batching_give_the_same_state(seed: int, order: int) -> None:
    """State and published numbers are a function of the log, however its topics were interleaved and cut."""
    log, chance = a_log(seed), random.Random(order)
    plain = folded([log.in_order()])
    other = folded(in_batches(interleaved(log, chance), chance))
    assert other.stored.keys() >= {key for key in plain.stored if key[:1] != b"p"}
    assert {k: v for k, v in other.stored.items() if k[:1] != b"p"} == {
        k: v for k, v in plain.stored.items() if k[:1] != b"p"
    }
    assert numbers(other) == numbers(plain)
    assert other.states == plain.states


def numbers(result: Folded) -> dict[str, dict[str, int]]:
    """The counters of each published record; a record without any is as good as none."""
    records = {key: msgspec.json.decode(value) for key, value in result.published.items()}
    return {
        key: {**record["counters"], "version": record["version"] if record["day"] is None else 0}
        for key, record in records.items()
        if record["counters"] or record["day"] is None
    }


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_partials_are_the_sum_of_the_contributions_and_conserve(seed: int, order: int) -> None:
    """`requested` is the sum of the buckets after every batch, and never below 0 anywhere (P6)."""
    log, chance = a_log(seed), random.Random(order)
    result = Folded()
    for batch in in_batches(interleaved(log, chance), chance):
        result.batch(batch)
        for value in result.published.values():
            counters: dict[str, int] = msgspec.json.decode(value)["counters"]
            assert all(count > 0 for count in counters.values())
            buckets = sum(counters.get(f"b:{bucket}", 0) for bucket in BUCKETS)
            assert buckets == counters.get("requested", 0)


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_a_woken_stale_worker_cannot_win(seed: int, order: int) -> None:
    """Readers that keep the greatest version over the slots end with the complete numbers, whoever publishes last."""
    log, chance = a_log(seed), random.Random(order)
    complete = folded(in_batches(interleaved(log, chance), chance))
    stale = Folded()
    reads = interleaved(log, chance)
    for batch in in_batches(reads[: chance.randint(0, len(reads))], chance):
        stale.batch(batch)
    for key, late in stale.published.items():
        known = complete.published.get(key)
        if known is None:
            assert not msgspec.json.decode(late)["counters"]
            continue
        winner = max((known, late), key=lambda record: msgspec.json.decode(record)["version"])
        assert msgspec.json.decode(winner)["counters"] == msgspec.json.decode(known)["counters"]
    for key, late in stale.states.items():
        known = complete.states[key]
        if msgspec.json.decode(late)["version"] >= msgspec.json.decode(known)["version"]:
            assert late == known


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_crash_and_replay_change_nothing(seed: int, order: int) -> None:
    """A worker that dies between publishing and writing publishes the same again and ends with the same numbers."""
    log, chance = a_log(seed), random.Random(order)
    batches = in_batches(interleaved(log, chance), chance)
    whole = folded(batches)
    crashed = Folded()
    for batch in batches:
        if chance.random() < 0.5:
            lost = Folded(stored=dict(crashed.stored), published=crashed.published, states=crashed.states)
            lost.batch(batch)  # published, then killed: nothing of it was written
            crashed = Folded(stored=crashed.stored, published=lost.published, states=lost.states)
        crashed.batch(batch)
    assert crashed.stored == whole.stored
    assert crashed.published == whole.published
    assert crashed.states == whole.states


@given(st.integers(0, 2**32))
def test_records_are_what_the_schemas_say(seed: int) -> None:
    """Published partials and message states validate against their pydantic models."""
    result = folded([a_log(seed).in_order()])
    for value in result.published.values():
        CampaignPartial.model_validate_json(value)
    for value in result.states.values():
        state = MessageState.model_validate_json(value)
        assert state.version == sum(offset + 1 for offset in state.to.values())


def test_contribution_without_a_request_is_nothing() -> None:
    """A message without its request contributes nothing (DESIGN §4)."""
    assert contribution(known(Message("m", "c", "r"))) == ()
