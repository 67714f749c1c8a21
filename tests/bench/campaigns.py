"""Many campaigns on the topics that the API reads: registered, with numbers that the plain fold made of real events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sendledger.config import Settings
from sendledger.domain.facts import decode_fact
from sendledger.domain.plain import Seen, account, counters
from sendledger.domain.policies import dated
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger_schemas import ids
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.states import FOLD_VERSION, CampaignState
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS, FOLD_SOURCES
from tests.support.folding import lives, outgoing

SIZES = (60, 600, 3_000)
"""Messages of a campaign, in turn; of the largest over four hours."""

_STRETCH = 480.0
_AT_ONCE = 500


def name(number: int) -> str:
    """The id of a campaign."""
    return f"campaign-{number:05d}"


def templates() -> list[CampaignState]:
    """One state of each size, folded from the events of that many messages."""
    return [_folded(size, seed) for seed, size in enumerate(SIZES, 1)]


def _folded(messages: int, seed: int) -> CampaignState:
    seen: dict[bytes, list[Seen]] = defaultdict(list)
    ends: Counter[tuple[int, int]] = Counter()
    events = [(data, when * _STRETCH) for data, when in lives(messages, seed, campaigns=1)]
    for record in outgoing(events, 8):
        place = FOLD_SOURCES.index(record.topic), record.partition
        fact = decode_fact(record.value)
        seen[record.key].append(Seen(place[0], ends[place], 0, fact))
        ends[place] += 1
    total: Counter[str] = Counter()
    for facts in seen.values():
        total.update(counters(account(facts)).get("c0", Counter()))
    series: dict[str, dict[str, int]] = defaultdict(dict)
    for counter, count in total.items():
        if dated(counter):
            series[counter[:10]][counter] = count
    to = {str(p): {topic: ends[number, p] - 1 for number, topic in enumerate(FOLD_SOURCES)} for p in range(8)}
    return CampaignState(
        campaign_id="template",
        as_of=datetime.now(UTC),
        counters={counter: count for counter, count in total.items() if not dated(counter)},
        series=series,
        orphans=0,
        to=to,
        version=sum(ends.values()),
        fold_version=FOLD_VERSION,
    )


def state(template: CampaignState, number: int, step: int = 0) -> CampaignState:
    """A campaign's numbers, `step` further on: so many more messages are queued."""
    more = {counter: template.counters.get(counter, 0) + step for counter in ("requested", "b:queued")}
    return template.model_copy(
        update={
            "campaign_id": name(number),
            "counters": {**template.counters, **more},
            "version": template.version + step,
            "as_of": template.as_of + timedelta(seconds=step),
        }
    )


def record(made: CampaignState, partitions: int) -> Outgoing:
    """The record that the merge would write."""
    key = made.campaign_id
    return Outgoing(CAMPAIGN_STATE, ids.partition_of(key, partitions), key.encode(), made.model_dump_json().encode())


async def write(settings: Settings, campaigns: int, made: list[CampaignState]) -> None:
    """Register the campaigns and publish their numbers."""
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        for first in range(0, campaigns, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, campaigns))
            await publish(out, [*_registrations(numbers), *_states(numbers, made, settings.partitions)])


def _registrations(numbers: range) -> Iterator[Outgoing]:
    for number in numbers:
        data = CampaignRegistered(campaign_id=name(number), name=f"Spring sale {number}", by="token:bench")
        happened = event(data, id=f"registered-{number}", source="bench", time=datetime.now(UTC))
        yield Outgoing(CAMPAIGNS, 0, name(number).encode(), encode(happened), HEADERS)


def _states(numbers: range, made: list[CampaignState], partitions: int) -> Iterator[Outgoing]:
    for number in numbers:
        yield record(state(made[number % len(made)], number), partitions)
