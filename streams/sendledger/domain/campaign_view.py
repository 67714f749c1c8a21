"""One campaign as `GET /v1/campaigns/{id}` shows it: its numbers, the orders that stand, the receiver's gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sendledger.domain.campaigns import Control, Order
from sendledger.domain.numbers import Numbers
from sendledger.domain.policies import DEFAULT, under
from sendledger.domain.settled import Policy
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.states import CampaignState

Json = dict[str, Any]


def campaign_view(
    campaign_id: str,
    state: CampaignState | None,
    control: Control,
    gaps: Sequence[ReceiverAway],
    now: datetime,
    *,
    policy: Policy = DEFAULT,
) -> Json:
    """All fields of DESIGN §8. `state` None: registered, and nothing of it folded yet (its counts are 0)."""
    return whole_view(campaign_id, state, numbers_of(state, now, policy), control, gaps, policy=policy)


def whole_view(
    campaign_id: str,
    state: CampaignState | None,
    numbers: Numbers,
    control: Control,
    gaps: Sequence[ReceiverAway],
    *,
    policy: Policy,
) -> Json:
    """The same from the numbers as the policy counts them."""
    figures, now = figures_of(numbers), numbers.now
    return {
        **_name(campaign_id, state, control, now),
        "policy": policy,
        **standing(campaign_id, figures, control),
        "counts": figures.counts,
        "quality": numbers.quality(),
        "error_codes": numbers.named("e"),
        "throttled_codes": numbers.named("t"),
        "doubt_reasons": numbers.named("q"),
        "details": numbers.named("d"),
        "by_operator": numbers.by_operator(),
        "latency_seconds": numbers.latency(),
        "rates": figures.rates,
        "series": numbers.points(),
        "receiver_gaps": _gaps(gaps, control.campaign(campaign_id).registered),
        "imbalance": numbers.imbalance(),
        "archived": state is not None and state.archived,
        "version": 0 if state is None else state.version,
    }


def _gaps(gaps: Sequence[ReceiverAway], registered: Order | None) -> list[Json]:
    """Those after which this campaign may lack receipts, in order of time; one that was told twice is one."""
    once = {(gap.from_, gap.receiver): gap for gap in gaps if registered is None or gap.to > registered.at}
    return [
        {"from": gap.from_.isoformat(), "to": gap.to.isoformat(), "receiver": gap.receiver}
        for _, gap in sorted(once.items())
    ]


def numbers_of(state: CampaignState | None, now: datetime, policy: Policy = DEFAULT) -> Numbers:
    """The numbers of a published state, as a policy counts."""
    if state is None:
        return Numbers({}, {}, 0, now)
    series = {day: under(counters, policy) for day, counters in state.series.items()}
    return Numbers(under(state.counters, policy), series, state.orphans, now)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a campaign's numbers those that lists show, and those that its state depends on.

    `unsent`: queued or attempting; `young_open`: may still get a receipt in time; `starts`: when the first message may
    go, if all wait for that; `until`: when these become others though nothing happens (None: never).
    """

    requested: int
    queued: int
    unsent: int
    young_open: int
    starts: datetime | None
    counts: Any
    rates: Any
    until: datetime | None


def figures_of(numbers: Numbers) -> Figures:
    """What a list shows of these numbers: computed once a change, and once an hour while messages grow old."""
    get = numbers.main.get
    queued = get("b:queued", 0)
    return Figures(
        requested=get("requested", 0),
        queued=queued,
        unsent=queued + get("b:attempting", 0),
        young_open=numbers.young_open(),
        starts=numbers.next_start(),
        counts=numbers.counts(),
        rates=numbers.rates(),
        until=numbers.stands_until(),
    )


def campaign_summary(
    campaign_id: str, state: CampaignState | None, figures: Figures, control: Control, now: datetime
) -> Json:
    """A campaign as lists show it: the same names and values as in `campaign_view`, fewer of them."""
    return {
        **_name(campaign_id, state, control, now),
        **standing(campaign_id, figures, control),
        "counts": figures.counts,
        "rates": figures.rates,
    }


def _name(campaign_id: str, state: CampaignState | None, control: Control, now: datetime) -> Json:
    orders = control.campaign(campaign_id)
    return {
        "campaign_id": campaign_id,
        "name": orders.name,
        "campaign_ref": orders.ref,
        "as_of": (now if state is None else state.as_of).isoformat(),
    }


def standing(campaign_id: str, figures: Figures, control: Control) -> Json:
    """`state`, and why, since when and by whom: of orders and numbers the first that holds, from the top."""
    orders, account = control.campaign(campaign_id), control.account
    if orders.cancelled is not None:
        return _because("cancelled", orders.cancelled)
    if figures.requested and not figures.unsent:
        return _because("finished" if figures.young_open else "closed", None)
    paused = orders.paused or account.paused
    if paused is not None:
        return _because("halted" if paused.automatic else "paused", paused)
    if figures.starts is not None and figures.queued == figures.requested:
        return {**_because("scheduled", orders.registered), "state_reason": f"starts at {figures.starts.isoformat()}"}
    return _because("running", orders.resumed or orders.registered)


def _because(state: str, order: Order | None) -> Json:
    return {
        "state": state,
        "state_reason": None if order is None else (order.reason or None),
        "state_since": None if order is None else order.at.isoformat(),
        "state_by": None if order is None else order.by,
    }
