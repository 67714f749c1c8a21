"""STATUS numbers of a receipt: the status byte of GSM 03.40 (TP-Status), written in decimal (PROVIDER.md, last part).

| number | says | claim |
|---|---|---|
| 0x00-0x1F | done | `delivered` |
| 0x20-0x3F | temporary, still trying | `trying` |
| 0x40-0x5F | permanent failure | `undelivered` |
| 0x60-0x7F | temporary failure, gave up | `undelivered` |
| 0x80-0xFF | reserved: a permanent failure | `undelivered` |
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sendledger_schemas.postbacks import Claim

GSM_0340 = 4

_NUMBER = re.compile(r"[0-9]{1,9}")
_BYTE = 0xFF
_DONE = 0x1F
_TRYING = 0x3F


@dataclass(frozen=True, slots=True)
class Said:
    """What one notification says: a claim (None: nothing about a message of ours) and a detail of a closed list."""

    claim: Claim | None
    detail: str | None


def read_status(protocol: str | None, status: str | None) -> Said:
    """The claim of `<STATUS PROTOCOL= STATUS=>`, with the number as its detail (`tp_0x46`).

    Under a protocol that we do not know (none at all included) only 0 means something: delivered. Anything else, and
    anything that is no byte, leaves what the code N201 says anyway: sent.
    """
    number = _number(status)
    if number is None or number > _BYTE:
        return Said("sent", "other")
    if _number(protocol) != GSM_0340:
        return Said("sent", "other") if number else Said("delivered", None)
    return Said(_claim(number), f"tp_0x{number:02x}")


def knows(protocol: str | None, status: str | None) -> bool:
    """Whether the number can be read as a byte of GSM 03.40."""
    number = _number(status)
    return _number(protocol) == GSM_0340 and number is not None and number <= _BYTE


def _claim(number: int) -> Claim:
    if number <= _DONE:
        return "delivered"
    return "trying" if number <= _TRYING else "undelivered"


def _number(value: str | None) -> int | None:
    trimmed = (value or "").strip()
    return int(trimmed) if _NUMBER.fullmatch(trimmed) else None
