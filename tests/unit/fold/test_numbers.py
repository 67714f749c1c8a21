"""Numbers as people read them: each rate with its denominator, each percentile from its histogram (DESIGN §8)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.campaign_view import campaign_view
from sendledger.domain.campaigns import Control
from sendledger.domain.contribution import bin_seconds, day_at, latency_bin
from sendledger.domain.facts import micros
from sendledger.domain.numbers import Numbers, percentiles
from sendledger_schemas import campaigns, envelope
from sendledger_schemas.campaigns import CampaignEvent
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.states import FOLD_VERSION, CampaignState
from tests.support.story import Folded, Log, accepted, at, not_sent, postback, rejected, requested, started, unanswered

NOW = at(100)


def five_messages() -> Folded:
    """One delivered, one failed, one sent, one rejected, one in doubt, one waiting."""
    log = Log()
    for number in range(1, 7):
        log.add(requested(f"m{number}", f"r{number}"), 0)
    for number in range(1, 6):
        log.add(started(f"m{number}", f"r{number}"), 1)
    for number in (1, 2, 3):
        log.add(accepted(f"T{number}", f"m{number}", f"r{number}"), 2)
        log.add(postback("sent", f"T{number}", f"r{number}", received=4), 4, f"s{number}")
    log.add(postback("delivered", "T1", "r1", received=10), 10, "d1")
    log.add(postback("delivered", "T1", "r1", received=11, provider=9), 11, "d1")
    log.add(postback("undelivered", "T2", "r2", received=12, detail="expired"), 12, "u2")
    log.add(rejected("m4", "r4"), 2)
    log.add(unanswered("m5", "r5"), 31)
    result = Folded()
    result.batch(log.in_order())
    return result


def state_of(result: Folded, campaign: str = "c1") -> CampaignState:
    """What the merge makes of one partition's records."""
    records = [msgspec.json.decode(value) for value in result.published.values()]
    mine = [record for record in records if record["campaign_id"] == campaign]
    return CampaignState(
        campaign_id=campaign,
        as_of=NOW,
        counters=dict(sum((Counter(record["counters"]) for record in mine if record["day"] is None), Counter())),
        series={record["day"]: record["counters"] for record in mine if record["day"] is not None},
        orphans=0,
        to={},
        version=1,
        fold_version=FOLD_VERSION,
    )


def control(*events: CampaignEvent) -> Control:
    """The orders that stand after these events."""
    known = Control()
    for offset, data in enumerate(events):
        known.evolve(offset, envelope.event(data, id=str(offset), source="t", time=at(offset)))  # type: ignore[arg-type]
    return known


def view(state: CampaignState | None, *events: CampaignEvent, now: datetime = NOW) -> dict[str, object]:
    """The campaign as the API shows it."""
    return campaign_view("c1", state, control(*events), [], now)


REGISTERED = campaigns.CampaignRegistered(campaign_id="c1", by="cli", name="Spring")


def test_counts_and_rates_of_a_small_campaign() -> None:
    """Every number of a campaign of six messages, one in each important bucket."""
    shown = view(state_of(five_messages()), REGISTERED)
    counts = {"requested": 6, "delivered": 1, "undelivered": 1, "sent": 1, "rejected": 1, "in_doubt": 1, "queued": 1}
    assert {name: n for name, n in shown["counts"].items() if n} == counts  # type: ignore[attr-defined]
    assert shown["imbalance"] == 0
    rates = {name: (rate["numerator"], rate["denominator"]) for name, rate in shown["rates"].items()}  # type: ignore[attr-defined]
    assert rates == {
        "acceptance": (3, 4),
        "delivery_confirmed": (1, 3),
        "delivery_resolved": (1, 2),
        "delivery_low": (1, 3),
        "delivery_high": (2, 3),
        "receipt_coverage": (2, 3),
        "matured_24h": (0, 0),
    }
    assert shown["error_codes"] == {"E110": 1}
    assert shown["details"] == {"expired": 1}
    assert shown["doubt_reasons"] == {"timeout": 1}
    assert shown["quality"] == {"duplicates": 1, "conflicted": 0, "late": 0, "orphans": 0}
    assert shown["state"] == "running"
    assert shown["name"] == "Spring"


def test_latency_stages() -> None:
    """Each stage is measured between the facts that DESIGN §8 names, within the histogram's 19 % bins."""
    shown = view(state_of(five_messages()), REGISTERED)["latency_seconds"]
    expected = {"queue_wait": (1, 5), "api": (1, 4), "carrier": (2, 3), "handset": (6, 2), "end_to_end": (10, 2)}
    for stage, (seconds, count) in expected.items():
        assert shown[stage]["count"] == count  # type: ignore[index]
        assert shown[stage]["p50"] == pytest.approx(seconds, rel=0.19), stage  # type: ignore[index]


def test_unknown_and_matured_go_by_the_age_of_sending() -> None:
    """After the deadline an open message is `unknown` without any new event; after 24 hours rates have matured."""
    state = state_of(five_messages())
    assert view(state, REGISTERED)["counts"]["unknown"] == 0  # type: ignore[index]
    later = view(state, REGISTERED, now=NOW + timedelta(hours=74))
    assert later["counts"]["unknown"] == 1  # type: ignore[index]
    assert later["rates"]["matured_24h"]["denominator"] == 3  # type: ignore[index]


def test_series_hold_every_end() -> None:
    """The series adds up to the messages that were accepted, delivered and failed."""
    points = Numbers({}, state_of(five_messages()).series, 0, NOW).points()
    totals = {what: sum(point[what] for point in points) for what in ("accepted", "delivered", "failed")}
    assert totals == {"accepted": 3, "delivered": 1, "failed": 2}
    assert all(point["seconds"] == 60 for point in points)


def test_states_of_a_campaign() -> None:
    """Paused, halted, cancelled and running come from the orders; finished and closed from the numbers."""
    open_state = state_of(five_messages())
    pause = campaigns.CampaignPaused(campaign_id="c1", by="ann", reason="typo")
    halt = campaigns.CampaignPaused(campaign_id="*", by="sender", reason="E713", automatic=True)
    resume = campaigns.CampaignResumed(campaign_id="c1", by="ann")
    cancel = campaigns.CampaignCancelled(campaign_id="c1", by="ann")
    assert view(open_state, REGISTERED, pause)["state"] == "paused"
    assert view(open_state, REGISTERED, pause)["state_reason"] == "typo"
    assert view(open_state, REGISTERED, halt)["state"] == "halted"
    assert view(open_state, REGISTERED, pause, resume)["state"] == "running"
    assert view(open_state, REGISTERED, cancel, resume)["state"] == "cancelled"
    assert view(None, REGISTERED)["counts"]["requested"] == 0  # type: ignore[index]


@pytest.mark.parametrize(("hours", "state"), [(1, "finished"), (80, "closed")])
def test_finished_and_closed(hours: int, state: str) -> None:
    """Nothing left to send is finished; once no receipt can come in time any more it is closed."""
    log = Log()
    log.add(requested(), 0)
    log.add(started(), 1)
    log.add(accepted("T1"), 2)
    result = Folded()
    result.batch(log.in_order())
    assert view(state_of(result), REGISTERED, now=at(hours * 3600))["state"] == state


def test_a_campaign_for_later_is_scheduled() -> None:
    """All queued and none due: scheduled, with the time in its reason; then it runs."""
    log = Log()
    log.add(requested(not_before=at(3600)), 0)
    log.add(started(), 1)
    log.add(not_sent(), 1)
    result = Folded()
    result.batch(log.in_order())
    assert view(state_of(result), REGISTERED)["state"] == "scheduled"
    assert view(state_of(result), REGISTERED, now=at(7200))["state"] == "running"


def away(since: float, until: float, receiver: str = "r") -> ReceiverAway:
    """An absence."""
    return ReceiverAway.model_validate({"from": at(since), "to": at(until), "receiver": receiver})


def test_the_receivers_gaps_are_shown() -> None:
    """Times when nobody listened stand beside the campaign's rates, in order of time, also if one was told twice."""
    told = [away(100, 200), away(20, 60), away(20, 60), away(20, 90, "other")]
    shown = campaign_view("c1", None, control(REGISTERED), told, NOW)["receiver_gaps"]
    assert [(entry["from"], entry["receiver"]) for entry in shown] == [
        (at(20).isoformat(), "other"),
        (at(20).isoformat(), "r"),
        (at(100).isoformat(), "r"),
    ]


def test_gaps_before_a_campaign_are_not_its_own() -> None:
    """What ended before it was registered took no receipt of it."""
    assert campaign_view("c1", None, control(REGISTERED), [away(-100, -1)], NOW)["receiver_gaps"] == []
    assert len(campaign_view("c1", None, control(REGISTERED), [away(-100, 1)], NOW)["receiver_gaps"]) == 1


@given(st.integers(0, 10**12))
def test_a_bin_holds_its_duration_within_a_fifth(duration: int) -> None:
    """The upper end of a bin is at most 19 % above what it holds, down to 1 ms."""
    seconds = duration / 1e6
    top = bin_seconds(latency_bin(duration))
    assert top * (1 + 1e-9) >= seconds
    assert seconds <= 0.001 or top <= seconds * 1.19


@given(st.lists(st.integers(0, 60), min_size=1, max_size=200))
def test_percentiles_are_the_sorted_lists(bins: list[int]) -> None:
    """A percentile of the histogram is the bin of that element of the sorted list."""
    found = percentiles({str(number): bins.count(number) for number in set(bins)})
    for share in (50, 95, 99):
        rank = -(-len(bins) * share // 100)
        assert found[f"p{share}"] == round(bin_seconds(sorted(bins)[rank - 1]), 6)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)))  # noqa: DTZ001 — Hypothesis wants naive bounds
def test_the_day_of_a_moment(moment: datetime) -> None:
    """The core's own calendar is the calendar."""
    moment = moment.replace(tzinfo=UTC)
    assert day_at(micros(moment)) == moment.date().isoformat()
