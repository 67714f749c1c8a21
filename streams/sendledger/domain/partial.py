"""The numbers of one campaign in one partition: a sum of contributions, with the offsets that it counts (DESIGN §5).

A campaign has one part with its main counters and one a day with its series; each is a record of its own with its own
`to`, so that no record outgrows the broker's limit. The reserved campaign `_none` holds the partition's orphans:
`orphans`, and `orphans:<campaign>` for those whose recipient has a message there; its `to` is that of every fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from sendledger.domain.message import NOTHING_READ, Offsets, _Doc, joined
from sendledger.domain.policies import differing, stem
from sendledger_schemas.states import FOLD_VERSION
from sendledger_schemas.topics import FOLD_SOURCES

NO_CAMPAIGN = "_none"


class Part(_Doc, frozen=True):
    """The counters of one record and the last offsets that they count."""

    counters: dict[str, int] = {}  # noqa: RUF012 — msgspec copies an empty default
    to: Offsets = NOTHING_READ


EMPTY_PART = Part()

MOST_NAMES: Final = 200
"""Names of one open vocabulary that a record tells apart: carriers (`o`), the provider's codes (`e`, `t`)."""

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


def changed(part: Part, change: Mapping[str, int], to: Offsets) -> Part:
    """The part after a change; counters that fall to 0 leave it, so that equal numbers are equal records."""
    if change:
        counters = dict(part.counters)
        for name, by in change.items():
            value = counters.get(name, 0) + by
            if value:
                counters[name] = value
            else:
                counters.pop(name, None)
    else:
        counters = part.counters
    return Part(counters, joined(part.to, to))


@dataclass(frozen=True)
class Origin:
    """Where a fold's numbers come from: its partition, its slot, and the log that it reads."""

    partition: int
    slot: int
    from_: Offsets
    topic_ids: Mapping[str, str]


def offsets_by_topic(to: Offsets) -> dict[str, int]:
    """`to` as it stands in records."""
    return dict(zip(FOLD_SOURCES, to, strict=True))


def version_of(to: Offsets) -> int:
    """The sum of `to`: it orders records of one origin just as well as the vector, and is what sinks compare."""
    return sum(to) + len(to)


def record_key(campaign_id: str, origin: Origin, day: str | None) -> str:
    """`campaign_id/partition/slot`, and `…/day` for a series."""
    key = f"{campaign_id}/{origin.partition}/{origin.slot}"
    return key if day is None else f"{key}/{day}"


def record(campaign_id: str, origin: Origin, day: str | None, part: Part) -> bytes:
    """The partial as it is published (`sendledger_schemas.states.CampaignPartial`)."""
    return msgspec.json.encode(
        {
            "campaign_id": campaign_id,
            "partition": origin.partition,
            "slot": origin.slot,
            "day": day,
            "counters": bounded(part.counters),
            "from": offsets_by_topic(origin.from_),
            "to": offsets_by_topic(part.to),
            "version": version_of(part.to),
            "fold_version": FOLD_VERSION,
            "topic_ids": origin.topic_ids,
            "archived": False,
        },
    )
