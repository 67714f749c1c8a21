"""The plain fold says what the fold says, about every campaign, part and message, at the offsets that each carries."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain import plain, state_record
from sendledger.domain.contribution import day_of
from sendledger.domain.facts import micros
from sendledger.domain.message import Offsets
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.plain import Seen
from sendledger_schemas.topics import FOLD_SOURCES
from tests.support import story
from tests.support.oracle import Oracle
from tests.support.story import Folded, Read
from tests.unit.fold.test_properties import a_log, in_batches, interleaved

SEED = st.integers(0, 2**32)
Part = tuple[str, str | None]


def by_recipient(reads: list[Read]) -> dict[str, list[Seen]]:
    """The facts of a partition, a recipient at a time."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for topic, offset, fact in reads:
        found[fact.data.recipient_id].append(Seen(topic, offset, 0, fact))
    return found


def offsets(to: dict[str, int]) -> Offsets:
    """`to` as the domain has it."""
    return tuple(to[topic] for topic in FOLD_SOURCES)  # type: ignore[return-value]  # five, as there are topics


def refolded(seen: dict[str, list[Seen]], part: Part, to: Offsets) -> dict[str, int]:
    """The counters of one part, from the facts up to `to`."""
    campaign, day = part
    total: Counter[str] = Counter()
    for facts in seen.values():
        found = plain.counters(plain.account(plain.up_to(facts, to))).get(campaign, Counter())
        total.update({name: count for name, count in found.items() if day_of(name) == day})
    return dict(total)


@given(SEED, SEED)
def test_every_partial_is_the_plain_fold_up_to_its_offsets(seed: int, order: int) -> None:
    """Whatever a fold had read when it published: the facts up to a record's `to` add up to the record."""
    log, chance = a_log(seed), random.Random(order)
    batches = in_batches(interleaved(log, chance), chance)
    fold = Folded()
    for batch in batches[: chance.randint(0, len(batches))]:
        fold.batch(batch)
    seen = by_recipient(log.in_order())
    for value in fold.published.values():
        record = msgspec.json.decode(value)
        part = record["campaign_id"], record["day"]
        assert refolded(seen, part, offsets(record["to"])) == record["counters"]


@given(SEED, SEED)
def test_every_message_state_is_the_plain_fold_up_to_its_offsets(seed: int, order: int) -> None:
    """A published message state is, byte for byte, what the facts of its recipient up to its `to` say."""
    log, chance = a_log(seed), random.Random(order)
    batches = in_batches(interleaved(log, chance), chance)
    fold = Folded()
    for batch in batches[: chance.randint(0, len(batches))]:
        fold.batch(batch)
    seen = by_recipient(log.in_order())
    for message_id, value in fold.states.items():
        record = msgspec.json.decode(value)
        account = plain.account(plain.up_to(seen[record["recipient_id"]], offsets(record["to"])))
        assert state_record.encode(account.messages[message_id], account.to[message_id], 3) == value


@given(SEED, SEED)
def test_the_order_in_which_facts_are_given_does_not_matter(seed: int, order: int) -> None:
    """The facts of a recipient, handed over in any order, come to the same account."""
    chance = random.Random(order)
    for facts in by_recipient(a_log(seed).in_order()).values():
        mixed = list(facts)
        chance.shuffle(mixed)
        assert plain.account(mixed) == plain.account(facts)


@given(SEED)
def test_the_plain_fold_says_what_the_oracle_says(seed: int) -> None:
    """Two ways of working out a whole log, of which one shares no code with the fold, come to the same."""
    log = a_log(seed)
    accounts = [plain.account(facts) for facts in by_recipient(log.in_order()).values()]
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for account in accounts:
        for campaign, found in plain.counters(account).items():
            total[campaign].update(found)
    oracle = Oracle(log.in_order())
    assert {campaign: dict(found) for campaign, found in total.items()} == oracle.told()
    told = {m: dict(zip(FOLD_SOURCES, to, strict=True)) for account in accounts for m, to in account.to.items()}
    assert told == oracle.to


def test_orphans_stand_under_none_and_under_each_campaign_of_the_recipient() -> None:
    """A postback that is nobody's counts for `_none`, and for the campaigns that its recipient has messages in."""
    log = story.Log()
    log.add(story.requested())
    log.add(story.postback("sent", "T9"))
    found = plain.counters(plain.account(by_recipient(log.in_order())["r1"]))
    assert found[NO_CAMPAIGN] == {"orphans": 1, "orphans:c1": 1}


def test_cuts_go_by_the_clock_that_they_name() -> None:
    """A late postback was not known before it was appended, but had happened when the provider says so."""
    log = story.Log()
    log.add(story.requested())
    log.add(story.postback("delivered", "T1", received=500, provider=20), 500)
    seen = [
        Seen(topic, offset, micros(story.at(600)) // 1_000 if topic else 0, fact)
        for topic, offset, fact in log.in_order()
    ]
    moment = micros(story.START + timedelta(seconds=100))
    assert [one.topic for one in plain.appended_by(seen, moment)] == [0]
    assert [one.topic for one in plain.happened_by(seen, moment)] == [0, 3]
