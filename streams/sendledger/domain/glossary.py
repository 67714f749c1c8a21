"""Every number that is shown, in plain words: what it counts, of what it is a share, and its name in the API.

Counts and states are here, rates, times and receipts in glossary_rates.py.

The page, and whoever else shows numbers, takes its explanations from here, so that each has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sendledger.domain.contribution import HOUR, RECEIPT_DEADLINE

DEADLINE = f"{RECEIPT_DEADLINE // HOUR} hours"


@dataclass(frozen=True, slots=True)
class Term:
    """One number. `of`: its denominator ("" for a number that is no share); `field`: where the API has it."""

    title: str
    definition: str
    of: str = ""
    field: str = ""


_BUCKETS = {
    "queued": ("Queued", "Waits for its turn: never tried, or provably not sent and to be tried again."),
    "attempting": ("Calling", "The call to the provider is under way, without an answer so far."),
    "in_doubt": ("In doubt", "Perhaps sent, perhaps not: no usable answer. Only a receipt or an operator settles it."),
    "cancelled": ("Cancelled", "Withheld for ever: the campaign was cancelled, or an operator decided so."),
    "expired": ("Expired", "Withheld: its own end had come before it could be sent."),
    "suppressed": ("Suppressed", "Withheld: the number is on the list of those that get nothing."),
    "rejected": ("Rejected", "The provider refused it with an error code, and did not send it."),
    "accepted": ("At the provider", "The provider accepted it and has not told anything about it since."),
    "sent": ("At the carrier", "A carrier has it, without a final receipt: a normal end, too; not all give receipts."),
    "delivered": ("Delivered", "A receipt says that the phone has it."),
    "undelivered": ("Undelivered", "A receipt says that it did not reach the phone."),
}
BUCKETS: Mapping[str, Term] = MappingProxyType(
    {name: Term(title, said, "audience", f"counts.{name}") for name, (title, said) in _BUCKETS.items()}
)

NUMBERS: Mapping[str, Term] = MappingProxyType(
    {
        "audience": Term(
            "Audience",
            "Messages that were asked for: one a recipient and campaign. The buckets always add up to it.",
            "",
            "counts.requested",
        ),
        "sent": Term(
            "Sent",
            "Messages that the provider accepted at any time, whatever became of them later.",
            "audience",
            "rates.acceptance.numerator",
        ),
        "delivered": Term(
            "Delivered",
            "Messages whose receipt says that the phone has them. The true share lies between the two "
            "bounds: low counts only receipts, high also counts every message at a carrier that has no "
            "receipt yet.",
            "messages that a carrier has taken",
            "counts.delivered, rates.delivery_low, rates.delivery_high",
        ),
        "failed": Term(
            "Failed",
            "Messages that did not arrive for certain: rejected by the provider, or undelivered by a receipt.",
            "audience",
            "counts.rejected + counts.undelivered",
        ),
        "pending": Term(
            "Pending",
            "Messages that are still on their way: queued, calling, at the provider, or at a carrier "
            "without a final receipt.",
            "audience",
            "counts.queued + attempting + accepted + sent",
        ),
        "withheld": Term(
            "Withheld",
            "Messages that are never sent: cancelled, expired, or to a suppressed number.",
            "audience",
            "counts.cancelled + expired + suppressed",
        ),
        "in_doubt": Term(
            "In doubt",
            "Messages whose call got no usable answer: perhaps sent, perhaps not. They are never sent "
            "again by themselves; a late answer, a postback or an operator settles them.",
            "audience",
            "counts.in_doubt",
        ),
        "unknown": Term(
            "Unknown",
            f"The part of pending that was sent more than {DEADLINE} ago and has no final receipt. A "
            "receipt that comes late still counts.",
            "audience",
            "counts.unknown",
        ),
        "rate": Term(
            "Rate",
            "Messages a second that left the queue for good, averaged over the last 30 seconds that this "
            "page has seen.",
            "",
            "from counts, between snapshots",
        ),
        "time_left": Term(
            "Time left",
            "Messages that are queued or being called, divided by the rate. It says when the last call is "
            "made; receipts come later.",
            "",
            "from counts, between snapshots",
        ),
        "answered": Term(
            "Handed over",
            "Messages that left the queue and were not withheld: accepted, rejected, in doubt, or being "
            "called just now.",
            "audience",
            "requested − queued − withheld",
        ),
        "carrier": Term(
            "Taken by a carrier",
            "Messages of which a postback said that they were sent, or that has a final receipt.",
            "audience",
            "rates.delivery_confirmed.denominator",
        ),
        "receipt": Term(
            "With a final receipt",
            "Messages of which a receipt says delivered or not delivered.",
            "audience",
            "rates.receipt_coverage.numerator",
        ),
    }
)

STATES: Mapping[str, Term] = MappingProxyType(
    {
        "scheduled": Term(
            "Scheduled",
            "All its messages wait for a start that lies ahead.",
        ),
        "running": Term(
            "Running",
            "Messages go out as the pace allows.",
        ),
        "paused": Term(
            "Paused",
            "Somebody has stopped it; queued messages wait, and resume goes on where it stopped.",
        ),
        "halted": Term(
            "Halted",
            "The sender has stopped it by itself, for the reason it gives; resume lifts it.",
        ),
        "cancelled": Term(
            "Cancelled",
            "What was not sent is withheld for ever. That is final.",
        ),
        "finished": Term(
            "Finished",
            "Nothing is queued or being called any more; receipts may still come.",
        ),
        "closed": Term(
            "Closed",
            f"Finished, and no open message is younger than {DEADLINE}: the numbers hardly move now.",
        ),
    }
)

FRESHNESS = Term(
    "Freshness",
    "The page holds one stream that brings new numbers at most once a second, and a sign of life when "
    "nothing changes. The time is that of the newest number, from the fold's publication.",
    "",
    "as_of",
)
