"""The records of some messages and parts once more, from the documents as they are stored, and nothing changed.

What `verify --repair` asks of a fold: the compacted topic lost its last word to a worker that woke up late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from sendledger.domain import state_record
from sendledger.domain.batch import Load, Pair, View, head_key, message_key, tracking_key
from sendledger.domain.fold import Changes, Publication, part_key
from sendledger.domain.message import Message
from sendledger.domain.partial import Origin, Part, record, record_key
from sendledger.domain.postbacks import Tracking
from sendledger.domain.recipient import Head, lone_pair, offsets_of, tracking_ids

_K = TypeVar("_K")
_D = TypeVar("_D", Head, Message, Tracking, Part)


def published_again(
    load: Load, origin: Origin, campaign_id: str, days: Iterable[str], message_ids: Sequence[str]
) -> Changes:
    """The campaign's main part and those of these days, and the states of these of its messages; no documents."""
    changes = Changes()
    parts = _found(load, Part, lambda day: part_key(campaign_id, day), (None, *days))
    for day, part in parts.items():
        key = record_key(campaign_id, origin, day)
        changes.partials.append(Publication(key, campaign_id, record(campaign_id, origin, day, part)))
    asked = _found(load, Message, message_key, message_ids)
    mine = {message_id: message for message_id, message in asked.items() if message.campaign_id == campaign_id}
    heads = _found(load, Head, head_key, {message.recipient_id for message in mine.values()})
    view = _view(load, heads, mine)
    for message_id, message in mine.items():
        head = heads[message.recipient_id]
        found = view.facts(message.recipient_id, message_id, view.adoption(message.recipient_id, head))
        if found is not None:
            facts, trackings = found
            value = state_record.encode(facts, offsets_of(message, trackings, head), origin.partition)
            changes.messages.append(Publication(message_id, campaign_id, value))
    return changes


def _view(load: Load, heads: dict[str, Head], messages: Mapping[str, Message]) -> View:
    """With all that the messages' postbacks and adoptions depend on."""
    pairs = {recipient: pair for recipient, head in heads.items() if (pair := lone_pair(head)) is not None}
    others = {pair[1] for pair in pairs.values()} - messages.keys()
    known = {**messages, **_found(load, Message, message_key, others)}
    names: set[Pair] = {(recipient, pair[0]) for recipient, pair in pairs.items()}
    names.update((message.recipient_id, name) for message in known.values() for name in tracking_ids(message))
    return View(heads, known, _found(load, Tracking, tracking_key, names))


def _found(load: Load, of: type[_D], key: Callable[[_K], bytes], names: Iterable[_K]) -> dict[_K, _D]:
    wanted = list(names)
    raws = load([key(name) for name in wanted]) if wanted else ()
    decode = msgspec.msgpack.Decoder(of).decode
    return {name: decode(raw) for name, raw in zip(wanted, raws, strict=True) if raw is not None}
