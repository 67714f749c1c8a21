"""What is asked for in a round: mostly plain requests, and some of everything that a request may ask for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sendledger_schemas.requests import SendRequested
from tests.chaos.plan import CAMPAIGNS
from tests.support.sender import START, request

_MANY_A_RECIPIENT = 10
_EXPIRING, _SCHEDULED = 0.03, 0.06
_SHARED = 50


def recipient(row: int) -> str:
    """Canonical digits: of ten rows, one goes to a number that others go to, too."""
    return str(START + (row if row % _MANY_A_RECIPIENT else row % _SHARED))


def requests(first: int, count: int, chance: random.Random, seconds: float) -> list[SendRequested]:
    """The requests of these rows; some few expire soon, some few are for later, within the round's `seconds`."""
    return [
        request(row, campaign=CAMPAIGNS[row // 3 % 2], to=recipient(row), **_times(chance, seconds))
        for row in range(first, first + count)
    ]


def _times(chance: random.Random, seconds: float) -> dict[str, Any]:
    now, drawn = datetime.now(UTC), chance.random()
    if drawn < _EXPIRING:
        return {"expires_at": now + timedelta(seconds=chance.uniform(1, 8))}
    if drawn < _EXPIRING + _SCHEDULED:
        return {"not_before": now + timedelta(seconds=chance.uniform(1, seconds))}
    return {}
