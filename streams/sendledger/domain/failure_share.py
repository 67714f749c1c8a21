"""When a campaign is halted for its failures: its answers in, what to halt out (DESIGN §6).

| end of a call | counts as |
|---|---|
| SendAccepted | an answer |
| SendRejected | an answer, and a failure: of every class but `account` |
| SendRejected of class `account` | nothing: it stops the account itself, and says nothing about the campaign |
| SendThrottled, SendNotSent | nothing: the message goes again |
| SendUnanswered | nothing: nobody knows how it ended |

Counted are the answers since the campaign's last resume, or all that are known: who resumes has seen the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["accepted", "failed"]


@dataclass(frozen=True, slots=True)
class Tally:
    """A campaign's answers appended after `since` (ms, broker's time of the last resume)."""

    since: int
    answers: int = 0
    failures: int = 0


@dataclass(slots=True)
class FailureShares:
    """Halts above `share` (0 to 1, exclusive) of at least `minimum` answers."""

    share: float
    minimum: int
    _tallies: dict[str, Tally] = field(default_factory=dict)

    def answered(self, campaign_id: str, kind: Kind, at: int, resumed_at: int) -> None:
        """One more answer, appended at `at`; the campaign's last resume was at `resumed_at` (ms; −1: there is none)."""
        known = self._tallies.get(campaign_id)
        if known is None or known.since < resumed_at:
            known = self._tallies[campaign_id] = Tally(resumed_at)
        if at > known.since:
            failures = known.failures + (kind == "failed")
            self._tallies[campaign_id] = Tally(known.since, known.answers + 1, failures)

    def exceeded(self, campaign_id: str, resumed_at: int) -> Tally | None:
        """The campaign's answers, if they call for a halt."""
        known = self._tallies.get(campaign_id)
        if known is None or known.since < resumed_at or known.answers < self.minimum:
            return None
        return known if known.failures > self.share * known.answers else None
