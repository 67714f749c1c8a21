"""The fold of the orders: what stands after pauses, resumes, cancels and rates."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.campaigns import Control, ControlEvent
from sendledger_schemas.campaigns import (
    BatchRegistered,
    CampaignCancelled,
    CampaignPaused,
    CampaignRegistered,
    CampaignResumed,
    RateSet,
    SystemRegistered,
)
from sendledger_schemas.envelope import event

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BY = {"by": "op"}


def after(*orders: ControlEvent) -> Control:
    """The control state after these orders, in log order."""
    control = Control()
    for offset, data in enumerate(orders):
        control.evolve(offset, event(data, id=str(offset), source="tests", time=NOW))
    return control


def paused(campaign: str = "c", *, automatic: bool = False, seen: int = -1) -> CampaignPaused:
    """A pause, by a person or automatic."""
    return CampaignPaused(campaign_id=campaign, reason="why", automatic=automatic, last_resume_seen=seen, **BY)


def resumed(campaign: str = "c") -> CampaignResumed:
    """A resume."""
    return CampaignResumed(campaign_id=campaign, **BY)


def cancelled(campaign: str = "c") -> CampaignCancelled:
    """A cancel."""
    return CampaignCancelled(campaign_id=campaign, **BY)


def registered(campaign: str = "c", ref: str | None = "77676") -> CampaignRegistered:
    """A registration."""
    return CampaignRegistered(campaign_id=campaign, name="Spring", campaign_ref=ref, **BY)


def test_a_campaign_that_nobody_knows_may_send() -> None:
    """Requests may be read before their campaign's registration: no order is no objection."""
    assert after().standing("c") == "open"


def test_a_resume_lifts_every_pause_before_it() -> None:
    """Two pauses need one resume, and a pause behind it holds again."""
    assert after(paused(), paused(), resumed()).standing("c") == "open"
    assert after(paused(), resumed(), paused()).standing("c") == "paused"


def test_the_first_pause_says_who_when_and_why() -> None:
    """A second pause does not change since when the campaign has been paused."""
    first = after(paused(), paused()).campaign("c").paused
    assert first is not None
    assert (first.offset, first.by, first.reason, first.automatic) == (0, "op", "why", False)


def test_an_automatic_pause_is_void_behind_a_resume_that_it_had_not_seen() -> None:
    """Who resumed knew more than a call that had been on its way before."""
    assert after(paused(), resumed(), paused(automatic=True, seen=-1)).standing("c") == "open"
    assert after(paused(), resumed(), paused(automatic=True, seen=1)).standing("c") == "paused"


def test_a_cancel_absorbs_everything_after_it() -> None:
    """Neither resume nor pause nor another cancel changes a cancelled campaign."""
    control = after(registered(), cancelled(), resumed(), paused())
    assert control.standing("c") == "cancelled"
    assert control.campaign("c").paused is None
    stands = control.campaign("c").cancelled
    assert stands is not None
    assert stands.offset == 1


def test_the_accounts_pause_is_everybodys() -> None:
    """`*` pauses campaigns registered before and after it, and its resume frees them, but not those paused by name."""
    assert after(registered(), paused("*")).standing("c") == "paused"
    assert after(paused("*")).standing("later") == "paused"
    control = after(paused("*"), paused("c"), resumed("*"))
    assert (control.standing("c"), control.standing("d")) == ("paused", "open")


def test_the_accounts_cancel_takes_the_campaigns_known_by_then() -> None:
    """A campaign that is registered afterwards is not cancelled."""
    control = after(registered("a"), registered("b"), cancelled("*"), registered("c"))
    assert [control.standing(name) for name in "abc"] == ["cancelled", "cancelled", "open"]


def test_the_last_rate_and_the_first_system_record_stand() -> None:
    """The rate may change, the pepper and the partition count may not."""
    system = [SystemRegistered(campaign_id="_system", pepper_fingerprint=f, partitions=8, **BY) for f in ("one", "two")]
    rates = [RateSet(campaign_id="*", per_second=rate, **BY) for rate in (10.0, 20.0)]
    control = after(system[0], rates[0], system[1], rates[1])
    assert control.rate == 20.0
    assert control.system == system[0]


def test_the_first_registration_names_the_campaign() -> None:
    """A second registration of the same campaign changes neither name nor reference."""
    control = after(registered(), registered(ref="other"))
    assert (control.campaign("c").name, control.campaign("c").ref) == ("Spring", "77676")


def test_records_seen_again_and_batches_change_nothing() -> None:
    """The log may be read again from any point before the cursor."""
    control = after(resumed(), paused())
    control.evolve(0, event(resumed(), id="0", source="tests", time=NOW))
    batch = BatchRegistered(campaign_id="c", batch="b", body_sha256="x", rows=3, **BY)
    control.evolve(2, event(batch, id="2", source="tests", time=NOW))
    control.skip(3)
    assert (control.standing("c"), control.next_offset) == ("paused", 4)


ORDERS = st.sampled_from(
    [registered(), paused(), paused("*"), resumed(), resumed("*"), cancelled(), paused(automatic=True)]
)


@given(st.lists(ORDERS, max_size=20), st.data())
def test_reading_again_from_anywhere_gives_the_same_state(orders: list[ControlEvent], data: st.DataObject) -> None:
    """Any repetition of what was read before leaves the state as it is."""
    control = after(*orders)
    for offset in data.draw(st.lists(st.integers(0, max(0, len(orders) - 1)), max_size=10)) if orders else []:
        control.evolve(offset, event(orders[offset], id="again", source="tests", time=NOW))
    assert control == after(*orders)
