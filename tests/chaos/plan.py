"""What is going to happen in a round: a pure function of seed and number. When exactly, the machine decides."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

from sendledger.edges.failpoints import STEPS
from sendledger.simulator.profile import Misbehaviour

Kind = Literal["kill", "stop", "term", "pause", "rate", "cancel", "suppress", "fault", "outage", "ask"]
CAMPAIGNS = ("left", "right")
ACCOUNT = "*"
SENDERS = 3
SUPPRESSED_AT_ONCE = 8
"""Numbers, of those that something was asked for by then."""

CODES = {
    "refusals": {"E110": 0.1, "E628": 0.05, "E715": 0.05},
    "throttle_E120": {"E120": 0.3},
    "throttle_E106": {"E106": 0.3},
    "campaign_code_E111": {"E111": 0.7},
    "account_code_E713": {"E713": 0.1},
    "bug_code_E100": {"E100": 0.1},
}
"""ERRORCODEs that the provider answers, and to what share of the calls."""
OTHERS: dict[str, dict[str, Any]] = {"slow": {"latency_ms": (300, 1300)}, "limited": {"rate": 15, "burst": 2}}
FAULTS = (*CODES, *OTHERS, *(str(kind) for kind in Misbehaviour))
CALM: dict[str, Any] = {"misbehave": {}, "errors": {}, "latency_ms": (2, 15), "rate": None, "burst": 1}
ALWAYS: dict[str, Any] = {"hang_seconds": 4.0, "drip_seconds": 0.2, "huge_bytes": 300_000, "retry_after": 1}
"""What of the provider is the same all the time: hanging and dripping last longer than a call may."""


def profile(names: tuple[str, ...], share: float) -> dict[str, Any]:
    """What `POST /switch` takes for these faults at once; a misbehaviour has its part of `share`."""
    errors: dict[str, float] = {}
    misbehave: dict[str, float] = {}
    other: dict[str, Any] = {}
    for name in names:
        if name in CODES:
            errors |= {code: part / len(names) for code, part in CODES[name].items()}
        elif name in OTHERS:
            other |= OTHERS[name]
        else:
            misbehave[name] = share / len(names)
    return CALM | {"errors": errors, "misbehave": misbehave} | other


@dataclass(frozen=True)
class Act:
    """One thing that is done, `at` seconds after the start and for so many `seconds`."""

    at: float
    kind: Kind
    seconds: float = 0.0
    who: int = 0
    target: str = ""
    amount: float = 0.0
    faults: tuple[str, ...] = ()
    hard: bool = False

    def __str__(self) -> str:
        said = [f"{self.at:.1f} s {self.kind}", self.target, *self.faults]
        return " ".join(filter(None, said)) + (f" {self.amount:.3g}" if self.amount else "")


@dataclass(frozen=True)
class Plan:
    """One round. `asked`: messages at the start; `arms`: failpoints, handed to senders in the order of their starts."""

    seed: int
    number: int
    seconds: float
    rate: float
    asked: int
    arms: tuple[str, ...]
    acts: tuple[Act, ...]
    chance: random.Random = field(repr=False, compare=False)


def plan(seed: int, number: int, *, messages: int = 520, seconds: float = 8.0) -> Plan:
    """The plan of a round; `messages` in all."""
    chance = random.Random(f"{seed} {number}")
    parts = 3
    later = messages // 10
    acts = [
        *(Act(chance.uniform(0, seconds), "ask", amount=later) for _ in range(parts)),
        *_strikes(chance, seconds),
        *_orders(chance, seconds),
        *_provider(chance, seconds),
    ]
    arms = [_arm(chance) if chance.random() < 0.4 else "" for _ in range(SENDERS + 5)]
    return Plan(
        seed=seed,
        number=number,
        seconds=seconds,
        rate=chance.uniform(40, 120),
        asked=messages - parts * later,
        arms=tuple(arms),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        chance=chance,
    )


def _arm(chance: random.Random) -> str:
    step = chance.choice(STEPS)
    return f"{step}:{chance.choice(('kill', 'stop'))}@{chance.randint(1, 40)}"


def _strikes(chance: random.Random, seconds: float) -> list[Act]:
    def one(kind: Kind, lasts: float = 0.0) -> Act:
        return Act(chance.uniform(0.3, seconds), kind, seconds=lasts, who=chance.randrange(SENDERS))

    kills = [one("kill") for _ in range(chance.randint(1, 3))]
    stops = [one("stop", chance.uniform(2.5, 4.5)) for _ in range(chance.randint(0, 2))]
    terms = [one("term") for _ in range(chance.randint(0, 1))]
    return [*kills, *stops, *terms]


def _orders(chance: random.Random, seconds: float) -> list[Act]:
    acts = []
    for _ in range(chance.randint(1, 2)):
        target = chance.choice((*CAMPAIGNS, ACCOUNT))
        acts.append(Act(chance.uniform(0.3, seconds), "pause", seconds=chance.uniform(1.3, 2.5), target=target))
    acts.append(Act(chance.uniform(0.5, seconds), "rate", amount=round(chance.uniform(30, 200))))
    if chance.random() < 0.35:
        acts.append(Act(chance.uniform(1.0, seconds), "cancel", target=chance.choice(CAMPAIGNS)))
    acts += [Act(chance.uniform(0.3, seconds), "suppress", amount=SUPPRESSED_AT_ONCE) for _ in range(2)]
    return acts


def _provider(chance: random.Random, seconds: float) -> list[Act]:
    """Faults one after the other, so that each is the profile while it lasts; and sometimes nobody listens."""
    acts, at = [], 0.0
    while (at := at + chance.uniform(0.1, 1.5)) < seconds:
        lasts = chance.uniform(0.5, 2.0)
        names = tuple(sorted(chance.sample(FAULTS, chance.randint(1, 3))))
        acts.append(Act(at, "fault", seconds=lasts, faults=names, amount=round(chance.uniform(0.1, 0.6), 2)))
        at += lasts
    if chance.random() < 0.4:
        lasts = chance.uniform(0.3, 1.5)
        acts.append(Act(chance.uniform(0.5, seconds), "outage", seconds=lasts, hard=chance.random() < 0.5))
    return acts
