"""The pace: messages a second for the account, this process's share of it, slower after a throttle (DESIGN §6).

Pure: time comes in as seconds of a clock that does not jump with the wall's. Burst 1: nothing is saved up, except that
a caller who came late by less than `SLACK` may catch up, or timers would cost the rate their own lateness.
"""

from __future__ import annotations

from dataclasses import dataclass

SLACK = 0.02
"""Seconds that may be caught up: 2 % of a second's tokens, well within the stated headroom of 5 %."""

FLOOR = 0.1
RECOVERY = 30.0
SLOWDOWN_SPACING = 1.0
HOLD_FIRST = 0.25
HOLD_MOST = 15.0


@dataclass(slots=True)
class Pace:
    """When the next call may start. `rate`: messages/s for the account; `share`: owned ÷ all partitions."""

    rate: float
    share: float = 0.0
    _token_at: float = float("-inf")  # of the last token, as if its taker had come in time
    _factor: float = 1.0
    _slowed_at: float = float("-inf")
    _recovers_from: float = float("-inf")
    _held_until: float = float("-inf")
    _hold: float = 0.0

    def set_rate(self, rate: float) -> None:
        """The account's rate, from now on."""
        self.rate = rate

    def set_share(self, owned: int, partitions: int) -> None:
        """The share after a rebalance."""
        self.share = owned / partitions

    def per_second(self, now: float) -> float:
        """What this process may send a second at the moment."""
        return self.rate * self.share * self.factor(now)

    def factor(self, now: float) -> float:
        """1 at full rate; lowered by throttles, and straight back to 1 within 30 s of the last one."""
        recovered = max(0.0, now - self._recovers_from) / RECOVERY
        return min(1.0, self._factor + (1.0 - self._factor) * recovered)

    def wait(self, now: float) -> float:
        """Seconds until a call may start; 0 = now. Infinite while nothing is owned."""
        if self.per_second(now) <= 0:
            return float("inf")
        return max(0.0, self._next_at(now) - now, self._held_until - now)

    def take(self, now: float) -> bool:
        """Take the token of one call that starts now, if there is one."""
        return self.wait_or_take(now) <= 0

    def wait_or_take(self, now: float) -> float:
        """As `wait`; where that is 0 the token is taken."""
        if (wait := self.wait(now)) > 0:
            return wait
        # A caller later than SLACK (a stopped process, a jump of the clock) drops what it could have sent meanwhile.
        self._token_at = max(self._next_at(now), now - SLACK)
        return 0.0

    def _next_at(self, now: float) -> float:
        """By the rate that holds now: who waits for a slow one's token does not wait on when it was raised."""
        return self._token_at + 1.0 / self.per_second(now)

    def throttled(self, now: float) -> None:
        """The provider said that we are too fast: half the rate, at most once a second, never below a tenth."""
        factor = self.factor(now)
        if now - self._slowed_at >= SLOWDOWN_SPACING:
            self._slowed_at = now
            factor = max(FLOOR, factor / 2)
        self._factor, self._recovers_from = factor, now

    def unreachable(self, now: float) -> None:
        """No byte could leave for the provider: hold everything, longer each time; an outage is no storm of events."""
        if now >= self._held_until:
            self._hold = min(HOLD_MOST, self._hold * 2 or HOLD_FIRST)
            self._held_until = now + self._hold

    def reached(self) -> None:
        """The provider answered, whatever it said."""
        self._hold = 0.0
        self._held_until = float("-inf")
