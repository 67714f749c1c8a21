"""The provider's time stamps: `2011-07-26 10:22:26.975911-04` and ISO 8601, both ways."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

MAX_STAMP = 64

_STAMP = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt]|[ \t]+)(?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,](?P<fraction>[0-9]{1,9}))?[ \t]*"
    r"(?:(?P<zulu>[Zz])|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)"
)


_WITHOUT_OFFSET = len("2011-07-26 10:22:26.975911")

# The page's own form, which nearly all have: Python reads it by itself, in a fifth of the time.
_PAGE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{2}")


def parse_instant(text: str) -> datetime | None:
    """A time in UTC (microseconds; what is finer is cut off), or None if it is none that we can place.

    A stamp without an offset is None: which clock it means would be a guess, and hours may hang on it.
    """
    if _PAGE.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # the rules below say what it is
    found = _STAMP.fullmatch(text.strip()[:MAX_STAMP])
    if found is None:
        return None
    micros = (found["fraction"] or "").ljust(6, "0")[:6]
    try:
        local = datetime.fromisoformat(f"{found['date']}T{found['clock']}.{micros}")
        return (local - _offset(found)).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def format_page(when: datetime, offset_hours: int) -> str:
    """The page's form: a blank in the middle, microseconds, an offset of two digits."""
    local = when.astimezone(timezone(timedelta(hours=offset_hours)))
    # Not strftime, which takes five times as long. The offset of isoformat is cut off: it has minutes, too.
    return f"{local.isoformat(' ', 'microseconds')[:_WITHOUT_OFFSET]}{offset_hours:+03d}"


def format_iso(when: datetime, offset_hours: int) -> str:
    """ISO 8601 with microseconds and an offset of hours and minutes."""
    return when.astimezone(timezone(timedelta(hours=offset_hours))).isoformat(timespec="microseconds")


def _offset(found: re.Match[str]) -> timedelta:
    if found["zulu"]:
        return timedelta(0)
    distance = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    return -distance if found["sign"] == "-" else distance
