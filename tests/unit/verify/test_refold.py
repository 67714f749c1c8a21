"""verify's arithmetic: silent about what fold and merge made of any log, and never silent about a changed number."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.merging import Merging, Orphans, decode_partial, fitting
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.plain import Seen
from sendledger.domain.published import Published
from sendledger.domain.refold import Refold, Total, offsets_of
from sendledger.domain.settled import Policy
from sendledger.domain.verification import (
    Difference,
    Sums,
    asks,
    beside,
    compare_partial,
    differing_policy,
    late_partials,
)
from sendledger_schemas.states import FOLD_VERSION
from tests.support.story import ORIGIN, Folded, Read
from tests.unit.fold.test_properties import a_log, in_batches, interleaved

SEED = st.integers(0, 2**32)
PARTITION = ORIGIN.partition
Records = dict[str, bytes]


def merged(partials: Records) -> dict[str, dict[str, Any]]:
    """The campaign states that a merge makes of these partials."""
    merging, orphans = Merging({}), Orphans({})
    for value in partials.values():
        partial = decode_partial(value)
        merging.offer(partial)
        orphans.offer(partial)
    states = {}
    for campaign in merging.campaigns():
        whole = merging.merged(campaign)
        states[campaign] = {
            "campaign_id": campaign,
            "counters": whole.counters,
            "series": fitting(whole.series),
            "orphans": orphans.of(campaign),
            "to": whole.to,
            "version": whole.version,
            "fold_version": whole.fold_version,
        }
    return states


def verified(
    reads: list[Read], partials: Records, messages: Records, states: dict[str, Any], policy: Policy | None = None
) -> tuple[list[Difference], list[Difference], Sums]:
    """(wrong, behind) of one partition, as the program puts the pieces together."""
    published = Published({})
    for key, value in partials.items():
        published.partial(key.encode(), value, 0)
    for campaign, state in states.items():
        published.state(campaign.encode(), msgspec.json.encode(state))
    refold = Refold(PARTITION, asks(published, PARTITION, None), policy=policy)
    told = by_recipient(reads)
    for recipient, facts in told.items():
        mine = {m: raw for m, raw in messages.items() if msgspec.json.decode(raw)["recipient_id"] == recipient}
        refold.take(facts, mine)
    sums = Sums()
    sums.take(PARTITION, refold, published.states.values())
    wrong = [Difference("message", "wrong", w.campaign_id, w.field, w.published, w.log) for w in refold.wrong]
    for place, partial in published.of_partition(PARTITION).items():
        wrong += compare_partial(place, partial, refold.totals.get((place[0], offsets_of(partial.to)), Total()))
    for state in published.states.values():
        wrong += sums.compare(state, published.orphans_since(state.campaign_id, 0))
        if policy is not None and state.campaign_id != NO_CAMPAIGN:
            wrong += differing_policy(state, sums.under[state.campaign_id], policy)
    late = late_partials(PARTITION, published.of_partition(PARTITION), refold, lambda _: True)
    behind = [each.difference for each in late]
    behind += [d for c in sums.ends if (d := sums.behind(c, published.states.get(c))) is not None]
    behind += [Difference("message", "behind", c, m, told, to) for m, (c, _, told, to) in refold.behind.items()]
    return wrong, behind, sums


def by_recipient(reads: list[Read]) -> dict[str, list[Seen]]:
    """The facts of a partition, a recipient at a time."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for topic, offset, fact in reads:
        found[fact.data.recipient_id].append(Seen(topic, offset, 0, fact))
    return found


def partly(seed: int, order: int, *, whole: bool = False) -> tuple[list[Read], Folded]:
    """A random log, and a fold that has read some of it, in some interleaving."""
    log, chance = a_log(seed), random.Random(order)
    batches = in_batches(interleaved(log, chance), chance)
    fold = Folded()
    for batch in batches if whole else batches[: chance.randint(0, len(batches))]:
        fold.batch(batch)
    return log.in_order(), fold


@given(SEED, SEED)
def test_what_fold_and_merge_published_is_never_wrong(seed: int, order: int) -> None:
    """Wherever they stand in the log: each of their numbers is what the facts up to its own `to` say."""
    reads, fold = partly(seed, order)
    wrong, _, _ = verified(reads, fold.published, fold.states, merged(fold.published))
    assert wrong == []


@given(SEED, SEED)
def test_what_has_read_the_whole_log_is_not_behind(seed: int, order: int) -> None:
    """At the end of the log nothing is behind it, nor wrong under any policy."""
    reads, fold = partly(seed, order, whole=True)
    policies: tuple[Policy, ...] = ("last-final", "delivered-wins", "failure-wins")
    for policy in policies:
        wrong, behind, sums = verified(reads, fold.published, fold.states, merged(fold.published), policy)
        assert wrong == behind == []
        assert sums.under.keys() >= {c for c in merged(fold.published) if c != NO_CAMPAIGN}


def changed(value: Any, chance: random.Random) -> Iterator[Any]:
    """A record with one number, or one field, changed; each way of doing it once."""
    record = msgspec.json.decode(value) if isinstance(value, bytes) else value
    names = [n for n in ("counters", "series", "orphans", "version", "bucket", "attempts") if n in record]
    for name in [*names, *(["gone"] if record.get("counters") else [])]:
        copy = msgspec.json.decode(msgspec.json.encode(record))
        if name == "gone":
            del copy["counters"][chance.choice(sorted(copy["counters"]))]
        elif name == "series":
            day = chance.choice([*sorted(copy[name]), "2026-03-09"])
            copy[name].setdefault(day, {})[f"{day}/m:1:delivered"] = 77
        elif name == "counters":
            key = chance.choice(sorted(copy[name]) or ["requested"])
            copy[name][key] = copy[name].get(key, 0) + chance.choice((-1, 1, 5))
        elif name == "bucket":
            copy[name] = "rejected" if copy[name] != "rejected" else "delivered"
        else:
            copy[name] += 1
        yield copy


@given(SEED, SEED)
def test_any_changed_number_is_found(seed: int, order: int) -> None:
    """One more or less in any counter of a partial, a series or a state, or a field of a message: a difference."""
    reads, fold = partly(seed, order, whole=True)
    chance = random.Random(order)
    states = merged(fold.published)
    if not fold.states:
        return
    for key in chance.sample(sorted(fold.published), min(2, len(fold.published))):
        for forged in changed(fold.published[key], chance):
            wrong, _, _ = verified(reads, {**fold.published, key: msgspec.json.encode(forged)}, fold.states, states)
            assert wrong, (key, forged)
    key = chance.choice(sorted(fold.states))
    for forged in changed(fold.states[key], chance):
        wrong, _, _ = verified(reads, fold.published, {**fold.states, key: msgspec.json.encode(forged)}, states)
        assert wrong, (key, forged)
    campaign = chance.choice(sorted(states))
    for forged in changed(states[campaign], chance):
        wrong, _, _ = verified(reads, fold.published, fold.states, {**states, campaign: forged})
        assert wrong, (campaign, forged)


@given(SEED, SEED)
def test_any_missing_record_is_found(seed: int, order: int) -> None:
    """A partial, a message state or a campaign state that is not there is behind the log."""
    reads, fold = partly(seed, order, whole=True)
    chance, states = random.Random(order), merged(fold.published)
    counted = [key for key, value in fold.published.items() if msgspec.json.decode(value)["counters"]]
    if not counted or not fold.states:  # a log of orphans counts, and has no message
        return
    key = chance.choice(sorted(counted))
    assert verified(reads, {k: v for k, v in fold.published.items() if k != key}, fold.states, states)[1]
    message = chance.choice(sorted(fold.states))
    assert verified(reads, fold.published, {m: v for m, v in fold.states.items() if m != message}, states)[1]
    campaign = chance.choice(sorted(states))
    assert verified(reads, fold.published, fold.states, {c: v for c, v in states.items() if c != campaign})[1]


def test_of_several_slots_the_greatest_partial_counts_and_of_one_key_the_last() -> None:
    """A stale slot does no harm; a stale record under the same key is what compaction would leave, and is judged."""

    def partial(slot: int, version: int) -> bytes:
        to = {"sms.send-requests.v1": version}
        record = {"campaign_id": "c", "partition": 0, "slot": slot, "counters": {"requested": version}, "from": {}}
        rest = {"version": version, "fold_version": FOLD_VERSION, "topic_ids": {}, "to": to}
        return msgspec.json.encode({**record, **rest})

    published, place = Published({}), ("c", 0, None)
    published.partial(b"c/0/1", partial(1, 5), 0)
    published.partial(b"c/0/2", partial(2, 3), 0)
    best = published.best(place)
    assert best is not None
    assert best.version == 5
    published.partial(b"c/0/1", partial(1, 2), 0)
    best = published.best(place)
    assert best is not None
    assert best.version == 3
    published.partial(b"c/0/2", None, 0)
    published.partial(b"c/0/1", None, 0)
    assert published.best(place) is None


def test_orphans_may_be_those_of_any_moment_that_merge_may_have_seen() -> None:
    """Between two partials of `_none` a state may show the one or the other, but nothing older than was allowed."""

    def none(partition: int, count: int, version: int) -> bytes:
        names = {"orphans": count, "orphans:c": count}
        record = {"campaign_id": NO_CAMPAIGN, "partition": partition, "slot": 0, "counters": names, "from": {}}
        rest = {"version": version, "fold_version": FOLD_VERSION, "topic_ids": {}, "to": {}}
        return msgspec.json.encode({**record, **rest})

    published = Published({})
    for timestamp, (partition, count, version) in enumerate([(0, 1, 1), (1, 2, 1), (0, 5, 2), (0, 4, 1)]):
        published.partial(f"_none/{partition}/0".encode(), none(partition, count, version), timestamp)
    assert published.orphans_since("c", 0) == {1, 3, 7}
    assert published.orphans_since("c", 1) == {3, 7}
    assert published.orphans_since("c", 9) == {7}
    assert published.orphans_since("other", 0) == {0}


def test_a_policy_is_shown_beside_what_is_published() -> None:
    """Only the counters that differ are named, each with both numbers."""
    published = Published({})
    state = {"campaign_id": "c", "counters": {"requested": 2, "b:undelivered": 1}, "series": {}, "orphans": 0}
    published.state(b"c", msgspec.json.encode({**state, "to": {}, "version": 0, "fold_version": FOLD_VERSION}))
    found = beside(published.states["c"], {"requested": 2, "b:delivered": 1, "2026-03-01/m:1:delivered": 1})
    assert found == {"b:delivered": (0, 1), "b:undelivered": (1, 0)}
