"""A campaign at an earlier moment: the log folded up to it, by either clock (DESIGN §8: `at`, `clock`)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain import plain
from sendledger.domain.facts import Accepted, Postback, Requested, Resolved, micros
from sendledger.domain.merging import Merging, Orphans, decode_partial
from sendledger.domain.moments import Clock, Remembered, Wrong, moment_of
from sendledger.domain.plain import Seen
from tests.support import story
from tests.support.story import ORIGIN, Folded, Log, at
from tests.unit.fold.test_properties import in_batches, interleaved
from tests.unit.promises.logs import events, log_of, repeated

SEED = st.integers(0, 2**32)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def seen_of(log: Log) -> list[Seen]:
    """The facts of a log; each topic's were appended a second apart."""
    return [Seen(topic, offset, offset * 1_000, fact) for topic, offset, fact in log.in_order()]


def remembered(seen: Iterable[Seen], campaign: str, moment: datetime, clock: Clock) -> dict[str, Any]:
    """The numbers of a campaign at a moment. By the clock of the log the caller has cut already."""
    by_recipient: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        by_recipient[one.fact.data.recipient_id].append(one)
    found = Remembered(campaign, moment, clock)
    for facts in by_recipient.values():
        found.add(ORIGIN.partition, facts)
    return found.state().model_dump(exclude={"as_of", "topic_ids", "archived"})


def published(log: Log, campaign: str, chance: random.Random) -> dict[str, Any]:
    """What fold and merge say of the whole log."""
    fold = Folded()
    for batch in in_batches(interleaved(log, chance), chance):
        fold.batch(batch)
    merging, orphans = Merging({}), Orphans({})
    for value in fold.published.values():
        partial = decode_partial(value)
        merging.offer(partial)
        orphans.offer(partial)
    if campaign not in merging.campaigns():
        return remembered([], campaign, NOW, "log")
    merged = merging.merged(campaign)
    return {
        "campaign_id": campaign,
        "counters": merged.counters,
        "series": {day: counters for day, counters in merged.series.items() if counters},
        "orphans": orphans.of(campaign),
        "to": merged.to,
        "version": merged.version,
        "fold_version": merged.fold_version,
    }


@given(SEED, SEED, st.sampled_from(["c1", "c2"]))
def test_at_the_end_of_the_log_it_is_what_is_published(seed: int, order: int, campaign: str) -> None:
    """By either clock the last moment is now: every number, `to` and version as fold and merge publish them."""
    chance = random.Random(order)
    log = log_of(repeated(events(seed), chance))
    wanted = published(log, campaign, chance)
    late = at(10**9)
    assert remembered(seen_of(log), campaign, late, "log") == wanted
    assert remembered(seen_of(log), campaign, late, "provider") == wanted


@given(SEED, SEED)
def test_what_was_appended_later_never_counts(seed: int, cut: int) -> None:
    """By the log's clock a moment is what the log was then: nothing that came later changes it."""
    told = events(seed)
    part = told[: cut % (len(told) + 1)]
    then, now = log_of(part), log_of(told)
    to = tuple(len(topic) - 1 for topic in then.topics)
    for campaign in ("c1", "c2"):
        known = plain.up_to(seen_of(now), to)  # type: ignore[arg-type]  # five, as there are topics
        assert remembered(known, campaign, NOW, "log") == remembered(seen_of(then), campaign, NOW, "log")


@given(SEED, st.floats(-1e5, 6e5))
def test_what_happened_later_counts_for_nothing(seed: int, seconds: float) -> None:
    """By the provider's clock later facts only tell whose a postback is: the others may as well not be there."""
    moment, seen = at(seconds), seen_of(log_of(events(seed)))
    owned = {(one.fact.data.recipient_id, one.fact.data.tracking_id) for one in seen if isinstance(one.fact, Accepted)}

    def matches(one: Seen) -> bool:
        if isinstance(one.fact, Postback):
            return (one.fact.data.recipient_id, one.fact.data.tracking_id) not in owned
        return not isinstance(one.fact, (Requested, Resolved))

    kept = [one for one in seen if plain.happened_at(one.fact) <= micros(moment) or matches(one)]
    for campaign in ("c1", "c2"):
        assert remembered(kept, campaign, moment, "provider") == remembered(seen, campaign, moment, "provider")


@given(SEED, st.floats(-1e5, 6e5))
def test_each_message_of_then_is_in_one_bucket(seed: int, seconds: float) -> None:
    """P6 holds at every moment: what was requested by then, each once."""
    moment, seen = at(seconds), seen_of(log_of(events(seed)))
    for campaign in ("c1", "c2"):
        counters = remembered(seen, campaign, moment, "provider")["counters"]
        by_then = [one.fact for one in seen if isinstance(one.fact, Requested) and one.fact.time <= moment]
        wanted = {fact.data.message_id for fact in by_then if fact.data.campaign_id == campaign}
        assert counters.get("requested", 0) == len(wanted)
        assert sum(count for name, count in counters.items() if name.startswith("b:")) == len(wanted)


def bucket_at(log: Log, seconds: float, clock: Clock = "provider") -> str:
    """Where the one message of the log stands."""
    counters = remembered(seen_of(log), "c1", at(seconds), clock)["counters"]
    (found,) = [str(name[2:]) for name in counters if name.startswith("b:")] or ["nothing"]
    return found


def test_by_the_providers_clock_a_postback_counts_when_it_happened() -> None:
    """A receipt that arrived an hour late counts from the provider's time on."""
    log = Log()
    log.add(story.requested(), 0)
    log.add(story.started(), 1)
    log.add(story.accepted("T1"), 2)
    log.add(story.postback("sent", received=10, provider=5), 10)
    log.add(story.postback("delivered", received=3_600, provider=7), 3_600)
    moments = (-1, 0.5, 1.5, 3, 6, 8)
    wanted = ["nothing", "queued", "attempting", "accepted", "sent", "delivered"]
    assert [bucket_at(log, seconds) for seconds in moments] == wanted


def test_a_postback_that_overtook_its_answer_is_the_messages_then_too() -> None:
    """The provider's clock may run behind ours: its postback is nobody's orphan, for we know by now whose it is."""
    log = Log()
    log.add(story.requested(), 0)
    log.add(story.started(), 1)
    log.add(story.accepted("T1"), 5)
    log.add(story.postback("sent", received=6, provider=3), 6)
    assert bucket_at(log, 4) == "sent"
    assert remembered(seen_of(log), "c1", at(4), "provider")["orphans"] == 0


def test_a_doubt_that_was_settled_later_was_none_in_truth() -> None:
    """An unanswered call whose postback came: by the provider's clock it was sent, by the log's still in doubt."""
    log = Log()
    log.add(story.requested(), 0)
    log.add(story.started(), 1)
    log.add(story.unanswered(), 31)
    log.add(story.postback("delivered", received=600, provider=10), 600)
    assert bucket_at(log, 20) == "delivered"
    then = [one for one in seen_of(log) if one.topic != 3]
    assert remembered(then, "c1", at(60), "log")["counters"]["b:in_doubt"] == 1


TIMES = [
    ("2026-05-01T09:00+02:00", datetime(2026, 5, 1, 7, tzinfo=UTC)),
    ("2026-05-01T09:00 02:00", datetime(2026, 5, 1, 7, tzinfo=UTC)),  # an address with its plus unquoted
    ("2026-05-01T07:00:30.25Z", datetime(2026, 5, 1, 7, 0, 30, 250_000, tzinfo=UTC)),
    ("2026-05-01T07:00", datetime(2026, 5, 1, 7, tzinfo=UTC)),
    ("2026-05-01 07:00", datetime(2026, 5, 1, 7, tzinfo=UTC)),
    (" 2026-05-01 ", datetime(2026, 5, 1, tzinfo=UTC)),
    ("-90s", NOW - timedelta(seconds=90)),
    ("-30m", NOW - timedelta(minutes=30)),
    ("-2h", NOW - timedelta(hours=2)),
    ("-3d", NOW - timedelta(days=3)),
    ("-1w", NOW - timedelta(weeks=1)),
    ("-0s", NOW),
]


@pytest.mark.parametrize(("text", "moment"), TIMES)
def test_the_forms_of_a_moment(text: str, moment: datetime) -> None:
    """ISO 8601 with a zone, without one in UTC, and so long ago."""
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2h", "-2", "-2y", "-999999w", "2026-13-01", "9", "0001-01-01T00:00+05:00", "12:00", "T1 00:00"],
)
def test_what_is_no_moment_is_told(text: str) -> None:
    """Anything else is refused with a reason, not guessed at."""
    assert isinstance(moment_of(text, NOW), Wrong)


@pytest.mark.parametrize("text", ["2026-05-01T12:00:00.000001Z", "2027-01-01"])
def test_the_future_is_refused(text: str) -> None:
    """What has yet to come cannot be folded."""
    wrong = moment_of(text, NOW)
    assert isinstance(wrong, Wrong)
    assert "yet to come" in wrong.reason


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    """Whatever is asked: a moment that is not in the future, or why it is none."""
    moment = moment_of(text, NOW)
    assert isinstance(moment, Wrong) or (moment <= NOW and moment.tzinfo is UTC)
