"""Control: what was ordered on `sms.campaigns.v1`, folded in log order. Orders → Control, evolve → what may be sent.

Rules (DESIGN §6): a resume lifts every pause before it · an automatic pause names the last resume that it had seen and
is void behind a later one · a cancel absorbs everything after it; on `*` it cancels the campaigns known by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, assert_never

from sendledger_schemas.campaigns import (
    ACCOUNT,
    BatchRegistered,
    CampaignCancelled,
    CampaignEvent,
    CampaignPaused,
    CampaignRegistered,
    CampaignResumed,
    RateSet,
    RepublishAsked,
    SystemRegistered,
)
from sendledger_schemas.envelope import Event

Standing = Literal["open", "paused", "cancelled"]

ControlEvent = (
    CampaignRegistered
    | BatchRegistered
    | CampaignPaused
    | CampaignResumed
    | CampaignCancelled
    | RateSet
    | RepublishAsked
    | SystemRegistered
)


@dataclass(frozen=True, slots=True)
class Order:
    """Who ordered what when; `offset` on the campaigns log. `automatic`: the sender itself, for a provider's code."""

    by: str
    reason: str
    at: datetime
    offset: int
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class CampaignOrders:
    """The orders that stand for one campaign, or for the account (`campaign_id` = `*`)."""

    campaign_id: str
    registered: Order | None = None
    name: str | None = None
    ref: str | None = None
    paused: Order | None = None
    resumed: Order | None = None
    cancelled: Order | None = None

    @property
    def last_resume(self) -> int:
        """Offset of the last resume, −1 if there is none: what an automatic pause has to name."""
        return -1 if self.resumed is None else self.resumed.offset


@dataclass(slots=True)
class Control:
    """The fold of the whole campaigns log up to `next_offset`. One partition, so an offset is a place in time."""

    campaigns: dict[str, CampaignOrders] = field(default_factory=dict)
    rate: float | None = None
    system: SystemRegistered | None = None
    next_offset: int = 0

    def evolve(self, offset: int, event: Event) -> None:
        """One step; a record below `next_offset` was seen before and changes nothing. Other events are not ours."""
        if offset < self.next_offset:
            return
        self.next_offset = offset + 1
        if isinstance(event.data, CampaignEvent):
            self._ordered(offset, event.time, event.data)

    def skip(self, offset: int) -> None:
        """A record that nobody could read (it went to the dead letters)."""
        self.next_offset = max(self.next_offset, offset + 1)

    def campaign(self, campaign_id: str) -> CampaignOrders:
        """The orders of a campaign; empty ones for a campaign that nobody registered."""
        return self.campaigns.get(campaign_id) or CampaignOrders(campaign_id)

    @property
    def account(self) -> CampaignOrders:
        """The orders of the account."""
        return self.campaign(ACCOUNT)

    def standing(self, campaign_id: str) -> Standing:
        """Whether messages of a campaign may go out: cancelled beats paused, the account's pause is everybody's."""
        orders = self.campaigns.get(campaign_id)
        if orders is not None and orders.cancelled is not None:
            return "cancelled"
        account = self.campaigns.get(ACCOUNT)
        paused = (orders is not None and orders.paused) or (account is not None and account.paused)
        return "paused" if paused else "open"

    def _ordered(self, offset: int, at: datetime, data: ControlEvent) -> None:
        match data:
            case RateSet(per_second=per_second):
                self.rate = per_second
            case SystemRegistered():
                self.system = self.system or data
            case CampaignCancelled(campaign_id=campaign_id) if campaign_id == ACCOUNT:
                for known in [name for name in self.campaigns if name != ACCOUNT]:
                    self._stand(known, offset, at, data)
            case CampaignRegistered() | CampaignPaused() | CampaignResumed() | CampaignCancelled():
                self._stand(data.campaign_id, offset, at, data)
            case BatchRegistered():
                pass  # arbitrated by those who take requests, by the same log
            case RepublishAsked():
                pass  # no order about sending: fold and merge answer it
            case _:
                assert_never(data)

    def _stand(
        self,
        campaign_id: str,
        offset: int,
        at: datetime,
        data: CampaignRegistered | CampaignPaused | CampaignResumed | CampaignCancelled,
    ) -> None:
        orders = self.campaign(campaign_id)
        if orders.cancelled is None:
            self.campaigns[campaign_id] = _after(orders, offset, at, data)


def _after(
    orders: CampaignOrders,
    offset: int,
    at: datetime,
    data: CampaignRegistered | CampaignPaused | CampaignResumed | CampaignCancelled,
) -> CampaignOrders:
    match data:
        case CampaignRegistered(by=by, name=name, campaign_ref=ref):
            if orders.registered is not None:
                return orders
            return replace(orders, registered=Order(by, "", at, offset), name=name, ref=ref)
        case CampaignPaused(by=by, reason=reason, automatic=automatic, last_resume_seen=seen):
            if automatic and orders.last_resume > seen:
                return orders  # somebody resumed in the meantime, knowing more
            return replace(orders, paused=orders.paused or Order(by, reason, at, offset, automatic))
        case CampaignResumed(by=by, reason=reason):
            return replace(orders, paused=None, resumed=Order(by, reason, at, offset))
        case CampaignCancelled(by=by, reason=reason):
            return replace(orders, paused=None, cancelled=Order(by, reason, at, offset))
        case _:
            assert_never(data)
