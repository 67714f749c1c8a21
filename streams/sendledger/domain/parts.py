"""How many parts a text takes as an SMS, and in which alphabet (3GPP TS 23.038 and 23.040). Pure arithmetic.

 alphabet  a unit is  two units take                 one part holds  each of several
 GSM-7     7 bits     the extension table (€ [ ~ …)  160             153
 UCS-2     16 bits    what is beyond U+FFFF (😀)     70              67

A part is 140 octets; each of several spends 6 of them on the header that joins them again. One character outside
GSM-7 puts the whole text into UCS-2. A character of two units is never cut: it goes whole into the next part.
The network's national shift tables are left out: no API of this provider asks for one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet in the order of its codes, without the escape (0x1B)."""
EXTENSION = "\f^{}\\[~]|€"
"""What stands behind an escape."""
MOST_NAMED = 20

_NOT_GSM7 = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_TWO_SEPTETS = re.compile(f"[{re.escape(EXTENSION)}]")
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Parts:
    """One text. `units`: septets or 16-bit units without headers; `count`: parts, at least 1."""

    encoding: Encoding
    units: int
    count: int


@dataclass(frozen=True, slots=True)
class Bill:
    """Many messages together.

    `encoding`: of all of them, or `mixed`. `per_message`: (parts, how many messages take so many), fewest parts first.
    `total`: parts of all messages. `not_gsm7`: the characters that force UCS-2, first those that are in most messages,
    at most 20.
    """

    encoding: Encoding | Literal["mixed"]
    per_message: tuple[tuple[int, int], ...]
    total: int
    not_gsm7: tuple[str, ...] = field(default=(), repr=False)


def parts_of(text: str) -> Parts:
    """The alphabet and the number of parts of one text; an empty one takes one part."""
    if _NOT_GSM7.search(text) is None:
        return _parts("GSM-7", text, _TWO_SEPTETS, alone=160, joined=153)
    return _parts("UCS-2", text, _TWO_UNITS, alone=70, joined=67)


def not_gsm7(text: str) -> list[str]:
    """The characters that GSM-7 has not, each once, in the order in which they come."""
    return list(dict.fromkeys(_NOT_GSM7.findall(text)))


def billed(texts: Iterable[str]) -> Bill | None:
    """What messages with these texts take together; None if there are none."""
    encodings: set[Encoding] = set()
    sizes: Counter[int] = Counter()
    forcing: Counter[str] = Counter()
    for text, messages in Counter(texts).items():
        parts = parts_of(text)
        encodings.add(parts.encoding)
        sizes[parts.count] += messages
        forcing.update(dict.fromkeys(not_gsm7(text), messages))
    if not sizes:
        return None
    return Bill(
        encoding=encodings.pop() if len(encodings) == 1 else "mixed",
        per_message=tuple(sorted(sizes.items())),
        total=sum(count * messages for count, messages in sizes.items()),
        not_gsm7=tuple(character for character, _ in forcing.most_common(MOST_NAMED)),
    )


def _parts(encoding: Encoding, text: str, double: re.Pattern[str], *, alone: int, joined: int) -> Parts:
    doubles = len(double.findall(text))
    units = len(text) + doubles
    if units <= alone:
        return Parts(encoding, units, 1)
    if not doubles:
        return Parts(encoding, units, -(-units // joined))
    count, free = 1, joined
    for character in text:
        size = 2 if double.match(character) else 1
        if size > free:
            count, free = count + 1, joined
        free -= size
    return Parts(encoding, units, count)
