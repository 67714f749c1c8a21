"""What may be claimed next in one partition, and what must be withheld (DESIGN §6, rule 1).

A recipient is busy while one of its calls is `flying` (an open attempt, whoever's it is) or `reserved` (picked here,
its claim not read back yet).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sendledger.agents.sender_lanes import Lanes
from sendledger.domain.campaigns import Standing
from sendledger.domain.message import Message
from sendledger.domain.sending import (
    SECOND,
    Circumstances,
    Due,
    InFlight,
    Place,
    Queued,
    Wait,
    Withhold,
    decide,
    is_resend,
)
from sendledger.edges.sender_store import FIRST, FOREVER, SenderStore, Timed, Waiting
from sendledger_schemas.attempts import WithheldReason

WITHHELD_AT_ONCE = 256
PASSED_OVER_AT_ONCE = 512
"""Messages of one campaign that a look passes over, their recipients being busy: calls in flight wait for a look."""
CLEARED_FOR = 15 * SECOND
"""How long a look at the evidence counts for a resend that waits for its turn."""

_CHUNK = 32


class Judge(Protocol):
    """Who knows the orders of people."""

    def standing(self, campaign_id: str) -> Standing:
        """Whether a campaign may send."""

    def is_suppressed(self, recipient_id: str) -> bool:
        """Whether a recipient must get nothing."""

    def cancellations(self) -> int:
        """How many there have been."""


class Pick(NamedTuple):
    """A message to claim."""

    message: Message
    attempt: int


@dataclass(slots=True)
class Picked:
    """What one look at a partition found: to claim, to withhold, and resends whose evidence must be looked at first.

    `cut_short`: it passed over so many that it has to be taken up again at once.
    """

    claims: list[Pick] = field(default_factory=list)
    withheld: list[tuple[Message, WithheldReason]] = field(default_factory=list)
    resends: list[tuple[Message, Waiting]] = field(default_factory=list)
    cut_short: bool = False


class Queue:
    """`cut`: requests below this offset are never sent (retention). `default_expiry`: microseconds."""

    def __init__(self, store: SenderStore, *, cut: int, default_expiry: int) -> None:
        self._store = store
        self._cut = cut
        self._expiry = default_expiry
        self._lanes = Lanes(store)
        self._reserved: dict[str, str] = {}
        self._flying: dict[str, int] = {}
        self._withholding: set[int] = set()
        self._cleared: dict[str, tuple[str, int]] = {}  # message → campaign, when
        self._next_due = store.next_due()
        self._cancellations = 0
        self._came_to_wait: set[str] = set()  # campaigns
        self._looked_to: Timed | None = None
        self._look_again = False
        self._swept_at = 0
        self._now = 0
        self._turn = 0

    # ------------------------------------------------------------------------------------------ what the fold tells
    def moved(self, message: Message, was: Place, now: Place) -> None:
        """A message left one place for another; the store knows it already."""
        if isinstance(was, Queued):
            self._lanes.left(was.offset)
            self._withholding.discard(was.offset)
            self._cleared.pop(message.message_id, None)
        if isinstance(now, Queued):
            if now.due:
                self._came_to_wait.add(message.campaign_id)
                self._next_due = now.due if self._next_due is None else min(self._next_due, now.due)
            else:
                self._lanes.arrived(message.campaign_id, Waiting(now.offset, message.message_id))

    def took_off(self, recipient_id: str) -> None:
        """An attempt for this recipient is open."""
        self._flying[recipient_id] = self._flying.get(recipient_id, 0) + 1

    def landed(self, recipient_id: str) -> None:
        """An attempt for this recipient has ended."""
        left = self._flying.pop(recipient_id, 0) - 1
        if left > 0:
            self._flying[recipient_id] = left
        else:
            self._free(recipient_id)

    def unreserve(self, message: Message) -> None:
        """A pick came to its end, with a claim or without one."""
        if self._reserved.get(message.recipient_id) == message.message_id:
            del self._reserved[message.recipient_id]
            self._free(message.recipient_id)

    def _busy(self, recipient_id: str) -> bool:
        return recipient_id in self._flying or recipient_id in self._reserved

    def _free(self, recipient_id: str) -> None:
        if not self._busy(recipient_id):
            self._lanes.release(recipient_id)

    def cleared(self, message: Message, waiting: Waiting) -> None:
        """No evidence speaks against an operator's resend, until the look at it is old or the campaign is paused."""
        self._cleared[message.message_id] = message.campaign_id, self._now
        self._lanes.put_back(message.campaign_id, [waiting])

    # ------------------------------------------------------------------------------------------ what may go
    def pick(self, limit: int, judge: Judge, now: int) -> Picked:
        """Up to `limit` messages to claim, and some to withhold; the recipients of the claims are busy from here."""
        picked = Picked()
        # A clock set back must not turn what was promoted into something that has to wait.
        now = self._now = max(self._now, now)
        self._promote(now)
        self._sweep(picked, judge, now)
        self._look_for_cancelled(picked, judge, now)
        standings = {name: judge.standing(name) for name in self._lanes.campaigns()}
        for campaign_id in [name for name, standing in standings.items() if standing == "cancelled"]:
            self._withhold_all(campaign_id, picked, judge, now)
        going = [name for name, standing in standings.items() if standing == "open"]
        # Behind a pause, or a long wait for its turn, is looked at anew what nothing spoke against before it.
        self._cleared = {
            name: (campaign, at)
            for name, (campaign, at) in self._cleared.items()
            if campaign in going and now - at < CLEARED_FOR
        }
        self._turn += 1
        start = self._turn % max(1, len(going))
        for share in (max(1, limit // max(1, len(going))), limit):  # first a share for each, then who has more
            for campaign_id in going[start:] + going[:start]:
                wanted = min(limit, len(picked.claims) + share)
                self._pick_from(campaign_id, wanted, picked, judge, now)
        return picked

    def next_due(self) -> int | None:
        """When the first message that has to wait may go."""
        return self._next_due

    def _pick_from(self, campaign_id: str, limit: int, picked: Picked, judge: Judge, now: int) -> None:
        passed_over, before = 0, len(picked.claims)
        while (wanted := limit - len(picked.claims)) > 0 and len(picked.withheld) < WITHHELD_AT_ONCE:
            judged = self._judge_next(campaign_id, min(wanted, _CHUNK), picked, judge, now)
            if not judged:
                return
            passed_over += judged
            if passed_over - (len(picked.claims) - before) >= PASSED_OVER_AT_ONCE:
                picked.cut_short = True
                return

    def _withhold_all(self, campaign_id: str, picked: Picked, judge: Judge, now: int) -> None:
        """Withholding costs no call: it waits for no room."""
        while len(picked.withheld) < WITHHELD_AT_ONCE:
            if not self._judge_next(campaign_id, _CHUNK, picked, judge, now):
                return

    def _judge_next(self, campaign_id: str, count: int, picked: Picked, judge: Judge, now: int) -> int:
        waiting = self._lanes.next(campaign_id, count)
        found = self._store.messages([one.message_id for one in waiting])
        for one, message in zip(waiting, found, strict=True):
            if message is not None:
                self._judge(one, message, picked, judge, now)
        return len(waiting)

    def _judge(self, waiting: Waiting, message: Message, picked: Picked, judge: Judge, now: int) -> None:
        if waiting.offset in self._withholding:
            return
        recipient = message.recipient_id
        match decide(message, self._around(message, judge, busy=self._busy(recipient)), self._expiry, now):
            case Due() if is_resend(message) and message.message_id not in self._cleared:
                picked.resends.append((message, waiting))
                self._free(recipient)
            case Due(attempt=attempt):
                self._cleared.pop(message.message_id, None)  # evidence may come until the attempt after this one
                self._reserved[recipient] = message.message_id
                picked.claims.append(Pick(message, attempt))
            case Withhold(reason=reason):
                self._withholding.add(waiting.offset)
                picked.withheld.append((message, reason))
                self._free(recipient)
            case InFlight():
                self._lanes.hold(recipient, message.campaign_id, waiting)
            case Wait(until=until):  # the wall clock went back, perhaps across a restart
                self._store.postpone(message.campaign_id, until, waiting)
                self._next_due = until if self._next_due is None else min(self._next_due, until)
                self._lanes.left(waiting.offset)
                self._free(recipient)
            case _:  # it left the queue while it stood in the window
                self._lanes.left(waiting.offset)
                self._free(recipient)

    def _around(self, message: Message, judge: Judge, *, busy: bool) -> Circumstances:
        return Circumstances(
            judge.standing(message.campaign_id), judge.is_suppressed(message.recipient_id), busy, self._cut
        )

    def _promote(self, now: int) -> None:
        if self._next_due is None or self._next_due > now:
            return
        rows = self._store.timed(now, WITHHELD_AT_ONCE)
        found = self._store.messages([waiting.message_id for _, waiting in rows])
        for (due, waiting), message in zip(rows, found, strict=True):
            if message is not None:
                self._store.promote(message.campaign_id, due, waiting)
                self._lanes.arrived(message.campaign_id, waiting)
        self._next_due = self._store.next_due()

    def _sweep(self, picked: Picked, judge: Judge, now: int) -> None:
        """Once a second: what expired while it was parked or had to wait."""
        if now - self._swept_at < SECOND:
            return
        self._swept_at = now
        self._withhold_waiting(self._store.expired(now, WITHHELD_AT_ONCE), picked, judge, now)

    def _look_for_cancelled(self, picked: Picked, judge: Judge, now: int) -> None:
        """Behind each cancel: what has to wait for its time is not in its campaign's lane, and may wait for days."""
        came, self._came_to_wait = self._came_to_wait, set()
        known = judge.cancellations()
        if known != self._cancellations or any(judge.standing(name) == "cancelled" for name in came):
            self._cancellations, self._look_again = known, True
        if self._looked_to is None and self._look_again:
            self._looked_to, self._look_again = FIRST, False  # a pass under way comes to its end before the next one
        if self._looked_to is None:
            return
        rows = self._store.timed(FOREVER, PASSED_OVER_AT_ONCE, self._looked_to)
        self._withhold_waiting([waiting for _, waiting in rows], picked, judge, now)
        more = len(rows) == PASSED_OVER_AT_ONCE
        self._looked_to = Timed(rows[-1][0], rows[-1][1].offset) if more else None
        picked.cut_short = picked.cut_short or more or self._look_again

    def _withhold_waiting(self, found: Sequence[Waiting], picked: Picked, judge: Judge, now: int) -> None:
        rows = [row for row in found if row.offset not in self._withholding]
        for waiting, message in zip(rows, self._store.messages([row.message_id for row in rows]), strict=True):
            if message is None or self._reserved.get(message.recipient_id) == message.message_id:
                continue
            match decide(message, self._around(message, judge, busy=False), self._expiry, now):
                case Withhold(reason=reason):
                    self._withholding.add(waiting.offset)
                    picked.withheld.append((message, reason))
                case _:
                    pass
