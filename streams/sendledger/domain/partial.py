"""The numbers of one campaign in one partition: a sum of contributions, with the offsets that it counts (DESIGN §5).

A campaign has one part with its main counters and one a day with its series; each is a record of its own with its own
`to`, so that no record outgrows the broker's limit. The reserved campaign `_none` holds the partition's orphans:
`orphans`, and `orphans:<campaign>` for those whose recipient has a message there; its `to` is that of every fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from sendledger.domain.message import Offsets
from sendledger.domain.policies import differing, stem
from sendledger_schemas.topics import FOLD_SOURCES

NO_CAMPAIGN = "_none"


MOST_NAMES: Final = 200
"""Names of one open vocabulary that a record tells apart: carriers (`o`), the provider's codes (`e`, `t`)."""

_LONGEST_TIME: Final = 16  # digits
_OPEN: Final = ("o", "e", "t")
_OTHER: Final = "other"


def bounded(counters: Mapping[str, int]) -> Mapping[str, int]:
    """The counters as a record may carry them: of each open vocabulary the names that count most, the rest as `other`.

    Requests and provider choose these names. A file with another carrier in each row would outgrow the broker's
    limit, and who must publish such a record could never do so. Sums stay: only names are lost.
    """
    if len(counters) <= MOST_NAMES:
        return counters
    weights: dict[str, Counter[str]] = {kind: Counter() for kind in _OPEN}
    for name, count in counters.items():  # what another policy says (`y`) has its names here too
        kind, _, rest = name.partition(":")
        if kind in weights and (chosen := _chosen(kind, rest)) != _OTHER:
            weights[kind][chosen] += count
    kept = {
        kind: set(sorted(weight, key=lambda name, of=weight: (-of[name], name))[:MOST_NAMES])  # type: ignore[misc]
        for kind, weight in weights.items()
    }
    result: Counter[str] = Counter()
    for name, count in counters.items():
        head, counter = stem(name)
        kind, _, rest = counter.partition(":")
        chosen = _chosen(kind, rest)
        if kind in kept and chosen not in kept[kind]:
            # the same count under another name
            name = differing(head, f"{kind}:{_OTHER}{rest[len(chosen) :]}")  # noqa: PLW2901
        result[name] += count
    return dict(result)


def _chosen(kind: str, rest: str) -> str:
    """The part of a counter's name that others chose: a carrier's stands before its bucket."""
    return rest.rpartition(":")[0] if kind == "o" else rest


SINCE: Final = "since"
"""Header of a partial's record: when the oldest fact that is new in it came to the log, in milliseconds since 1970.

Only freshness is measured by it, so it is left out where the fold reads the log anew.
"""


def since_header(milliseconds: int | None) -> list[tuple[str, bytes]]:
    """The header, or none."""
    return [] if milliseconds is None else [(SINCE, str(milliseconds).encode())]


def since_of(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """What the header says; None without one that can be read."""
    said = next((value for name, value in headers if name == SINCE), b"")
    return int(said) if said.isdigit() and len(said) < _LONGEST_TIME else None


def offsets_by_topic(to: Offsets) -> dict[str, int]:
    """`to` as it stands in records."""
    return dict(zip(FOLD_SOURCES, to, strict=True))


def version_of(to: Offsets) -> int:
    """The sum of `to`: it orders records of one origin just as well as the vector, and is what sinks compare."""
    return sum(to) + len(to)
