"""What a dead letter's bytes look like on a screen: masked unless somebody asked for more (P7)."""

from __future__ import annotations

import re

HIDDEN = "***"
# Digits with whatever may stand between the digits of a telephone number; UTF-16 puts a NUL between them.
_NUMBER = re.compile(r"\d(?:[\s().\-\x00]{0,3}\d){4,}")
_SHOWN_DIGITS = 3
# A text, a key, in an element, even one that is never closed, or under a name of ours or of v2.
_ELEMENT = re.compile(r"(<(?:\w+:)?(?:TEXT|API_KEY)\b[^>]*>)[^<]*", re.IGNORECASE)
_MEMBER = re.compile(r'("(?:[\w-]*text|api[_-]key|raw)"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE | re.DOTALL)


def masked(value: bytes) -> str:
    """The letter's text without message texts, every number cut down to its last three digits.

    What is not plain UTF-8 text is not shown at all: no mask could be sure to find the digits in it.
    """
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(value)} bytes that are not UTF-8 text)"
    if not all(_is_harmless(char) for char in text):
        return f"({len(value)} bytes with control characters)"
    text = _ELEMENT.sub(rf"\1{HIDDEN}", text)
    text = _MEMBER.sub(rf"\1{HIDDEN}", text)
    return _NUMBER.sub(_mask, text)


def revealed(value: bytes) -> str:
    """The letter as it came, numbers and texts included; what a terminal might act upon is written as an escape."""
    text = value.decode("utf-8", "backslashreplace")
    return "".join(char if _is_harmless(char) else char.encode("unicode_escape").decode() for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or char in "\t\r\n"


def _mask(match: re.Match[str]) -> str:
    digits = [char for char in match.group() if char.isdigit()]
    return "*" * (len(digits) - _SHOWN_DIGITS) + "".join(digits[-_SHOWN_DIGITS:])
