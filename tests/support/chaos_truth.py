"""What stands on the fold's and the merge's topics against what the oracle makes of the log: nobody may differ.

Each topic is read as its readers read it, twice: with all of its records, and as compaction would leave it, only the
last record of each key. What stands between the two is then right as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from sendledger.config import Settings
from sendledger.domain.facts import decode_fact
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES, MESSAGE_STATE
from tests.support.folding import Records, read
from tests.support.kafka import eventually
from tests.support.oracle import Oracle, Read

NONE = "_none"
Place = tuple[str, int]
"""Campaign and partition."""


class _Partial(msgspec.Struct):
    campaign_id: str
    partition: int
    counters: dict[str, int]
    from_: dict[str, int] = msgspec.field(name="from")
    to: dict[str, int]
    version: int
    fold_version: int
    day: str | None
    archived: bool

    @property
    def rank(self) -> tuple[int, int, int, bool]:
        """The reading rule: the smaller `from` first, then the greater `version`, `fold_version`, then archived."""
        return -sum(self.from_.values()), self.version, self.fold_version, self.archived


class _State(msgspec.Struct):
    message_id: str
    bucket: str
    to: dict[str, int]
    version: int


class _Campaign(msgspec.Struct):
    counters: dict[str, int]
    series: dict[str, dict[str, int]]
    orphans: int
    to: dict[str, dict[str, int]]
    version: int


_partial = msgspec.json.Decoder(_Partial).decode
_state = msgspec.json.Decoder(_State).decode
_campaign = msgspec.json.Decoder(_Campaign).decode


@dataclass
class Truth:
    """What the log comes to. `to`: of each campaign's main partial; `messages`: bucket and `to` of each."""

    counters: dict[Place, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    to: dict[Place, dict[str, int]] = field(default_factory=dict)
    messages: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)

    def campaigns(self) -> dict[str, Counter[str]]:
        """Added up over the partitions."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for (campaign, _), counters in self.counters.items():
            found[campaign].update(counters)
        return found


def truth(log: Iterable[ConsumerRecord[Any, Any]]) -> Truth:
    """Recipient by recipient, for the oracle looks at everything at once."""
    reads: dict[tuple[int, str], list[Read]] = defaultdict(list)
    for record in log:
        fact = decode_fact(record.value)
        place = record.partition, fact.data.recipient_id
        reads[place].append((FOLD_SOURCES.index(record.topic), record.offset, fact))
    result = Truth()
    for (partition, _), mine in reads.items():
        oracle = Oracle(mine)
        for campaign, counters in oracle.told().items():
            result.counters[campaign, partition].update(counters)
        for message, to in oracle.to.items():
            result.messages[message] = oracle.buckets[message], to
            known = result.to.setdefault((oracle.lives[message].campaign, partition), dict.fromkeys(FOLD_SOURCES, -1))
            known.update({topic: max(offset, known[topic]) for topic, offset in to.items()})
    return result


def compacted(records: Records) -> Records:
    """What compaction would leave."""
    return list({record.key: record for record in records}.values())


def partials_differ(wanted: Truth, records: Records) -> list[str]:
    """Differences between the partials by their reading rule and the truth; at most a few."""
    best: dict[tuple[str, int, str | None], _Partial] = {}
    for record in records:
        partial = _partial(record.value)
        place = partial.campaign_id, partial.partition, partial.day
        if place not in best or partial.rank > best[place].rank:
            best[place] = partial
    counters: dict[Place, Counter[str]] = defaultdict(Counter)
    for (campaign, partition, _), partial in best.items():
        counters[campaign, partition].update(partial.counters)
    to = {place: best[(*place, None)].to for place in wanted.to if (*place, None) in best}
    return [
        *_differences("counters", dict(wanted.counters), {place: named for place, named in counters.items() if named}),
        *_differences("to", wanted.to, to),
    ]


def states_differ(wanted: Truth, records: Records) -> list[str]:
    """Differences between the states of the messages, of each the greatest version, and the truth."""
    best: dict[str, _State] = {}
    for record in records:
        state = _state(record.value)
        known = best.get(state.message_id)
        if known is None or state.version >= known.version:
            best[state.message_id] = state
    found = {name: (state.bucket, state.to) for name, state in best.items()}
    return _differences("message", wanted.messages, found)


def campaigns_differ(wanted: Truth, records: Records) -> list[str]:
    """Differences between the last state of each campaign and the truth."""
    last = {record.key.decode(): _campaign(record.value) for record in records}
    counters: dict[str, Counter[str]] = {}
    for name, state in last.items():
        counters[name] = Counter(state.counters)
        for series in state.series.values():
            counters[name].update(series)
    campaigns = wanted.campaigns()
    none = campaigns.pop(NONE, Counter())
    counters.pop(NONE, None)
    orphans = {name: state.orphans for name, state in last.items() if name != NONE}
    versions = {name: state.version for name, state in last.items() if name != NONE}
    summed: Counter[str] = Counter()
    for (name, _), to in wanted.to.items():
        summed[name] += sum(to.values()) + len(to)
    return [
        *_differences("state", campaigns, counters),
        *_differences("orphans", {name: none[f"orphans:{name}"] for name in campaigns}, orphans),
        *_differences("version", dict(summed), versions),
    ]


def _differences(what: str, wanted: Mapping[Any, Any], found: Mapping[Any, Any]) -> list[str]:
    wrong = [place for place in wanted.keys() | found.keys() if wanted.get(place) != found.get(place)]
    lines = [f"{what} of {place}: {_apart(wanted.get(place), found.get(place))}" for place in sorted(wrong, key=str)]
    return [f"{len(wrong)} of {len(wanted)} wrong: {'; '.join(lines[:3])}"] if wrong else []


def _apart(wanted: Any, found: Any) -> str:
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = sorted(wanted.keys() | found.keys())
        apart = {n: (wanted.get(n), found.get(n)) for n in names if wanted.get(n, 0) != found.get(n, 0)}
        return f"(wanted, found) {dict(list(apart.items())[:4])}"
    return f"wanted {wanted}, found {found}"


@dataclass(frozen=True)
class Verdict:
    """How a run ended. `spoiled`: messages of which compaction would keep another record than the true one."""

    events: int
    messages: int
    published: int
    spoiled: int


async def judge(settings: Settings, *, compacts: bool = True, within: float = 30.0) -> Verdict:
    """All published numbers against the log; the workers must have read it to its end. Errors: AssertionError.

    `compacts`: message states, too, must be right in what compaction leaves. `within`: seconds for the merge.
    """
    log = await read(settings, *FOLD_SOURCES)
    wanted = truth(log)
    partials, states = await read(settings, CAMPAIGN_PARTIALS), await read(settings, MESSAGE_STATE)
    wrong = {
        "partials": partials_differ(wanted, partials),
        "partials after compaction": partials_differ(wanted, compacted(partials)),
        "message states": states_differ(wanted, states),
    }
    assert not any(wrong.values()), wrong
    kept = {state.message_id: (state.bucket, state.to) for state in (_state(r.value) for r in compacted(states))}
    spoiled = sum(kept[name] != state for name, state in wanted.messages.items())
    assert not (compacts and spoiled), f"{spoiled} messages would be wrong after compaction"

    async def merged() -> bool:
        differences[:] = campaigns_differ(wanted, await read(settings, CAMPAIGN_STATE))
        return not differences

    differences: list[str] = []
    try:
        await eventually(merged, within)
    except AssertionError:
        raise AssertionError(f"the merge's states are wrong: {differences}") from None
    return Verdict(len(log), len(wanted.messages), len(partials) + len(states), spoiled)
