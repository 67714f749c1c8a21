"""What the provider's codes and details mean to whoever sends a campaign, and what to do; in plain words.

What they mean for the program stands in codes.py. `again`: whether the same message to the same number can help:
`yes` (it may well arrive), `later` (after a while, or after what is to be done), `no` (it ends the same),
`twice` (it might arrive twice).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sendledger.wire.codes import ERROR_CODES, ErrorClass, classify

Again = Literal["yes", "later", "no", "twice"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One reason. `title` names it, `meaning` explains it, `action` says what to do about it."""

    title: str
    meaning: str
    action: str
    again: Again


NUMBER = "Take the number off the list, or ask the person for the right one."
_OURS = "Tell whoever runs Sendledger: the request itself was wrong, and the log says more."
_ACCOUNT = "Settle it with the provider, then resume the account. What was not tried yet stays queued."

_CODES: Mapping[str, Advice] = MappingProxyType(
    {
        "E100": Advice(
            "Invalid request",
            "The provider did not understand the request.",
            _OURS,
            "no",
        ),
        "E101": Advice(
            "Invalid action",
            "The provider does not know the call that was made.",
            _OURS,
            "no",
        ),
        "E102": Advice(
            "API key missing",
            "The account's key did not arrive.",
            _ACCOUNT,
            "later",
        ),
        "E103": Advice(
            "Password missing",
            "The account wants a password that was not given.",
            _ACCOUNT,
            "later",
        ),
        "E104": Advice(
            "Not let in",
            "The provider does not accept the account's key.",
            _ACCOUNT,
            "later",
        ),
        "E105": Advice(
            "No API rights",
            "The account may not use the provider's API.",
            _ACCOUNT,
            "later",
        ),
        "E106": Advice(
            "Called too often",
            "The provider lets one call through every few seconds.",
            "Nothing: the message waits and is tried again. If it lasts, lower the rate.",
            "yes",
        ),
        "E107": Advice(
            "Not allowed to send",
            "The account has no right to send messages.",
            _ACCOUNT,
            "later",
        ),
        "E108": Advice(
            "Unreadable request",
            "The provider could not parse the request.",
            _OURS,
            "no",
        ),
        "E109": Advice(
            "API not activated",
            "The account's API is switched off.",
            _ACCOUNT,
            "later",
        ),
        "E110": Advice(
            "Invalid number",
            "No phone can have this number.",
            NUMBER,
            "no",
        ),
        "E111": Advice(
            "Invalid short code",
            "The provider does not know the sender of this campaign.",
            "Correct the campaign's sender, then send again.",
            "later",
        ),
        "E120": Advice(
            "Request limit reached",
            "More calls were made than the contract allows.",
            "Nothing: the message waits and is tried again. If it lasts, lower the rate.",
            "yes",
        ),
        "E201": Advice(
            "Receiver missing",
            "The provider saw no number to send to.",
            _OURS,
            "no",
        ),
        "E628": Advice(
            "Operator not supported",
            "The provider cannot reach the network of this number.",
            "Leave the number out, or reach the person another way.",
            "no",
        ),
        "E712": Advice(
            "Text missing",
            "The provider saw no text.",
            "Correct the text, then send again.",
            "later",
        ),
        "E713": Advice(
            "Billing problem",
            "The account cannot pay for the message.",
            _ACCOUNT,
            "later",
        ),
        "E714": Advice(
            "Invalid campaign",
            "The provider does not know the campaign's reference.",
            "Correct the campaign's reference, then send again.",
            "later",
        ),
        "E715": Advice(
            "Number not subscribed",
            "The person has not subscribed to this programme, or has left it.",
            "Do not send again unless the person subscribes.",
            "no",
        ),
        "HTTP_429": Advice(
            "Called too often",
            "The provider asked for fewer calls (HTTP 429).",
            "Nothing: the message waits and is tried again. If it lasts, lower the rate.",
            "yes",
        ),
    }
)

OTHER_CODE = Advice(
    "Another refusal",
    "The provider refused with a code that is in no list we have.",
    "Ask the provider what the code means.",
    "no",
)

DOUBTS: Mapping[str, Advice] = MappingProxyType(
    {
        "timeout": Advice(
            "No answer in time",
            "The call went out and no answer came before its deadline.",
            "Wait: a postback may still settle it. Else decide on each message, or ask the provider.",
            "twice",
        ),
        "reset": Advice(
            "Connection broke",
            "The connection ended in the middle of the call.",
            "Wait: a postback may still settle it. Else decide on each message, or ask the provider.",
            "twice",
        ),
        "http_5xx": Advice(
            "Provider error",
            "The provider answered with an error of its own (HTTP 5xx).",
            "Wait: a postback may still settle it. Else decide on each message, or ask the provider.",
            "twice",
        ),
        "unreadable": Advice(
            "Unreadable answer",
            "An answer came that is none of the provider's forms.",
            "Wait: a postback may still settle it. If it is many, ask the provider.",
            "twice",
        ),
        "crash": Advice(
            "Sender died",
            "The sender ended between the start of the call and its answer.",
            "Wait: a postback may still settle it. Else decide on each message.",
            "twice",
        ),
        "other": Advice(
            "No usable answer",
            "Perhaps sent, perhaps not.",
            "Wait, or decide on each message.",
            "twice",
        ),
    }
)
"""Why a message is in doubt. `again` is `twice` for all, so only a person decides that."""


def advice_on(code: str) -> Advice:
    """On a response's error code, known or not."""
    return _CODES.get(code.strip().upper(), OTHER_CODE)


def advised_codes() -> dict[str, tuple[Advice, ErrorClass]]:
    """Every code of the table, with what follows from it."""
    return {code: (advice_on(code), classify(code)) for code in (*ERROR_CODES, "HTTP_429")}
