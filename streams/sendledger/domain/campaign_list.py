"""The list of campaigns: which belong to it, in which order, and where a page goes on. Pure.

A cursor is the sort and the place (number, campaign) of the last entry shown; a page begins behind that place. What
sorts by registration or name never moves, so a reader meets each campaign once, whatever is registered meanwhile. What
sorts by a number moves with it: a campaign that does not change is neither skipped nor shown twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["scheduled", "running", "paused", "halted", "cancelled", "finished", "closed"]
Sort = Literal["newest", "oldest", "name", "requested", "pending", "in_doubt", "failed", "delivery"]
Place = tuple[float, str]
"""Where an entry stands in the order of a sort: by number, then by the campaign's id."""


@dataclass(frozen=True, slots=True)
class Card:
    """One campaign in the list. `offset`: of its registration (−1: none); `json`: as it is shown.

    `pending`: queued or attempting; `failed`: rejected or undelivered; `delivery`: delivered of all with receipts.
    """

    campaign_id: str
    offset: int
    state: str
    text: str
    requested: int
    pending: int
    in_doubt: int
    failed: int
    delivery: float | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which campaigns, and in which order. `states`: none = all; `text`: in id, name or CAMPAIGNREF, in any case."""

    states: frozenset[str] = frozenset()
    text: str = ""
    sort: Sort = "newest"

    def chosen(self, cards: Iterable[Card]) -> Iterator[Card]:
        """Those of the cards that belong to the list, in their order."""
        text = self.text.casefold()
        for card in cards:
            if (not self.states or card.state in self.states) and (not text or text in card.text):
                yield card


_UNSETTLED: Final = 2.0  # behind every share

NUMBER: Final[Mapping[Sort, Callable[[Card], float]]] = {
    "newest": lambda card: -card.offset,
    "oldest": lambda card: card.offset,
    "name": lambda _card: 0,
    "requested": lambda card: -card.requested,
    "pending": lambda card: -card.pending,
    "in_doubt": lambda card: -card.in_doubt,
    "failed": lambda card: -card.failed,
    "delivery": lambda card: _UNSETTLED if card.delivery is None else card.delivery,
}
"""Sort → the number that its order goes by, the least first: of counts the greatest, of shares the worst."""


def place(card: Card, sort: Sort) -> Place:
    """Where the card stands."""
    return NUMBER[sort](card), card.campaign_id


def searched(*names: str | None) -> str:
    """The text that a search looks through."""
    return "\n".join(name for name in names if name).casefold()
