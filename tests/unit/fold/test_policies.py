"""Numbers under every policy from the counters that are published under one (DESIGN §4)."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.contribution import contribution, day_of
from sendledger.domain.merging import Merging, coarse, decode_partial
from sendledger.domain.message import NOTHING_READ
from sendledger.domain.partial import MOST_NAMES, bounded
from sendledger.domain.policies import POLICIES, differing, stem, under
from sendledger.domain.settled import Policy
from sendledger.edges.fold_core import Origin
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.states import BUCKETS, MessageState
from tests.support import story
from tests.support.partials import record
from tests.support.states import NOW, campaign_state
from tests.support.story import Folded, Log
from tests.unit.promises.logs import counters, events, log_of, repeated
from tests.unit.promises.test_p6_conservation import messages_of

SEED = st.integers(0, 2**32)
POLICY = st.sampled_from(POLICIES)


def conflict(*claims: tuple[Claim, float], operator: str | None = None, message: str = "m1") -> Log:
    """A message that was accepted, and these final claims, each at a second of the provider's clock."""
    log = Log()
    who = message, f"r-{message}"
    log.add(story.requested(*who, operator_id=operator))
    log.add(story.started(*who), 1)
    log.add(story.accepted("T1", *who), 2)
    for n, (claim, provider) in enumerate(claims):
        # the later at the provider's, the earlier here: arrival decides nothing
        data = story.postback(claim, "T1", f"r-{message}", 1_000 - provider, provider=provider)
        log.add(data, event_id=f"{message}{n}")
    return log


@given(SEED, POLICY)
def test_published_numbers_tell_those_under_each_policy(seed: int, policy: Policy) -> None:
    """Every counter of every part, read under a policy, is the sum of what the messages count under that policy."""
    log = log_of(repeated(events(seed), random.Random(seed)))
    fold = Folded()
    fold.batch(log.in_order())
    wanted: dict[str, Counter[str]] = {}
    for facts in messages_of(log):
        bag = [name for name in contribution(facts, policy) if not stem(name)[0]]
        assert under(Counter(contribution(facts)), policy) == Counter(bag)
        wanted.setdefault(facts.message.campaign_id, Counter()).update(bag)
    found = {name: under(sums, policy) for name, sums in counters(fold).items() if name != "_none"}
    assert {name: sums for name, sums in found.items() if sums} == {name: dict(sums) for name, sums in wanted.items()}


@given(SEED, POLICY)
def test_conservation_holds_under_each_policy(seed: int, policy: Policy) -> None:
    """P6: the buckets add up to what was requested, whoever reads; and no counter is below 0."""
    fold = Folded()
    fold.batch(log_of(events(seed)).in_order())
    for sums in counters(fold).values():
        read = under(sums, policy)
        assert sum(read.get(f"b:{bucket}", 0) for bucket in BUCKETS) == read.get("requested", 0)
        assert all(count > 0 for count in read.values())


SETTLED = [
    # claims by the provider's time, then the bucket by first-final, last-final, delivered-wins, failure-wins
    ((("delivered", 5), ("undelivered", 9)), "delivered", "undelivered", "delivered", "undelivered"),
    ((("undelivered", 5), ("delivered", 9)), "undelivered", "delivered", "delivered", "undelivered"),
    ((("delivered", 5), ("submit_failed", 6), ("delivered", 9)), "delivered", "delivered", "delivered", "undelivered"),
    ((("undelivered", 5), ("undelivered", 9)), "undelivered", "undelivered", "undelivered", "undelivered"),
    ((("delivered", 5),), "delivered", "delivered", "delivered", "delivered"),
]


@pytest.mark.parametrize(("claims", "first", "last", "delivered", "failure"), SETTLED)
def test_the_policies(
    *, claims: tuple[tuple[Claim, float], ...], first: str, last: str, delivered: str, failure: str
) -> None:
    """Which of the claims counts, by each policy, in the numbers and in the message's own record."""
    fold = Folded()
    fold.batch(conflict(*claims).in_order())
    (sums,) = [found for name, found in counters(fold).items() if name == "c1"]
    (raw,) = fold.states.values()
    state = MessageState.model_validate_json(raw)
    for policy, wanted in zip(POLICIES, (first, last, delivered, failure), strict=True):
        assert under(sums, policy)[f"b:{wanted}"] == 1
        other = (state.otherwise or {}).get(policy)
        assert (state.bucket if other is None else other.bucket) == wanted


def test_a_message_without_a_choice_says_nothing_of_policies() -> None:
    """The usual message costs nothing more: its record and its counters know of no other policy."""
    fold = Folded()
    fold.batch(conflict(("delivered", 5)).in_order())
    assert b"otherwise" not in next(iter(fold.states.values()))
    assert not [name for sums in counters(fold).values() for name in sums if stem(name)[0]]


def test_the_view_is_read_under_a_policy() -> None:
    """Counts, details, carriers, rates and series all follow; what the policy is stands beside them."""
    fold = Folded()
    fold.batch(conflict(("undelivered", 5), ("delivered", 9), operator="op/7").in_order())
    merging = Merging({})
    for value in fold.published.values():
        merging.offer(decode_partial(value))
    merged = merging.merged("c1")
    state = campaign_state("c1", counters=merged.counters, series=merged.series)
    shown = {policy: campaign_view("c1", state, Control(), [], NOW, policy=policy) for policy in POLICIES}
    first, wins = shown["first-final"], shown["delivered-wins"]
    assert (first["policy"], first["counts"]["undelivered"], first["details"]) == ("first-final", 1, {"other": 1})
    assert (wins["policy"], wins["counts"]["delivered"], wins["details"]) == ("delivered-wins", 1, {})
    assert (first["by_operator"], wins["by_operator"]) == ({"op/7": {"undelivered": 1}}, {"op/7": {"delivered": 1}})
    assert wins["rates"]["delivery_resolved"]["value"] == 1
    assert sum(point["delivered"] for point in wins["series"]) == 1
    assert sum(point["failed"] for point in wins["series"]) == 0
    assert {view["quality"]["conflicted"] for view in shown.values()} == {1}


def test_a_bounded_record_reads_the_same_under_each_policy() -> None:
    """Names that a record leaves out are left out of what other policies say too: no count falls below 0."""
    sums: Counter[str] = Counter()
    for n in range(2 * MOST_NAMES):
        (facts,) = messages_of(conflict(("undelivered", 5), ("delivered", 9), operator=f"car/{n}", message=f"m{n}"))
        sums.update(name for name in contribution(facts) if day_of(name) is None)
    raw = record("c1", Origin(0, 0, NOTHING_READ, {}), None, dict(sums), NOTHING_READ)
    short = msgspec.json.decode(raw)["counters"]
    assert bounded(short) == short
    for policy in POLICIES:
        read = under(short, policy)
        assert min(read.values()) > 0
        assert sum(count for name, count in read.items() if name.startswith("o:")) == 2 * MOST_NAMES


@given(SEED, POLICY)
def test_coarse_series_read_the_same_under_each_policy(seed: int, policy: Policy) -> None:
    """Minutes become hours before or after one reads under a policy: the same hours."""
    fold = Folded()
    fold.batch(log_of(events(seed)).in_order())
    for sums in counters(fold).values():
        series = {name: count for name, count in sums.items() if day_of(name) is not None}
        assert under(coarse(series), policy) == {n: c for n, c in coarse(under(series, policy)).items() if c}


NAMES = ["b:delivered", "o:a:b/c:delivered", "2026-03-01/m:5:delivered", "o:2026-03-0/x:queued"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_taken_apart_as_they_were_put_together(name: str) -> None:
    """A counter's own name comes back whatever it holds, and its day stays in front: it names the record."""
    marked = differing("y:last-final:-:", name)
    assert stem(marked) == ("y:last-final:-:", name)
    assert stem(name) == ("", name)
    assert day_of(marked) == day_of(name)


def test_a_carrier_with_a_slash_is_no_day() -> None:
    """A name from outside that looks like a series' counter does not stop the fold."""
    log = Log()
    for n, name in enumerate(("a/b", "2026-03-01/m:1:delivered", "/", "y:last-final:+:b:delivered")):
        log.add(story.requested(f"m{n}", operator_id=name))
    fold = Folded()
    fold.batch(log.in_order())
    assert {name: count for name, count in counters(fold)["c1"].items() if name.startswith("o:")} == {
        "o:a/b:queued": 1,
        "o:2026-03-01/m:1:delivered:queued": 1,
        "o:/:queued": 1,
        "o:y:last-final:+:b:delivered:queued": 1,
    }


@pytest.mark.parametrize("early", ["a", "z"])
def test_the_carrier_is_the_one_that_the_first_postback_names(early: str) -> None:
    """First by the provider's time, neither by arrival nor by event id; so is the history id."""
    log = Log()
    log.add(story.requested(operator_id="asked"))
    log.add(story.accepted("T1"), 2)
    late = "z" if early == "a" else "a"
    for name, provider, carrier in ((late, 9, "late"), (early, 5, "early"), ("m", 3, None)):
        said = story.postback("sent", "T1", provider=provider)
        log.add(said.model_copy(update={"operator_id": carrier, "history_id": carrier}), event_id=name)
    fold = Folded()
    fold.batch(log.in_order())
    (raw,) = fold.states.values()
    state = MessageState.model_validate_json(raw)
    assert (state.operator_id, state.history_id) == ("early", "early")
    assert counters(fold)["c1"]["o:early:sent"] == 1
