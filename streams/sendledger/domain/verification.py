"""What `verify` finds: published numbers beside those that the log says. Pure; reading and waiting are edges/verify's.

A number is *wrong* if the facts up to its own `to` say another one, and *behind* if the log says more than it counts.
What is behind may only be late: whoever compares looks again before it becomes a difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sendledger.domain.contribution import day_of
from sendledger.domain.merging import PartialRecord, add, fitting
from sendledger.domain.message import NOTHING_READ, Offsets, joined
from sendledger.domain.partial import NO_CAMPAIGN, bounded, offsets_by_topic, version_of
from sendledger.domain.policies import DEFAULT, under
from sendledger.domain.published import Place, Published, StateRecord, counters_of
from sendledger.domain.refold import Refold, Total, offsets_of, reaches
from sendledger.domain.settled import Policy
from sendledger_schemas.states import FOLD_VERSION

What = Literal["partial", "series", "message", "state"]
Why = Literal["wrong", "behind"]


@dataclass(frozen=True)
class Difference:
    """One published number that is not the log's. `messages`: some of those behind it, `more`: how many others.

    `published` and `log` are the two numbers (or fields of a message state); None where there is none. `recipient_id`:
    of a message state, if the log knows it.
    """

    what: What
    why: Why
    campaign_id: str
    name: str
    published: Any
    log: Any
    partition: int | None = None
    day: str | None = None
    messages: tuple[str, ...] = ()
    more: int = 0
    recipient_id: str | None = None

    def place(self) -> Place | None:
        """The partial that it is about."""
        return (self.campaign_id, self.partition, self.day) if self.partition is not None else None


@dataclass(frozen=True)
class Late:
    """Something published that the log is ahead of: it has to reach `wanted`, by another record than `version`."""

    difference: Difference
    wanted: Offsets
    version: int = -1


def compare_partial(place: Place, partial: PartialRecord, total: Total) -> Iterator[Difference]:
    """A partial beside the facts up to its `to`."""
    campaign, partition, day = place
    told, known = counters_of(partial), bounded(total.part(day))
    what: What = "partial" if day is None else "series"
    for name in sorted({*told, *known}):
        if told.get(name, 0) != known.get(name, 0):
            yield Difference(what, "wrong", campaign, name, told.get(name, 0), known.get(name, 0), partition, day)
    to = offsets_of(partial.to)
    counted = _joined_with_cut(total.to, partial) if campaign == NO_CAMPAIGN else total.to
    if day is None and counted != to:
        to_is, to_should = offsets_by_topic(to), offsets_by_topic(counted)
        yield Difference(what, "wrong", campaign, "to", to_is, to_should, partition, day)
    if partial.version != version_of(to):
        yield Difference(what, "wrong", campaign, "version", partial.version, version_of(to), partition, day)
    if partial.fold_version != FOLD_VERSION:
        yield Difference(what, "wrong", campaign, "fold_version", partial.fold_version, FOLD_VERSION, partition, day)


def _joined_with_cut(to: Offsets, partial: PartialRecord) -> Offsets:
    """Orphans count what retention has cut as read (`PartitionFold`)."""
    first, second, third, fourth, fifth = offsets_of(partial.from_)
    return joined(to, (first - 1, second - 1, third - 1, fourth - 1, fifth - 1))


def late_partials(
    partition: int, published: Mapping[Place, PartialRecord], refold: Refold, proved: Callable[[str], bool]
) -> Iterator[Late]:
    """The parts of a partition that are not where the log ends. `proved`: whether a campaign can be."""
    for campaign, end in refold.end.items():
        if not proved(campaign):
            continue
        partial = published.get((campaign, partition, None))
        to = NOTHING_READ if partial is None else offsets_of(partial.to)
        if not reaches(to, end.to):
            told = 0 if partial is None else partial.version
            difference = Difference("partial", "behind", campaign, "version", told, version_of(end.to), partition)
            yield Late(difference, end.to)
        yield from _late_series(partition, campaign, published, end)


def _late_series(partition: int, campaign: str, published: Mapping[Place, PartialRecord], end: Total) -> Iterator[Late]:
    days = end.days() | {day for name, of, day in published if name == campaign and of == partition and day}
    for day in sorted(days):
        partial = published.get((campaign, partition, day))
        told = {} if partial is None else counters_of(partial)
        known = end.part(day)
        for name in sorted({*told, *known}):
            if told.get(name, 0) != known.get(name, 0):
                found = told.get(name, 0), known.get(name, 0)
                difference = Difference("series", "behind", campaign, name, *found, partition, day)
                version = -1 if partial is None else partial.version
                yield Late(difference, end.by_day.get(day, NOTHING_READ), version)
                break  # one of them tells that the record is behind


@dataclass
class Sums:
    """The numbers of whole campaigns at the `to` that their states carry, added up partition by partition."""

    main: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    series: defaultdict[str, dict[str, dict[str, int]]] = field(default_factory=lambda: defaultdict(dict))
    ends: defaultdict[str, dict[int, Offsets]] = field(default_factory=lambda: defaultdict(dict))
    under: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def take(self, partition: int, refold: Refold, states: Iterable[StateRecord]) -> None:
        """One partition is folded."""
        for campaign, end in refold.end.items():
            self.ends[campaign][partition] = end.to
        for state in states:
            to, campaign = state.offsets(partition), state.campaign_id
            if to is not None and (campaign, to) in refold.totals:
                total = refold.totals[campaign, to]
                add(self.main[campaign], bounded(total.part(None)))
                for day in total.days():
                    add(self.series[campaign].setdefault(day, {}), total.part(day))
                self.under[campaign].update(refold.under[campaign, to])

    def compare(self, state: StateRecord, orphans: Collection[int]) -> Iterator[Difference]:
        """A campaign's state beside the facts up to its `to`. `orphans`: the numbers of them that it may show."""
        campaign = state.campaign_id
        known: dict[str, int] = dict(bounded(self.main.get(campaign, {})))
        for name in sorted({*state.counters, *known}):
            if state.counters.get(name, 0) != known.get(name, 0):
                yield Difference("state", "wrong", campaign, name, state.counters.get(name, 0), known.get(name, 0))
        version = sum(version_of(offsets_of(to)) for to in state.to.values())
        if state.version != version:
            yield Difference("state", "wrong", campaign, "version", state.version, version)
        if state.orphans not in orphans:
            yield Difference("state", "wrong", campaign, "orphans", state.orphans, max(orphans))
        yield from self._series(state)

    def _series(self, state: StateRecord) -> Iterator[Difference]:
        known = fitting(dict(self.series.get(state.campaign_id, {})))
        for day in sorted({*state.series, *known}):
            told, said = state.series.get(day, {}), known.get(day, {})
            for name in sorted({*told, *said}):
                if told.get(name, 0) != said.get(name, 0):
                    found = told.get(name, 0), said.get(name, 0)
                    yield Difference("state", "wrong", state.campaign_id, name, *found, day=day)

    def behind(self, campaign: str, state: StateRecord | None) -> Difference | None:
        """Whether the log says more of a campaign than its state counts."""
        ends = self.ends[campaign]
        short = [
            partition
            for partition, end in ends.items()
            if state is None or not reaches(state.offsets(partition) or NOTHING_READ, end)
        ]
        if not short:
            return None
        version = sum(version_of(end) for end in ends.values())
        return Difference("state", "behind", campaign, "version", 0 if state is None else state.version, version)


@dataclass(frozen=True)
class Unproved:
    """Numbers that the log cannot prove any more: retention cut it, their last partials stand (DESIGN §5)."""

    campaign_id: str
    partitions: tuple[int, ...]


@dataclass
class Report:
    """What a run of `verify` found. `numbers`: how many counters, `messages`: how many message states it compared.

    `under`: with a policy, campaign → counter → (published, under that policy), where the two differ.
    """

    campaigns: int = 0
    numbers: int = 0
    messages: int = 0
    records: int = 0
    differences: list[Difference] = field(default_factory=list)
    unproved: list[Unproved] = field(default_factory=list)
    under: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)


def beside(state: StateRecord, log: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Counter → (published, what the log says under another policy) where they differ; series are left out."""
    known = {name: count for name, count in bounded(dict(log)).items() if day_of(name) is None}
    told = under(state.counters, DEFAULT)
    names = sorted({*told, *known})
    return {n: (told.get(n, 0), known.get(n, 0)) for n in names if told.get(n, 0) != known.get(n, 0)}


def differing_policy(state: StateRecord, log: Mapping[str, int], policy: Policy) -> Iterator[Difference]:
    """Whether readers who choose the policy see what the log says under it."""
    known = bounded({name: count for name, count in log.items() if day_of(name) is None})
    told = under(state.counters, policy)
    for name in sorted({*told, *known}):
        if told.get(name, 0) != known.get(name, 0):
            found = told.get(name, 0), known.get(name, 0)
            yield Difference("state", "wrong", state.campaign_id, f"{name} ({policy})", *found)


def named(difference: Difference, messages: Sequence[str], most: int) -> Difference:
    """The difference with the messages behind it."""
    return replace(difference, messages=tuple(messages[:most]), more=max(0, len(messages) - most))


def asks(published: Published, partition: int, only: str | None) -> dict[str, set[Offsets]]:
    """Campaign → every `to` at which something published wants to be compared."""
    wanted: defaultdict[str, set[Offsets]] = defaultdict(set)
    for place, partial in published.of_partition(partition).items():
        if only in (None, place[0]):
            wanted[place[0]].add(offsets_of(partial.to))
    for campaign, state in published.states.items():
        to = state.offsets(partition)
        if to is not None and only in (None, campaign):
            wanted[campaign].add(to)
    return wanted


def summary(report: Report) -> str:
    """A run in one line."""
    count = len(report.differences)
    found = "no difference" if not count else f"{count} difference{'s' if count > 1 else ''}"
    proved = f"{report.numbers} numbers of {report.campaigns} campaigns and {report.messages} message states"
    return f"verify: {proved}: {found}"
