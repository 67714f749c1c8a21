"""What was done in a round, for the judge: what was asked, who was struck, what was paused and when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sendledger_schemas.requests import SendRequested
from tests.chaos.hands import Hand
from tests.chaos.plan import Plan


@dataclass(frozen=True)
class Hold:
    """No call of `target` starts later than a second after `since`, until `until` (monotonic; inf: never again).

    `target`: a campaign, the account, or a recipient's digits.
    """

    target: str
    since: float
    until: float


@dataclass
class Done:
    """A round that is over: what was asked, and what was done to whom, and when."""

    plan: Plan
    requests: list[SendRequested] = field(default_factory=list)
    hands: list[Hand] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    suppressed: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
