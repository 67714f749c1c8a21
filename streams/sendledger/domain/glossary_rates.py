"""Rates, the quality of receipts, and the stages of a message's way, in plain words: the second half of glossary.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sendledger.domain.glossary import DEADLINE, Term
from sendledger.domain.numbers import MATURE_HOURS

RATES: Mapping[str, Term] = MappingProxyType(
    {
        "acceptance": Term(
            "Accepted by the provider",
            "Accepted at any time. Messages in doubt are in neither number.",
            "accepted + rejected",
            "rates.acceptance",
        ),
        "delivery_confirmed": Term(
            "Delivered, confirmed",
            "Delivered for certain.",
            "messages that a carrier has taken",
            "rates.delivery_confirmed",
        ),
        "delivery_resolved": Term(
            "Delivered, of those settled",
            "Delivered, leaving out all that has no final receipt.",
            "delivered + undelivered",
            "rates.delivery_resolved",
        ),
        "delivery_low": Term(
            "Delivered, at least",
            "As if no open message would arrive.",
            "messages that a carrier has taken",
            "rates.delivery_low",
        ),
        "delivery_high": Term(
            "Delivered, at most",
            "As if every open message would arrive.",
            "messages that a carrier has taken",
            "rates.delivery_high",
        ),
        "receipt_coverage": Term(
            "Receipts seen",
            "Has a final receipt, good or bad. Low coverage makes the bounds wide.",
            "messages that a carrier has taken",
            "rates.receipt_coverage",
        ),
        "matured_24h": Term(
            "Delivered, after a day",
            f"Only messages that were sent more than {MATURE_HOURS} hours ago: fit to compare campaigns of "
            "different age.",
            f"messages a carrier took, sent more than {MATURE_HOURS} hours ago",
            "rates.matured_24h",
        ),
    }
)

QUALITY: Mapping[str, Term] = MappingProxyType(
    {
        "duplicates": Term(
            "Duplicates",
            "Postbacks that came again, byte for byte. They change no number; many of them mean that our "
            "answers reach the provider late.",
            "",
            "quality.duplicates",
        ),
        "orphans": Term(
            "Orphans",
            "Postbacks to a recipient of this campaign with a tracking id that no answer ever gave: the "
            "answer was lost, or somebody else sent.",
            "",
            "quality.orphans",
        ),
        "conflicted": Term(
            "Conflicted",
            "Messages with two final receipts that contradict each other. Both are kept; the first one "
            "counts unless another policy is asked for.",
            "messages with a final receipt",
            "quality.conflicted",
        ),
        "late": Term(
            "Late",
            f"Messages whose final receipt came more than {DEADLINE} after they were sent.",
            "messages with a final receipt",
            "quality.late",
        ),
        "receiver_gaps": Term(
            "Receiver gaps",
            "Times in which nobody listened for postbacks. The provider repeats for about 25 minutes; of "
            "a longer gap receipts are lost, and messages stay pending.",
            "",
            "receiver_gaps",
        ),
    }
)

STAGES: Mapping[str, Term] = MappingProxyType(
    {
        "queue_wait": Term(
            "Queue",
            "From the request to the first call: pace, pauses and a later start included.",
            "messages called",
            "latency_seconds.queue_wait",
        ),
        "api": Term(
            "Call",
            "From the start of a call to its answer, by our clock.",
            "calls answered",
            "latency_seconds.api",
        ),
        "carrier": Term(
            "To the carrier",
            "From the provider's answer to the arrival of its notice that it was sent.",
            "messages with a sent notice",
            "latency_seconds.carrier",
        ),
        "handset": Term(
            "To the phone",
            "From sent to the final receipt, both by the provider's clock.",
            "messages with both times",
            "latency_seconds.handset",
        ),
        "end_to_end": Term(
            "End to end",
            "From the request to the arrival of the final receipt.",
            "messages with a final receipt",
            "latency_seconds.end_to_end",
        ),
        "receipt_lag": Term(
            "Postback lag",
            "From the provider's own time in a postback to its arrival here. It contains the difference "
            "of the two clocks.",
            "postbacks with a time",
            "latency_seconds.receipt_lag",
        ),
    }
)
