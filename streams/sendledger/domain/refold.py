"""What the log says of one partition, a recipient at a time: what `verify` holds the published numbers against.

Numbers are asked for by campaign and `to`, because a published number counts the facts up to its own `to` and no
others; the end of the log is one more such place. A message state is asked for at the `to` that it carries.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from sendledger.domain import plain, state_record
from sendledger.domain.contribution import contribution, day_of
from sendledger.domain.message import NOTHING_READ, Offsets, joined
from sendledger.domain.partial import NO_CAMPAIGN, version_of
from sendledger.domain.plain import Account, Seen
from sendledger.domain.settled import Policy
from sendledger_schemas.topics import FOLD_SOURCES

Ask = tuple[str, Offsets]
"""Campaign and `to`."""


def offsets_of(to: Mapping[str, int]) -> Offsets:
    """`to` or `from` of a record."""
    return tuple(to.get(topic, -1) for topic in FOLD_SOURCES)  # type: ignore[return-value]  # five, as there are topics


def reaches(to: Offsets, wanted: Offsets) -> bool:
    """Whether `to` includes everything that `wanted` does."""
    return all(have >= want for have, want in zip(to, wanted, strict=True))


class Cut(NamedTuple):
    """The facts up to somewhere: the account of them, and what each message counts, by its id."""

    account: Account
    bags: Mapping[str, tuple[str, ...]]

    def of(self, campaign: str) -> Iterator[tuple[str, tuple[str, ...], Offsets]]:
        """(message, what it counts, its `to`) of each message of a campaign."""
        for message_id, bag in self.bags.items():
            if self.account.messages[message_id].message.campaign_id == campaign:
                yield message_id, bag, self.account.to[message_id]


class Cuts:
    """The facts of one recipient, to be cut anywhere; what comes to the same facts is worked out once."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self._topics: list[list[Seen]] = [[] for _ in FOLD_SOURCES]
        for one in sorted(seen, key=lambda one: one.offset):
            self._topics[one.topic].append(one)
        self._offsets = [[one.offset for one in topic] for topic in self._topics]
        self._made: dict[tuple[int, ...], Cut] = {}
        self.whole = self._cut(tuple(map(len, self._topics)))

    def at(self, to: Offsets) -> Cut:
        """What the facts up to `to` come to."""
        return self._cut(tuple(map(bisect_right, self._offsets, to)))

    def _cut(self, lengths: tuple[int, ...]) -> Cut:
        made = self._made.get(lengths)
        if made is None:
            account = plain.account(one for topic, n in zip(self._topics, lengths, strict=True) for one in topic[:n])
            bags = {message_id: contribution(facts) for message_id, facts in account.messages.items()}
            made = self._made[lengths] = Cut(account, bags)
        return made


@dataclass
class Total:
    """A campaign's counters in this partition, those of all days among them, and the join of its messages' `to`."""

    counters: Counter[str] = field(default_factory=Counter)
    to: Offsets = NOTHING_READ
    by_day: dict[str, Offsets] = field(default_factory=dict)

    def part(self, day: str | None) -> dict[str, int]:
        """The counters of one record."""
        return {name: count for name, count in self.counters.items() if count and day_of(name) == day}

    def days(self) -> set[str]:
        """The days that have counters."""
        return {day for name, count in self.counters.items() if count and (day := day_of(name)) is not None}

    def add(self, bag: Iterable[str], to: Offsets) -> None:
        """One more message."""
        self.counters.update(bag)
        self.to = joined(self.to, to)

    def add_days(self, bag: Iterable[str], to: Offsets) -> None:
        """How far the record of each day that the message counts in has to be."""
        for day in {day_of(name) for name in bag} - {None}:
            self.by_day[day or ""] = joined(self.by_day.get(day or "", NOTHING_READ), to)


class WrongState(NamedTuple):
    """A field of a published message state that the log says otherwise; `log` None: it has no such message."""

    message_id: str
    campaign_id: str
    recipient_id: str
    field: str
    published: object
    log: object


class _Head(msgspec.Struct):
    campaign_id: str
    to: dict[str, int]


_head = msgspec.json.Decoder(_Head).decode


def _always(_campaign: str) -> bool:
    return True


class Refold:
    """The numbers of one partition. `asks`: campaign → every `to` at which its numbers are wanted.

    `totals`: what was asked for; `end`: every campaign at the end of the log; `under`: as `totals`, under `policy`.
    `behind`: messages whose published state is older than the log, as (campaign, recipient, its version, the `to` that
    it should have); `far` counts those beyond `most`. `only`: the one campaign that matters.
    """

    def __init__(
        self,
        partition: int,
        asks: Mapping[str, Collection[Offsets]],
        *,
        policy: Policy | None = None,
        only: str | None = None,
        most: int = 100_000,
    ) -> None:
        self._partition, self._asks, self._policy, self._only, self._most = partition, asks, policy, only, most
        self.totals: defaultdict[Ask, Total] = defaultdict(Total)
        self.under: defaultdict[Ask, Counter[str]] = defaultdict(Counter)
        self.end: defaultdict[str, Total] = defaultdict(Total)
        self.behind: dict[str, tuple[str, str, int | None, Offsets]] = {}
        self.far = 0
        self.wrong: list[WrongState] = []
        self.compared: Counter[str] = Counter()

    def take(self, seen: Iterable[Seen], states: Mapping[str, bytes], proved: Callable[[str], bool] = _always) -> None:
        """All facts of one recipient, and the published states of its messages. `proved`: if a campaign can be."""
        cuts = Cuts(seen)
        campaigns = {facts.message.campaign_id for facts in cuts.whole.account.messages.values()}
        for campaign in campaigns:
            if self._only in (None, campaign):
                self._campaign(campaign, cuts)
        if self._only is None:
            self._orphans(cuts)
        for message_id in cuts.whole.account.messages.keys() | states.keys():
            self._message(message_id, cuts, states.get(message_id), proved)

    def _campaign(self, campaign: str, cuts: Cuts) -> None:
        end = self.end[campaign]
        for _, bag, to in cuts.whole.of(campaign):
            end.add(bag, to)
            end.add_days(bag, to)
        for ask in self._asks.get(campaign, ()):
            cut, total = cuts.at(ask), self.totals[campaign, ask]
            for _, bag, to in cut.of(campaign):
                total.add(bag, to)
            if self._policy is not None:
                self.under[campaign, ask].update(plain.counters(cut.account, self._policy).get(campaign, {}))

    def _orphans(self, cuts: Cuts) -> None:
        self._count_orphans(self.end[NO_CAMPAIGN], cuts.whole.account)
        for ask in self._asks.get(NO_CAMPAIGN, ()):
            self._count_orphans(self.totals[NO_CAMPAIGN, ask], cuts.at(ask).account)

    @staticmethod
    def _count_orphans(total: Total, account: Account) -> None:
        total.to = joined(total.to, account.all_to)
        if account.orphans:
            total.counters.update(plain.counters(account).get(NO_CAMPAIGN, {}))

    def _message(self, message_id: str, cuts: Cuts, published: bytes | None, proved: Callable[[str], bool]) -> None:
        whole = cuts.whole.account
        known = whole.messages.get(message_id)
        head = None if published is None else _head(published)
        campaign = known.message.campaign_id if known is not None else (head.campaign_id if head else "")
        if self._only not in (None, campaign) or not proved(campaign):
            return
        if published is not None and head is not None:
            self.compared[campaign] += 1
            to = offsets_of(head.to)
            self._compare(message_id, campaign, published, cuts.at(to).account)
        else:
            to = NOTHING_READ
        if known is not None and not reaches(to, whole.to[message_id]):
            if len(self.behind) < self._most:
                told = None if published is None else version_of(to)
                self.behind[message_id] = campaign, known.message.recipient_id, told, whole.to[message_id]
            else:
                self.far += 1

    def _compare(self, message_id: str, campaign: str, published: bytes, account: Account) -> None:
        facts = account.messages.get(message_id)
        if facts is None:
            self.wrong.append(WrongState(message_id, campaign, "", "message_id", message_id, None))
            return
        expected = state_record.encode(facts, account.to[message_id], self._partition)
        if expected == published:
            return
        told, known = msgspec.json.decode(published), msgspec.json.decode(expected)
        self.wrong += [
            WrongState(message_id, campaign, facts.message.recipient_id, name, told.get(name), known.get(name))
            for name in sorted({*told, *known})
            if told.get(name) != known.get(name)
        ]
