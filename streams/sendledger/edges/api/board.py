"""What readers see of the campaigns, kept ready as JSON: each made once a change, however many ask for it.

A card is made again when a record of its campaign was read, when an order to the account concerns all, and when
messages have grown so old that they count elsewhere. What a request finds not yet made it makes itself; `keep` does it
beforehand, a little at a time, so that a flood of records holds up nobody.
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import structlog

from sendledger.domain.campaign_list import NUMBER, Card, Place, Sort, Wanted, place, searched
from sendledger.domain.campaign_view import Figures, campaign_summary, figures_of, numbers_of, whole_view
from sendledger.domain.policies import DEFAULT
from sendledger.domain.settled import Policy
from sendledger.edges.view import View

log = structlog.get_logger()

_SLICE = 20  # cards that `keep` makes before others get their turn
_LOOK = 0.1  # seconds between two looks of `keep`
_WHOLE = 256  # campaigns kept with all their fields


@dataclass(frozen=True, slots=True)
class _Kept:
    figures: Figures
    in_doubt: int
    failed: int
    delivery: float | None


class Board:
    """The campaigns of a view. `clock`: says how old messages are."""

    def __init__(self, view: View, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._view, self._clock = view, clock
        self._cards: dict[str, Card] = {}
        self._kept: dict[str, _Kept] = {}
        self._orders: dict[Sort, list[Place]] = {sort: [] for sort in NUMBER}
        self._waiting: dict[str, bool] = {}  # what has to be made again, and whether its numbers too
        self._turns: list[tuple[datetime, str]] = []  # a heap: when numbers change though nothing happens
        self._due: dict[str, datetime] = {}  # the last of them that was asked for
        self._seen = self._account = -1
        self._whole: dict[tuple[str, Policy], tuple[tuple[int, ...], datetime | None, bytes]] = {}

    async def keep(self) -> None:
        """Make what changed, a little at a time, until cancelled."""
        while True:
            await self.made()
            await asyncio.sleep(_LOOK)

    async def made(self) -> None:
        """Return once everything that was read by now is made."""
        for _ in iter(lambda: self._make(_SLICE), False):
            await asyncio.sleep(0)

    def cards(self) -> dict[str, Card]:
        """All campaigns, as they are now."""
        while self._make(_SLICE):
            pass
        return self._cards

    def page(self, wanted: Wanted, after: Place | None, limit: int) -> tuple[list[Card], Place | None]:
        """Up to `limit` cards behind a place, and the place behind which the next page begins (None: no more)."""
        cards, order = self.cards(), self._orders[wanted.sort]
        start = 0 if after is None else bisect_right(order, after)
        behind = (cards[order[number][1]] for number in range(start, len(order)))
        found = list(islice(wanted.chosen(behind), limit + 1))
        return found[:limit], place(found[limit - 1], wanted.sort) if len(found) > limit else None

    def card(self, campaign_id: str) -> Card | None:
        """One campaign as lists show it; None for one that no list has."""
        return self.cards().get(campaign_id)

    def summary(self, campaign_id: str) -> dict[str, Any]:
        """The same as values, for any campaign."""
        now = self._clock()
        state = self._view.states.get(campaign_id)
        return campaign_summary(
            campaign_id, state, figures_of(numbers_of(state, now)), self._view.campaigns.control, now
        )

    def whole(self, campaign_id: str, policy: Policy = DEFAULT) -> bytes:
        """A campaign with all its fields, as JSON."""
        view, now, key = self._view, self._clock(), (campaign_id, policy)
        stamp = (view.changed.get(campaign_id, 0), view.account_changed, view.gaps_changed)
        kept = self._whole.get(key)
        if kept is not None and kept[0] == stamp and (kept[1] is None or now < kept[1]):
            return kept[2]
        state, control = view.states.get(campaign_id), view.campaigns.control
        numbers = numbers_of(state, now, policy)
        document = orjson.dumps(whole_view(campaign_id, state, numbers, control, view.gaps, policy=policy))
        self._whole.pop(key, None)
        self._whole[key] = (stamp, numbers.stands_until(), document)
        if len(self._whole) > _WHOLE:
            del self._whole[next(iter(self._whole))]
        return document

    def _make(self, most: int) -> bool:
        """Make up to so many cards; whether there is more to make."""
        now = self._clock()
        self._look(now)
        for _ in range(min(most, len(self._waiting))):
            campaign_id, numbers = self._waiting.popitem()
            try:
                self._put(campaign_id, now, numbers=numbers)
            except Exception as error:  # noqa: BLE001 — numbers that nobody can show must not hide all others
                log.error("campaign cannot be shown", campaign=campaign_id, error=type(error).__name__)  # noqa: TRY400
        return bool(self._waiting)

    def _look(self, now: datetime) -> None:
        view, seen = self._view, self._seen
        self._seen = view.changes
        for campaign_id, change in reversed(view.changed.items()):
            if change <= seen:
                break
            self._waiting[campaign_id] = True
        if self._account != view.account_changed:
            self._account = view.account_changed
            self._waiting = {**dict.fromkeys(self._cards, False), **self._waiting}
        while self._turns and self._turns[0][0] <= now:
            self._waiting[heapq.heappop(self._turns)[1]] = True

    def _put(self, campaign_id: str, now: datetime, *, numbers: bool) -> None:
        view, control = self._view, self._view.campaigns.control
        orders, state = control.campaign(campaign_id), view.states.get(campaign_id)
        if orders.registered is None and (state is None or campaign_id.startswith("_")):
            self._drop(campaign_id)  # reserved ones are in no list
            return
        kept = self._kept.get(campaign_id)
        if kept is None or numbers:
            kept = self._kept[campaign_id] = _kept(figures_of(numbers_of(state, now)))
            self._turn(campaign_id, kept.figures.until)
        shown = campaign_summary(campaign_id, state, kept.figures, control, now)
        card = Card(
            campaign_id=campaign_id,
            offset=-1 if orders.registered is None else orders.registered.offset,
            state=shown["state"],
            text=searched(campaign_id, orders.name, orders.ref),
            requested=kept.figures.requested,
            pending=kept.figures.unsent,
            in_doubt=kept.in_doubt,
            failed=kept.failed,
            delivery=kept.delivery,
            json=orjson.dumps(shown),
        )
        self._place(self._cards.get(campaign_id), card)
        self._cards[campaign_id] = card

    def _turn(self, campaign_id: str, until: datetime | None) -> None:
        if until is not None and self._due.get(campaign_id) != until:  # else the heap would grow with each change
            self._due[campaign_id] = until
            heapq.heappush(self._turns, (until, campaign_id))

    def _drop(self, campaign_id: str) -> None:
        self._kept.pop(campaign_id, None)
        self._place(self._cards.pop(campaign_id, None), None)

    def _place(self, before: Card | None, after: Card | None) -> None:
        """Take a card from its places in the orders, put it into its new ones; most changes move it in few of them."""
        for sort, order in self._orders.items():
            old = None if before is None else place(before, sort)
            new = None if after is None else place(after, sort)
            if old == new:
                continue
            if old is not None:
                del order[bisect_left(order, old)]
            if new is not None:
                insort(order, new)


def _kept(figures: Figures) -> _Kept:
    """Counts and rates as JSON already: they outlive many changes of what stands beside them."""
    counts, settled = figures.counts, figures.rates["delivery_resolved"]["value"]
    rates = orjson.Fragment(orjson.dumps(figures.rates))
    ready = replace(figures, counts=orjson.Fragment(orjson.dumps(counts)), rates=rates)
    return _Kept(ready, counts["in_doubt"], counts["rejected"] + counts["undelivered"], settled)
