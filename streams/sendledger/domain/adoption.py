"""Adoption: when a TRACKINGID that is nobody's settles an attempt without a response (DESIGN §4)."""

from __future__ import annotations

from sendledger.domain.contribution import HOUR, MINUTE
from sendledger.domain.message import Message, end_of
from sendledger.domain.postbacks import Tracking

ADOPTION_WINDOW = 72 * HOUR
CLOCK_SLACK = 5 * MINUTE


def adopts(message: Message, number: int, tracking: Tracking) -> bool:
    """Whether the lone TRACKINGID settles the lone candidate: it is unanswered, and the times fit."""
    attempt = message.attempts[number]
    if attempt.silence is None or end_of(attempt) == "open":
        return False
    began = attempt.silence.at if attempt.claim is None else attempt.claim.at
    return -CLOCK_SLACK <= tracking.first_received - began <= ADOPTION_WINDOW
