"""Single characters in words, so that a message about a text can say which one it means without showing it raw."""

from __future__ import annotations

import unicodedata

_NAMELESS = {"Cc": "control character", "Cs": "half of a pair, or a byte that is no UTF-8", "Co": "private use"}


def described(character: str) -> str:
    """`U+0105 LATIN SMALL LETTER A WITH OGONEK`; what Unicode gives no name is called by its kind."""
    name = unicodedata.name(character, "") or _NAMELESS.get(unicodedata.category(character), "not assigned")
    return f"U+{ord(character):04X} {name}"


def shown(character: str) -> str:
    """As `described`, with the character itself in front where it stands on a line by itself and harms nothing.

    Left out: controls, marks that turn the direction of writing, blanks, and what combines with its neighbour.
    """
    harmless = (
        character.isprintable() and not character.isspace() and not unicodedata.category(character).startswith("M")
    )
    return f"{character} ({described(character)})" if harmless else described(character)
