"""What the demo sends: campaigns, numbers and texts, all from one seed and all made up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 160
_SENDERS = ("60856", "60857", "60858")
_FIRST_REF = 70_001  # CAMPAIGNREF: by it the provider's ledger tells the campaigns apart
_NAMES = ("summer-sale", "appointments", "login-codes")
_TEXTS = (
    "Summer sale: 20 % off all sandals until Sunday. Show this message at the till. Code SUN{n}",
    "Your appointment is on Friday at {h}:30. Reply C to cancel. Reference {n}",
    "{n} is your login code. It is valid for ten minutes.",
)
# The page's own area code with the exchange that is kept free for stories: 1 555 and seven digits.
_COUNTRY = "1555"
_CARRIERS = ("310410", "310260", "311480", "20801")
# Rows that no provider could use: they show what a refusal looks like and must not hold up the rest.
_UNUSABLE = ("not-a-number", "", "12")


@dataclass(frozen=True)
class Recipient:
    """One row of a campaign's list, as a user would hand it in."""

    to: str
    text: str
    operator_id: str


@dataclass(frozen=True)
class Campaign:
    """One campaign of the demo; its `unusable` rows must be refused, and nothing else."""

    campaign_id: str
    campaign_ref: str
    sender: str
    recipients: tuple[Recipient, ...]
    unusable: tuple[str, ...] = _UNUSABLE


@dataclass(frozen=True)
class Scenario:
    """All that the demo sends."""

    seed: int
    campaigns: tuple[Campaign, ...]

    @property
    def messages(self) -> int:
        """How many messages must come to be requested."""
        return sum(len(campaign.recipients) for campaign in self.campaigns)


def scenario(*, messages: int, campaigns: int, seed: int) -> Scenario:
    """`messages` spread over `campaigns` as evenly as they go; the same arguments give the same scenario.

    A tenth of each list is shared with the campaign before, so that recipients have messages of several campaigns.
    """
    rng = random.Random(seed)  # noqa: S311 — a demo has to be repeatable, not secret
    sizes = [messages // campaigns + (index < messages % campaigns) for index in range(campaigns)]
    made: list[Campaign] = []
    before: tuple[Recipient, ...] = ()
    fresh = _numbers(rng)
    for index, size in enumerate(sizes):
        shared = [recipient.to for recipient in before[: size // 10]]
        numbers = shared + [next(fresh) for _ in range(size - len(shared))]
        before = tuple(_recipient(rng, index, number) for number in numbers)
        made.append(Campaign(_name(index), str(_FIRST_REF + index), _SENDERS[index % len(_SENDERS)], before))
    return Scenario(seed, tuple(made))


def _name(index: int) -> str:
    return _NAMES[index] if index < len(_NAMES) else f"campaign-{index + 1}"


def _recipient(rng: random.Random, index: int, number: str) -> Recipient:
    text = _TEXTS[index % len(_TEXTS)].format(n=rng.randrange(100_000, 1_000_000), h=rng.randrange(8, 18))
    return Recipient(number, text[:MAX_TEXT], rng.choice(_CARRIERS))


def _numbers(rng: random.Random) -> Iterator[str]:
    """Numbers that do not repeat: a walk through all seven-digit ends with a step that shares no factor with 10."""
    start, step = rng.randrange(10**7), rng.randrange(1, 10**6) * 10 + 1
    for n in range(10**7):
        yield f"{_COUNTRY}{(start + n * step) % 10**7:07d}"
