"""The fold of one partition: records in, changed documents and records to publish out.

Pure: documents are asked for by key. Order within a batch: 1 load the documents that the facts name · 2 evolve, fact by
fact · 3 for each touched recipient contribution(after) − contribution(before) of every message whose facts or adoption
moved · 4 the partials change by these differences. Publishing and writing are the shell's (agents/fold.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from sendledger.domain import state_record
from sendledger.domain.batch import Batch, Load, Moves, Pair
from sendledger.domain.contribution import contribution
from sendledger.domain.facts import Fact
from sendledger.domain.message import Offsets, joined
from sendledger.domain.partial import EMPTY_PART, NO_CAMPAIGN, Origin, Part, changed, record, record_key
from sendledger.domain.recipient import Head, days_of, offsets_of
from sendledger.domain.settled import Facts
from sendledger.domain.tally import PartName, Tally

_encode = msgspec.msgpack.Encoder().encode


def part_key(campaign_id: str, day: str | None) -> bytes:
    """Key of a campaign's part; the parts of one campaign stand together."""
    return b"p" + campaign_id.encode() + (b"" if day is None else b"/" + day.encode())


Counted = tuple[tuple[str, ...], frozenset[str]]
"""A message's contribution, and the days of the series that it could count in."""


class Publication(msgspec.Struct, gc=False):
    """One record to publish: partition by `campaign_id` for partials, by the fold's own partition for messages."""

    key: str
    campaign_id: str
    value: bytes


@dataclass
class Changes:
    """What a batch changed: `documents` to write, `partials` and `messages` to publish before that."""

    documents: dict[bytes, bytes] = field(default_factory=dict)
    partials: list[Publication] = field(default_factory=list)
    messages: list[Publication] = field(default_factory=list)


class PartitionFold:
    """The fold of one partition. Keeps between batches only what follows from the documents that it wrote.

    That is the campaigns' parts, and of messages what they counted last: a message is settled whenever what it
    counts could have changed, so what it counted then is what it counted before the next batch.
    """

    def __init__(self, load: Load, origin: Origin, parts_kept: int = 2_000, counted_kept: int = 10_000) -> None:
        self._load = load
        self._origin = origin
        # What the log no longer holds counts as read: `_none` begins anew on a cut log, and must not seem the lesser.
        self._cut = cast("Offsets", tuple(first - 1 for first in origin.from_))
        self._parts_kept, self._counted_kept = parts_kept, counted_kept
        self._parts: dict[bytes, Part] = {}
        self._counted: dict[str, Counted] = {}
        self._batch = Batch(load)

    def fold(self, records: Sequence[tuple[int, int, Fact]]) -> Changes:
        """Fold (source topic, offset, fact) triples, each topic's in log order. Orphans stand under `_none`."""
        self.add(records)
        return self.finish()

    def add(self, records: Sequence[tuple[int, int, Fact]]) -> None:
        """The first of the two steps of `fold`; a batch may be given in pieces, which is easier on the caches."""
        batch = self._batch
        batch.prefetch(records)
        for topic, offset, fact in records:
            batch.step(topic, offset, fact)

    def finish(self) -> Changes:
        """What everything added since the last `finish` changes."""
        batch, self._batch = self._batch, Batch(self._load)
        batch.finish()
        tally, changes = Tally(), Changes()
        for recipient, moves in batch.moves.items():
            self._settle(batch, recipient, moves, tally, changes)
            batch.changes(recipient, moves, changes.documents)
        if batch.moves:
            tally.moved(NO_CAMPAIGN, joined(batch.to(), self._cut))
        self._count(tally, changes)
        for message_id in list(self._counted)[: max(0, len(self._counted) - self._counted_kept)]:
            del self._counted[message_id]
        return changes

    def _settle(self, batch: Batch, recipient: str, moves: Moves, tally: Tally, changes: Changes) -> None:
        """The difference that the batch makes to every message of a recipient that it moved, and to the orphans."""
        head_before, head, touched = moves.before, moves.head, moves.touched
        pair_before = batch.before.adoption(recipient, head_before) if head_before.unmatched else None
        pair = batch.after.adoption(recipient, head) if head.unmatched else None
        for message_id in sorted(touched.union(head.unanswered)) if head.unanswered else touched:
            now = batch.after.facts(recipient, message_id, pair)
            if now is None:
                continue
            after, mine = now
            counted = self._counted.pop(message_id, None)
            if counted is None:
                counted = _counted(batch.before.facts(recipient, message_id, pair_before), head_before)
            bag, days = self._counted[message_id] = contribution(after), days_of(after, head)
            campaign = after.message.campaign_id
            to = offsets_of(after.message, mine, head)
            tally.moved(campaign, to, days if days == counted[1] else days | counted[1])
            tally.changed(campaign, counted[0], bag)
            value = state_record.encode(after, to, self._origin.partition)
            changes.messages.append(Publication(message_id, campaign, value))
        if head.unmatched or head_before.unmatched:
            tally.changed(NO_CAMPAIGN, _orphans(head_before, pair_before), _orphans(head, pair))

    def _count(self, tally: Tally, changes: Changes) -> None:
        parts = list(tally.parts())
        self._load_parts([name for name, _, _ in parts])
        for (campaign, day), to, change in parts:
            key = part_key(campaign, day)
            part = changed(self._parts.pop(key), change, to)
            self._parts[key] = part  # put back last: the cache forgets what was not used for longest
            changes.documents[key] = _encode(part)
            value = record(campaign, self._origin, day, part)
            changes.partials.append(Publication(record_key(campaign, self._origin, day), campaign, value))
        for key in list(self._parts)[: max(0, len(self._parts) - self._parts_kept)]:
            del self._parts[key]

    def _load_parts(self, names: Sequence[PartName]) -> None:
        keys = [part_key(campaign, day) for campaign, day in names]
        missing = [key for key in keys if key not in self._parts]
        for key, raw in zip(missing, self._load(missing) if missing else (), strict=True):
            self._parts[key] = EMPTY_PART if raw is None else msgspec.msgpack.decode(raw, type=Part)


_NEVER_COUNTED: Counted = (), frozenset()


def _counted(facts: tuple[Facts, object] | None, head: Head) -> Counted:
    return _NEVER_COUNTED if facts is None else (contribution(facts[0]), days_of(facts[0], head))


def _orphans(head: Head, pair: Pair | None) -> tuple[str, ...]:
    adopted = None if pair is None else pair[0]
    count = sum(n for name, n in head.unmatched.items() if name != adopted)
    return ("orphans", *(f"orphans:{campaign}" for campaign in head.campaigns)) * count
