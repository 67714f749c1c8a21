"""The queues of one partition, a lane a campaign, so that a parked campaign holds up nobody (DESIGN §6, rule 1).

What waits stands in the store; a lane keeps only a short window of it in memory. `taken` are the requests that left
the store's queue in our hands (in a window, held, or being claimed) though their key still stands there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sendledger.edges.sender_store import SenderStore, Waiting

WINDOW = 256
_WIDEST = 4 * WINDOW


@dataclass(slots=True)
class _Lane:
    """`position`: offset up to which the store's queue has been read; `dry`: there was nothing beyond."""

    window: deque[Waiting] = field(default_factory=deque)
    position: int = -1
    dry: bool = False


class Lanes:
    """All lanes of a partition, and who waits for a recipient's call to end."""

    def __init__(self, store: SenderStore) -> None:
        self._store = store
        self._lanes = {campaign: _Lane() for campaign in store.campaigns()}
        self._taken: set[int] = set()
        self._held: dict[str, dict[str, deque[Waiting]]] = {}

    def campaigns(self) -> list[str]:
        """Campaigns that have, or may have, something in their lane."""
        return [name for name, lane in self._lanes.items() if lane.window or not lane.dry]

    def arrived(self, campaign_id: str, waiting: Waiting) -> None:
        """A message stands in its campaign's queue in the store, for the first time or again."""
        lane = self._lanes.setdefault(campaign_id, _Lane())
        self._taken.discard(waiting.offset)
        behind = waiting.offset <= lane.position
        if (behind or lane.dry) and len(lane.window) < _WIDEST:
            lane.position = max(lane.position, waiting.offset)
            self._take(lane, waiting)
        elif behind:
            lane.position, lane.dry = waiting.offset - 1, False  # read that part of the queue once more
        else:
            lane.dry = False

    def left(self, offset: int) -> None:
        """A message left the store's queue."""
        self._taken.discard(offset)

    def next(self, campaign_id: str, limit: int) -> list[Waiting]:
        """Up to `limit` messages of a campaign, in the order of their requests; the caller has them now."""
        lane = self._lanes[campaign_id]
        while len(lane.window) < limit and not lane.dry:
            self._refill(lane, campaign_id)
        return [lane.window.popleft() for _ in range(min(limit, len(lane.window)))]

    def put_back(self, campaign_id: str, waiting: list[Waiting]) -> None:
        """What the caller could not use now goes back to the front, in its order."""
        self._lanes[campaign_id].window.extendleft(reversed(waiting))

    def hold(self, recipient_id: str, campaign_id: str, waiting: Waiting) -> None:
        """Keep a message until a call to its recipient has ended."""
        self._held.setdefault(recipient_id, {}).setdefault(campaign_id, deque()).append(waiting)

    def release(self, recipient_id: str) -> None:
        """The recipient is free: one message of each campaign may try (one of a parked campaign blocks no other)."""
        held = self._held.pop(recipient_id, None)
        for campaign_id, waiting in (held or {}).items():
            self.put_back(campaign_id, [waiting.popleft()])
            if waiting:
                self._held.setdefault(recipient_id, {})[campaign_id] = waiting

    def _take(self, lane: _Lane, waiting: Waiting) -> None:
        self._taken.add(waiting.offset)
        lane.window.append(waiting)

    def _refill(self, lane: _Lane, campaign_id: str) -> None:
        rows = self._store.lane(campaign_id, lane.position, WINDOW)
        for waiting in rows:
            if waiting.offset not in self._taken:
                self._take(lane, waiting)
        if rows:
            lane.position = rows[-1].offset
        lane.dry = len(rows) < WINDOW
