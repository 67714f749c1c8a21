"""Which messages stand behind a difference: found by folding the partitions concerned once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer

from sendledger.domain.message import NOTHING_READ, Offsets
from sendledger.domain.plain import Seen
from sendledger.domain.published import Published
from sendledger.domain.refold import Cuts, offsets_of
from sendledger.domain.verification import Difference, named
from sendledger.edges.verify.log import Range, facts
from sendledger.edges.verify.spill import Spill

MOST_MESSAGES = 10
"""Named with a difference; of the others the number is told."""


@dataclass
class _Search:
    """One difference. `at`: by partition, up to where the number that differs counts."""

    difference: Difference
    at: dict[int, Offsets]
    found: list[str] = field(default_factory=list)

    def look(self, partition: int, cuts: Cuts) -> None:
        campaign, to = self.difference.campaign_id, self.at[partition]
        if self.difference.why == "wrong":
            mine = cuts.at(to).of(campaign)
            self.found += [message_id for message_id, bag, _ in mine if self.difference.name in bag]
            return
        then = {message_id: (bag, up_to) for message_id, bag, up_to in cuts.at(to).of(campaign)}
        now = cuts.whole.of(campaign)
        self.found += [message_id for message_id, bag, up_to in now if then.get(message_id) != (bag, up_to)]


def _search(difference: Difference, published: Published, partitions: Sequence[int]) -> _Search:
    if difference.what == "state":
        state = published.states.get(difference.campaign_id)
        to = {p: (state.offsets(p) if state else None) or NOTHING_READ for p in partitions}
        return _Search(difference, to)
    place = difference.place()
    partial = None if place is None else published.best(place)
    at = NOTHING_READ if partial is None else offsets_of(partial.to)
    return _Search(difference, {} if difference.partition is None else {difference.partition: at})


async def explained(
    differences: Sequence[Difference], published: Published, spans: Mapping[int, Range], reader: AIOKafkaConsumer
) -> list[Difference]:
    """The differences with the messages behind them; those about one message name it already."""
    searches = [_search(d, published, list(spans)) for d in differences if d.what != "message"]
    for partition in sorted({partition for search in searches for partition in search.at}):
        concerned = [search for search in searches if partition in search.at]
        if partition in spans:
            await _look(concerned, partition, spans[partition], reader)
    told = {id(s.difference): named(s.difference, sorted(set(s.found)), MOST_MESSAGES) for s in searches}
    return [told.get(id(difference), difference) for difference in differences]


async def _look(searches: Sequence[_Search], partition: int, span: Range, reader: AIOKafkaConsumer) -> None:
    campaigns: defaultdict[str, list[_Search]] = defaultdict(list)
    for search in searches:
        campaigns[search.difference.campaign_id].append(search)
    with Spill(span.records) as spill:
        async for batch in facts(reader, partition, span):
            for one in batch:
                spill.fact(one)
        for seen, _ in spill.buckets():
            for of_recipient in seen.values():
                _each(of_recipient, partition, campaigns)


def _each(seen: Sequence[Seen], partition: int, campaigns: Mapping[str, Sequence[_Search]]) -> None:
    cuts = Cuts(seen)
    for campaign in {mine.message.campaign_id for mine in cuts.whole.account.messages.values()}:
        for search in campaigns.get(campaign, ()):
            search.look(partition, cuts)
