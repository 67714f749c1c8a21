"""Numbers under another policy, from the same published counters (DESIGN §4: the reader says which final claim counts).

A message with several final claims counts as `first-final` says, and beside that what would be different under each
other policy: `y:<policy>:+:<counter>` one more, `y:<policy>:-:<counter>` one less (of a series: `<day>/y:…`). So every
number under every policy can be read from partials and campaign states, and `verify` proves them with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from sendledger.domain.settled import Policy

POLICIES: Final[tuple[Policy, ...]] = get_args(Policy)
DEFAULT: Final[Policy] = "first-final"
OTHERS: Final = tuple(policy for policy in POLICIES if policy != DEFAULT)

_DAY: Final = len("2026-03-01/")
_MARK: Final = "y:"


def dated(counter: str) -> bool:
    """Whether it is a counter of a day's series: no other begins with a digit (names from outside may hold a slash)."""
    return counter[_DAY - 1 : _DAY] == "/" and counter[0].isdigit()


def stem(name: str) -> tuple[str, str]:
    """A counter's name → (what says how it differs under which policy, or "", the counter itself)."""
    day, rest = (name[:_DAY], name[_DAY:]) if dated(name) else ("", name)
    if not rest.startswith(_MARK):
        return "", name
    _, policy, sign, counter = rest.split(":", 3)
    return f"{_MARK}{policy}:{sign}:", day + counter


def differing(head: str, counter: str) -> str:
    """The other way round: `stem(differing(head, counter)) == (head, counter)`."""
    return counter[:_DAY] + head + counter[_DAY:] if head and dated(counter) else head + counter


def differences(policy: Policy, more: Iterable[str], less: Iterable[str]) -> Iterator[str]:
    """The names that say: under this policy one more of each of these, one less of each of those."""
    for sign, counters in (("+", more), ("-", less)):
        head = f"{_MARK}{policy}:{sign}:"
        for counter in counters:
            yield differing(head, counter)


def under(counters: Mapping[str, int], policy: Policy) -> dict[str, int]:
    """The counters as the policy counts, without what other policies say; those that fall to 0 leave."""
    wanted = {f"{_MARK}{policy}:+:": 1, f"{_MARK}{policy}:-:": -1, "": 1}
    found: dict[str, int] = {}
    for name, count in counters.items():
        head, counter = stem(name)
        if head in wanted:
            found[counter] = found.get(counter, 0) + wanted[head] * count
    return {counter: count for counter, count in found.items() if count}
