"""What a receipt's detail means to whoever sends a campaign: the texts of 1.3 and v2, the status bytes of GSM 03.40.

The second half of advice.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sendledger.wire.advice import NUMBER, Advice

_PHONE = "Try once more on another day; numbers that fail again are better left out."
DETAILS: Mapping[str, Advice] = MappingProxyType(
    {
        "failed": Advice(
            "Failed at the carrier",
            "The carrier took the message and could not deliver it; it does not say why.",
            _PHONE,
            "later",
        ),
        "expired": Advice(
            "Phone not reached in time",
            "The phone was off or without signal until the message ran out of time.",
            "Try once more when people are likely to be reachable.",
            "yes",
        ),
        "not_supported": Advice(
            "Not supported",
            "The carrier or the phone does not take such messages.",
            "Leave the number out, or reach the person another way.",
            "no",
        ),
        "rejected": Advice(
            "Rejected by the carrier",
            "The carrier refused the message: a filter, a blocked number, or its own rules.",
            "Look at text and sender; ask the provider if it is many.",
            "later",
        ),
        "submit_failed": Advice(
            "Not taken by the carrier",
            "The provider accepted the message, and then could not hand it to a carrier.",
            "Ask the provider if it is many.",
            "later",
        ),
        "other": Advice(
            "No reason given",
            "The receipt says that it failed, and not why.",
            _PHONE,
            "later",
        ),
        "tp_0x40": Advice(
            "Carrier error",
            "The network's remote end reported an error.",
            _PHONE,
            "later",
        ),
        "tp_0x41": Advice(
            "Phone not compatible",
            "The phone cannot take such a message.",
            NUMBER,
            "no",
        ),
        "tp_0x42": Advice(
            "Refused by the phone",
            "The phone itself refused the message.",
            _PHONE,
            "no",
        ),
        "tp_0x43": Advice(
            "Number not obtainable",
            "The network does not know this number now.",
            NUMBER,
            "no",
        ),
        "tp_0x44": Advice(
            "Service not available",
            "The network cannot give this service.",
            _PHONE,
            "no",
        ),
        "tp_0x45": Advice(
            "Networks not connected",
            "The two networks do not work together.",
            _PHONE,
            "no",
        ),
        "tp_0x46": Advice(
            "Phone not reached in time",
            "The phone was off or without signal until the message ran out of time.",
            "Try once more when people are likely to be reachable.",
            "yes",
        ),
        "tp_0x47": Advice(
            "Deleted by the sender",
            "The message was deleted on the sending side.",
            _PHONE,
            "later",
        ),
        "tp_0x48": Advice(
            "Deleted by the carrier",
            "The carrier's administration deleted it.",
            _PHONE,
            "later",
        ),
        "tp_0x49": Advice(
            "Lost at the carrier",
            "The carrier says that there is no such message.",
            _PHONE,
            "yes",
        ),
        "tp_0x60": Advice(
            "Network congested",
            "The network was too busy until the carrier gave up.",
            _PHONE,
            "yes",
        ),
        "tp_0x61": Advice(
            "Phone busy",
            "The phone was busy until the carrier gave up.",
            _PHONE,
            "yes",
        ),
        "tp_0x62": Advice(
            "Phone did not answer",
            "The phone did not answer until the carrier gave up.",
            _PHONE,
            "yes",
        ),
        "tp_0x63": Advice(
            "Service refused",
            "The network refused the service until the carrier gave up.",
            _PHONE,
            "later",
        ),
        "tp_0x64": Advice(
            "Service not available",
            "Not available until the carrier gave up.",
            _PHONE,
            "yes",
        ),
        "tp_0x65": Advice(
            "Error in the phone",
            "The phone failed to take it until the carrier gave up.",
            _PHONE,
            "yes",
        ),
    }
)

STATUS_RANGES: Mapping[str, Advice] = MappingProxyType(
    {
        "tp_0x5f": Advice(
            "Failed for good",
            "The network says: a permanent failure.",
            _PHONE,
            "no",
        ),
        "tp_0x7f": Advice(
            "Given up",
            "The network tried for a while and gave up.",
            _PHONE,
            "yes",
        ),
        "tp_0xff": Advice(
            "Failed for good",
            "A status number without a fixed meaning: a failure.",
            _PHONE,
            "no",
        ),
    }
)
"""For a status number (`tp_0x…`) that is not in `DETAILS`: the first of these that is not below it."""
