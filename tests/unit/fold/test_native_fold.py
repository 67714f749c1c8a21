"""The fold's library beside the plain fold of the domain, where a batch, a page or an edge could make a difference."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from sendledger.domain import plain
from sendledger.domain.contribution import bin_seconds
from sendledger.domain.partial import MOST_NAMES, bounded
from sendledger.domain.plain import Seen
from sendledger.edges.fold_core import DamagedDocumentError
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import FOLD_SOURCES
from tests.support import story
from tests.support.native import PartitionFold, no_letters, packed
from tests.support.story import Folded, Log, Read, at
from tests.unit.fold.test_properties import a_life, a_log, a_postback, folded, in_batches, interleaved

WHO = ("m1", "r1", "c1")


def told(reads: list[Read]) -> dict[str, Counter[str]]:
    """Campaign → counters, by the plain fold."""
    by_recipient: defaultdict[str, list[Seen]] = defaultdict(list)
    for topic, offset, fact in reads:
        by_recipient[fact.data.recipient_id].append(Seen(topic, offset, 0, fact))
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for seen in by_recipient.values():
        for campaign, counters in plain.counters(plain.account(seen)).items():
            found[campaign].update(counters)
    return dict(found)


def published(result: Folded) -> dict[str, Counter[str]]:
    """Campaign → counters, as they were published last."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value in result.published.values():
        record = msgspec.json.decode(value)
        found[record["campaign_id"]].update(record["counters"])
    return {campaign: counters for campaign, counters in found.items() if counters}


def of(*events: tuple[Data, float]) -> Log:
    """A log of these events and their times."""
    log = Log()
    for data, when in events:
        log.add(data, when)
    return log


def a_crowd(seed: int) -> Log:
    """A random log of one recipient with so many messages and TRACKINGIDs that it outgrows one document."""
    chance, log = random.Random(seed), Log()
    trackings = [f"T{number}" for number in range(chance.choice((4, 20)))]
    events: list[tuple[Data, float]] = []
    for number in range(chance.randint(6, 14)):
        events += a_life(chance, (f"r1m{number}", "r1", chance.choice(("c1", "c2"))), trackings)
    events += [(a_postback(chance, "r1", chance.choice(trackings)), 0) for _ in range(chance.randint(0, 20))]
    chance.shuffle(events)
    for data, when in events:
        log.add(data, when, event_id=f"{data.TYPE}{data!r}")
    return log


@pytest.mark.parametrize("make", [a_log, a_crowd])
def test_its_numbers_are_those_of_the_plain_fold(make: Callable[[int], Log]) -> None:
    """Whatever the log and however it is cut into batches, also where a recipient's documents are split on the way."""
    for seed in range(250):
        log, chance = make(seed), random.Random(seed)
        result = folded(in_batches(interleaved(log, chance), chance))
        assert published(result) == told(log.in_order()), f"seed {seed}"


@pytest.mark.parametrize("edge", range(0, 60, 7))
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_latencies_fall_into_the_same_bins(edge: int, beyond: int) -> None:
    """Also exactly on the edge of a bin."""
    took = (round(bin_seconds(edge) * 1e6) + beyond) / 1e6
    log = of((story.requested(*WHO), 0), (story.started(*WHO), took), (story.accepted("T1", *WHO), 2 * took))
    assert published(folded([log.in_order()])) == told(log.in_order())


def test_the_attempt_that_was_taken_began_it() -> None:
    """A late answer to the first attempt settles the message, whatever the second came to."""
    events = [
        *((story.requested(*WHO), 0), (story.started(*WHO), 1), (story.unanswered(*WHO), 2)),
        *((story.resolved("resend", *WHO), 3), (story.started(*WHO, attempt=2), 7200)),
        *((story.not_sent(*WHO, attempt=2), 7201), (story.accepted("T1", *WHO), 7300)),
    ]
    log = of(*events)
    assert published(folded([log.in_order()])) == told(log.in_order())
    assert [name for name in told(log.in_order())["c1"] if "/open:" in name] == [f"2026-03-01/open:{_hour(1)}"]


def _hour(seconds: float) -> int:
    return int(at(seconds).timestamp()) // 3600


def test_a_postback_without_a_tracking_id_settles_nothing() -> None:
    """It is an orphan beside a doubt, and does not keep a named one from settling it."""
    doubt = [(story.requested(*WHO), 0), (story.started(*WHO), 1), (story.unanswered(*WHO), 2)]
    stray, named = (story.postback("delivered", "", received=5), 5), (story.postback("delivered", "T9", received=6), 6)
    for events, bucket in (([*doubt, stray], "in_doubt"), ([*doubt, stray, named], "delivered")):
        log = of(*events)
        result = folded([log.in_order()])
        assert published(result) == told(log.in_order())
        assert msgspec.json.decode(result.states["m1"])["bucket"] == bucket


def test_the_first_arrival_counts_whichever_stands_first() -> None:
    """A body that was delivered three times counts from its first arrival; the others are repeats."""
    first = story.postback("delivered", received=10)
    later = [first.model_copy(update={"received_at": at(10) + timedelta(seconds=n)}) for n in (60, 0, 30)]
    log = Log()
    for data, when in ((story.requested(*WHO), 0), (story.started(*WHO), 1), (story.accepted("T1", *WHO), 2)):
        log.add(data, when)
    for data in later:
        log.add(data, 10, event_id="the same body")
    result = folded([[read] for read in log.in_order()])
    assert published(result) == told(log.in_order())
    assert published(result)["c1"]["repeat"] == 2


def test_a_record_tells_so_many_carriers_apart() -> None:
    """What was published is bounded as the domain says, and what is stored is whole: the next batch counts on."""
    log = Log()
    for number in range(MOST_NAMES + 60):
        who = (f"m{number}", f"r{number}", "c1")
        log.add(story.requested(*who, operator_id=f"carrier {number % (MOST_NAMES + 30)}"), number)
    reads = log.in_order()
    wanted = told(reads)["c1"]
    result = folded([reads[:100], reads[100:]])
    main = msgspec.json.decode(result.published["c1/3/0"])
    assert main["counters"] == bounded({name: count for name, count in wanted.items() if "/" not in name[:11]})
    assert any(name.startswith("o:other:") for name in main["counters"])


def test_nothing_is_published_of_an_archived_campaign() -> None:
    """What was told last of it stands; its documents go on, and other campaigns are told."""
    log = of((story.requested("m1", "r1", "c1"), 0), (story.requested("m2", "r1", "c2"), 1))
    fold = PartitionFold(lambda keys: [None for _ in keys], story.ORIGIN, archived=["c1"])
    changes = fold.fold(log.in_order())
    assert [state.key for state in changes.messages] == ["m2"]
    assert {one.campaign_id for one in changes.partials} == {"c2", "_none"}
    assert b"pc1" in changes.documents


def test_an_imbalance_of_what_is_stored_is_told() -> None:
    """P6 as a number beside each main partial: 5 requested that are in no bucket."""
    five_requested = b"\x01" * 5 + b"\x01" + b"\x00\x00\x00\x00\x0a"  # `to` of nothing; one counter: `requested`, 5
    fold = PartitionFold(lambda keys: [five_requested if key == b"pc1" else None for key in keys], story.ORIGIN)
    batch = packed([(0, b"r1", of((story.requested(), 0)).topics[0][0])])
    changes = fold.inner.fold({FOLD_SOURCES[0]: [batch]}, no_letters)
    assert {one.imbalance for one in changes.partials if one.campaign_id == "c1"} == {5, None}


def _all(raw: bytes, keys: list[bytes]) -> list[bytes]:
    return [raw for _ in keys]


def test_a_damaged_document_is_an_error() -> None:
    """It says so instead of counting something else, and the fold is not used any more."""
    log = of((story.requested(), 0))
    for raw in (b"", b"\x07", b"\x01\x02", b"\x00\x01"):
        fold = PartitionFold(partial(_all, raw), story.ORIGIN)
        with pytest.raises(DamagedDocumentError):
            fold.fold(log.in_order())


def test_a_doubt_reaches_every_day_on_which_its_recipient_had_a_postback() -> None:
    """A stale worker may have adopted the one that we did not: our record of that day has to be the greater one."""
    day = 86_400
    log = of(
        *((story.requested(*WHO), 0), (story.started(*WHO), 1), (story.unanswered(*WHO), 2)),
        (story.postback("delivered", "T8", received=2 * day), 2 * day),
        (story.postback("delivered", "T9", received=day), 2 * day),  # with the other, neither can be adopted
    )
    result = folded([[read] for read in log.in_order()])
    last = msgspec.json.decode(result.published["c1/3/0"])["to"]
    for name in ("2026-03-01", "2026-03-02", "2026-03-03"):
        record = msgspec.json.decode(result.published[f"c1/3/0/{name}"])
        assert (record["counters"], record["to"]) == ({}, last)
