"""Every error code of a response in one table (PROVIDER.md, "Error codes"), and what each class means for us.

A code that is not in the table is data, not an error: its class is `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sendledger_schemas.responses import ErrorClass as ErrorClassName


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """What a failure says about, and what follows (the attributes; a sentence for people).

    `retry`: provably not sent, so the message is tried again; all others are final for the message.
    `pauses_campaign`: after a few in a row. `stops_account`: until an operator resumes.
    `alerts`: the request itself was wrong, so this program is, and someone must be told loudly.
    """

    name: ErrorClassName
    follows: str
    retry: bool = False
    pauses_campaign: bool = False
    stops_account: bool = False
    alerts: bool = False


MESSAGE = ErrorClass("message", "this message is rejected")
CAMPAIGN = ErrorClass(
    "campaign", "this message is rejected; the campaign is paused after a few in a row", pauses_campaign=True
)
ACCOUNT = ErrorClass(
    "account",
    "this message is rejected; nothing more is sent on the account until an operator resumes",
    stops_account=True,
)
THROTTLE = ErrorClass("throttle", "not sent; the message waits and is tried again", retry=True)
BUG = ErrorClass("bug", "this message is rejected, with a loud alert", alerts=True)
UNKNOWN = ErrorClass("unknown", "this message is rejected and counted under its code")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table."""

    code: str
    error_class: ErrorClass
    meaning: str


_ROWS = (
    ErrorCode("E100", BUG, "invalid request"),
    ErrorCode("E101", BUG, "action invalid"),
    ErrorCode("E102", ACCOUNT, "API key missing"),
    ErrorCode("E103", ACCOUNT, "password missing"),
    ErrorCode("E104", ACCOUNT, "authentication failed"),
    ErrorCode("E105", ACCOUNT, "no API rights"),
    ErrorCode("E106", THROTTLE, "one call every X seconds"),
    ErrorCode("E107", ACCOUNT, "no right to the action"),
    ErrorCode("E108", BUG, "XML parse error"),
    ErrorCode("E109", ACCOUNT, "API not activated"),
    ErrorCode("E110", MESSAGE, "invalid receiver number"),
    ErrorCode("E111", CAMPAIGN, "invalid short code"),
    ErrorCode("E120", THROTTLE, "request limit reached"),
    ErrorCode("E201", MESSAGE, "receiver required"),
    ErrorCode("E628", MESSAGE, "operator not supported"),
    ErrorCode("E712", MESSAGE, "text required"),
    ErrorCode("E713", ACCOUNT, "billing problem"),
    ErrorCode("E714", CAMPAIGN, "missing or invalid campaign id"),
    ErrorCode("E715", MESSAGE, "number not subscribed"),
)

ERROR_CODES: Mapping[str, ErrorCode] = MappingProxyType({row.code: row for row in _ROWS})


def classify(code: str) -> ErrorClass:
    """The class of a response's ERRORCODE, blanks and case aside; `unknown` for any other."""
    row = ERROR_CODES.get(code.strip().upper())
    return row.error_class if row else UNKNOWN
