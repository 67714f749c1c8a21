"""One campaign as `GET /v1/campaigns/{id}` shows it: its numbers, the orders that stand, the receiver's gaps."""

from __future__ import annotations

from collections.abc import Sequence
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
    numbers = numbers_of(state, now, policy)
    orders = control.campaign(campaign_id)
    return {
        "campaign_id": campaign_id,
        "name": orders.name,
        "campaign_ref": orders.ref,
        "as_of": (now if state is None else state.as_of).isoformat(),
        "policy": policy,
        **_standing(campaign_id, numbers, control),
        "counts": numbers.counts(),
        "quality": numbers.quality(),
        "error_codes": numbers.named("e"),
        "throttled_codes": numbers.named("t"),
        "doubt_reasons": numbers.named("q"),
        "details": numbers.named("d"),
        "by_operator": numbers.by_operator(),
        "latency_seconds": numbers.latency(),
        "rates": numbers.rates(),
        "series": numbers.points(),
        "receiver_gaps": _gaps(gaps, orders.registered),
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


def _standing(campaign_id: str, numbers: Numbers, control: Control) -> Json:
    orders, account = control.campaign(campaign_id), control.account
    unsent = numbers.main.get("b:queued", 0) + numbers.main.get("b:attempting", 0)
    requested = numbers.main.get("requested", 0)
    if orders.cancelled is not None:
        return _because("cancelled", orders.cancelled)
    if requested and not unsent:
        return _because("finished" if numbers.young_open() else "closed", None)
    paused = orders.paused or account.paused
    if paused is not None:
        return _because("halted" if paused.automatic else "paused", paused)
    start = numbers.next_start()
    if start is not None and numbers.main.get("b:queued", 0) == requested:
        return {**_because("scheduled", orders.registered), "state_reason": f"starts at {start.isoformat()}"}
    return _because("running", orders.resumed or orders.registered)


def _because(state: str, order: Order | None) -> Json:
    return {
        "state": state,
        "state_reason": None if order is None else (order.reason or None),
        "state_since": None if order is None else order.at.isoformat(),
        "state_by": None if order is None else order.by,
    }
