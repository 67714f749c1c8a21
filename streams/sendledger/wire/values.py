"""Values as they come from the provider: trimmed, gathered, bounded and masked. No form of document is known here."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_VALUE = 128
MAX_INFO = 200
OTHER = "OTHER"

_CODE = re.compile(r"(?=.{1,16}\Z)[A-Z_-]*[0-9]{0,5}[A-Z_-]*", re.ASCII)
_DIGITS = re.compile(r"\d+")
_STRUCK = "***"


def gather(pairs: Iterable[tuple[str, str]], wanted: frozenset[str]) -> dict[str, str] | None:
    """The wanted names with their trimmed values; empty ones are left out. None: two different values for one name."""
    found: dict[str, str] = {}
    for name, value in pairs:
        trimmed = value.strip()
        if name in wanted and trimmed and found.setdefault(name, trimmed) != trimmed:
            return None
    return found


def is_plain(value: str) -> bool:
    """Whether an id may go into keys and states: short, and nothing in it that cannot be printed."""
    return len(value) <= MAX_VALUE and value.isprintable()


def code_of(value: str) -> str:
    """A code or an origin in upper case, or `OTHER` if it has not the form of one.

    Codes become labels and parts of states, where no phone number may stand (P7): hence at most five digits together.
    """
    upper = value.strip().upper()
    return upper if _CODE.fullmatch(upper) else OTHER


def mask_info(info: str, strike: Iterable[str] = ()) -> str:
    """The provider's free text, fit for the log: struck strings and digits masked, blanks folded, 200 characters.

    ERRORINFO may echo the number, the text or the key of the request that it answers (P7, P8).
    """
    for secret in sorted(filter(None, strike), key=len, reverse=True):
        info = info.replace(secret, _STRUCK)
    folded = " ".join(_DIGITS.sub("#", info).split())
    return "".join(char for char in folded if char.isprintable())[:MAX_INFO]
