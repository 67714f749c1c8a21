"""The documents that one batch of records touches: loaded, stepped, and compared with what they were.

Facts join, so a recipient's head is made once, at the end of the batch, from what its messages and TRACKINGIDs have
become: a head a fact would cost several times as much (measured).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from sendledger.domain.contribution import day_at
from sendledger.domain.facts import Accepted, Fact, Postback, micros
from sendledger.domain.message import NOTHING_READ, POSTBACKS, Message, Offsets, evolve, initial, joined
from sendledger.domain.postbacks import NO_TRACKING, Tracking, owned, received
from sendledger.domain.recipient import EMPTY, Head, adopts, facts_of, head_after, lone_pair, tracking_ids
from sendledger.domain.settled import Facts

Load = Callable[[list[bytes]], Sequence[bytes | None]]
"""Keys → stored documents (None = there is none)."""

Pair = tuple[str, str]
"""(TRACKINGID, message id) of an adoption; also (recipient id, TRACKINGID), the name of what came under it."""

_encode = msgspec.msgpack.Encoder().encode
_D = TypeVar("_D", Head, Message, Tracking)
_K = TypeVar("_K", bound=Hashable)


def head_key(recipient_id: str) -> bytes:
    """Key of a recipient's head."""
    return b"r" + recipient_id.encode()


def message_key(message_id: str) -> bytes:
    """Key of a message."""
    return b"m" + message_id.encode()


def tracking_key(name: Pair) -> bytes:
    """Key of a TRACKINGID: it counts only together with its recipient."""
    return f"t{name[0]}/{name[1]}".encode()


class Shelf(Generic[_K, _D]):
    """The documents of one kind in this batch, by name: `loaded` as stored, `now` as they stand."""

    def __init__(self, of: type[_D], key: Callable[[_K], bytes]) -> None:
        self._decode: Callable[[bytes], _D] = msgspec.msgpack.Decoder(of).decode
        self._key = key
        self.loaded: dict[_K, _D | None] = {}
        self.now: dict[_K, _D] = {}

    def missing(self, names: Iterable[_K]) -> list[_K]:
        """Those that were not loaded yet; `names` has each once."""
        loaded = self.loaded
        return [name for name in names if name not in loaded] if loaded else list(names)

    def keys(self, names: list[_K]) -> list[bytes]:
        """Their keys in the store."""
        return list(map(self._key, names))

    def put(self, names: list[_K], raws: Sequence[bytes | None]) -> None:
        """Documents as the store has them."""
        for name, raw in zip(names, raws, strict=True):
            if raw is None:
                self.loaded[name] = None
            else:
                self.loaded[name] = self.now[name] = self._decode(raw)

    def changes(self) -> Iterator[tuple[bytes, bytes]]:
        """What differs from the store, encoded."""
        loaded, key = self.loaded, self._key
        return ((key(name), _encode(now)) for name, now in self.now.items() if now is not loaded.get(name))


class View:
    """One side of a batch: how things stood before it, or stand after it."""

    def __init__(
        self,
        heads: dict[str, Head | None] | dict[str, Head],
        messages: dict[str, Message | None] | dict[str, Message],
        trackings: dict[Pair, Tracking | None] | dict[Pair, Tracking],
    ) -> None:
        self._heads, self._messages, self._trackings = heads, messages, trackings

    def head(self, recipient: str) -> Head:
        """The recipient's head."""
        return self._heads.get(recipient) or EMPTY

    def adoption(self, recipient: str, head: Head) -> Pair | None:
        """(TRACKINGID, message id) where the lone TRACKINGID settles the lone unanswered attempt (DESIGN §4)."""
        pair = lone_pair(head)
        if pair is None:
            return None
        tracking_id, message_id, number = pair
        message = self._messages.get(message_id)
        tracking = self._trackings.get((recipient, tracking_id))
        if message is None or tracking is None or not adopts(message, number, tracking):
            return None
        return tracking_id, message_id

    def trackings(self, message: Message) -> dict[str, Tracking]:
        """What came under the TRACKINGIDs that the message's responses gave it."""
        found = {}
        for name in tracking_ids(message):
            tracking = self._trackings.get((message.recipient_id, name))
            if tracking is not None:
                found[name] = tracking
        return found

    def facts(self, recipient: str, message_id: str, adoption: Pair | None) -> tuple[Facts, dict[str, Tracking]] | None:
        """The message with its postbacks, once its request is known; and its trackings."""
        message = self._messages.get(message_id)
        if message is None or message.request is None:
            return None
        mine = self.trackings(message)
        adopted = None
        if adoption is not None and adoption[1] == message_id:
            tracking = self._trackings.get((recipient, adoption[0]))
            adopted = None if tracking is None else (adoption[0], tracking)
        return facts_of(message, mine, adopted), mine


class _Moves:
    """What the batch tells of one recipient. `touched`: messages to settle; `evolved`: with facts of their own."""

    __slots__ = ("days", "evolved", "names", "to", "touched")

    def __init__(self) -> None:
        self.touched: set[str] = set()
        self.evolved: set[str] = set()
        self.names: set[str] = set()
        self.days: set[str] = set()
        self.to = list(NOTHING_READ)


class Batch:
    """The documents of one batch. Order: `prefetch`, `step` by `step`, `finish`; then everything else may be asked."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._heads: Shelf[str, Head] = Shelf(Head, head_key)
        self._messages: Shelf[str, Message] = Shelf(Message, message_key)
        self._trackings: Shelf[Pair, Tracking] = Shelf(Tracking, tracking_key)
        self.before = View(self._heads.loaded, self._messages.loaded, self._trackings.loaded)
        self.after = View(self._heads.now, self._messages.now, self._trackings.now)
        self._moves: dict[str, _Moves] = {}

    def prefetch(self, records: Sequence[tuple[int, int, Fact]]) -> None:
        """Load what the facts name, in one read of many keys."""
        heads: dict[str, None] = {}
        messages: dict[str, None] = {}
        trackings: dict[Pair, None] = {}
        for _, _, fact in records:
            data = fact.data
            recipient = data.recipient_id
            heads[recipient] = None
            if isinstance(fact, Postback):
                trackings[recipient, fact.data.tracking_id or ""] = None
            else:
                messages[fact.data.message_id] = None
                if isinstance(fact, Accepted):
                    trackings[recipient, fact.data.tracking_id] = None
        self._fetch(heads, messages, trackings)

    def _fetch(self, heads: Iterable[str], messages: Iterable[str], trackings: Iterable[Pair]) -> None:
        some, more, most = (
            self._heads.missing(heads),
            self._messages.missing(messages),
            self._trackings.missing(trackings),
        )
        keys = self._heads.keys(some) + self._messages.keys(more) + self._trackings.keys(most)
        if keys:
            raws = self._load(keys)
            split = len(some) + len(more)
            self._heads.put(some, raws[: len(some)])
            self._messages.put(more, raws[len(some) : split])
            self._trackings.put(most, raws[split:])

    def step(self, topic: int, offset: int, fact: Fact) -> None:
        """Evolve the documents by one fact."""
        if isinstance(fact, Postback):
            self._postback(offset, fact)
            return
        data = fact.data
        message_id = data.message_id
        messages = self._messages.now
        message = messages[message_id] = evolve(messages.get(message_id) or initial(fact), offset, fact)
        moves = self._move(data.recipient_id, topic, offset)
        moves.touched.add(message_id)
        moves.evolved.add(message_id)
        if isinstance(fact, Accepted):
            self._own(moves, message, offset, fact.data.tracking_id)

    def _move(self, recipient: str, topic: int, offset: int) -> _Moves:
        moves = self._moves.get(recipient)
        if moves is None:
            moves = self._moves[recipient] = _Moves()
        moves.to[topic] = max(moves.to[topic], offset)
        return moves

    def _own(self, moves: _Moves, message: Message, offset: int, tracking_id: str) -> None:
        name = message.recipient_id, tracking_id
        known = self._trackings.now.get(name, NO_TRACKING)
        self._trackings.now[name] = owned(known, message.message_id, offset)
        moves.names.add(tracking_id)
        if known.message_id is not None:
            moves.touched.add(known.message_id)

    def _postback(self, offset: int, fact: Postback) -> None:
        data = fact.data
        claim, recipient, tracking_id = data.claim, data.recipient_id, data.tracking_id or ""
        if claim is None:
            return  # other origins and unknown codes are kept as events and left unfolded (PROVIDER, postbacks 4)
        name = recipient, tracking_id
        tracking = received(self._trackings.now.get(name, NO_TRACKING), offset, fact, claim)
        self._trackings.now[name] = tracking
        moves = self._move(recipient, POSTBACKS, offset)
        moves.names.add(tracking_id)
        moves.days.add(day_at(micros(data.received_at)))
        if tracking.message_id is not None:
            moves.touched.add(tracking.message_id)

    def finish(self) -> None:
        """Make the heads, then load what they and the touched documents name."""
        for recipient, moves in self._moves.items():
            head = self._heads.now.get(recipient, EMPTY)
            self._heads.now[recipient] = head_after(
                head,
                [self._messages.now[message_id] for message_id in moves.evolved],
                {name: self._trackings.now[recipient, name] for name in moves.names},
                joined(head.to, _offsets(moves.to)),
                moves.days,
            )
        self._load_related()

    def _load_related(self) -> None:
        trackings: set[Pair] = set()
        related: set[str] = set()
        for recipient, moves in self._moves.items():
            related |= moves.touched
            for head in (self._heads.now[recipient], self._heads.loaded[recipient]):
                if head is not None and (head.unanswered or head.unmatched):
                    related.update(head.unanswered)
                    pair = lone_pair(head)
                    if pair is not None:
                        related.add(pair[1])
                        trackings.add((recipient, pair[0]))
        self._fetch((), related, trackings)
        messages = self._messages.now
        found = [messages[message_id] for message_id in related if message_id in messages]
        self._fetch((), (), {(m.recipient_id, name) for m in found if m.attempts for name in tracking_ids(m)})

    def touched(self) -> Iterator[tuple[str, set[str]]]:
        """Each recipient that has moved, and its messages whose own facts moved."""
        return ((recipient, moves.touched) for recipient, moves in self._moves.items())

    def documents(self) -> dict[bytes, bytes]:
        """What changed, encoded."""
        documents = dict(self._heads.changes())
        documents.update(self._messages.changes())
        documents.update(self._trackings.changes())
        return documents


def _offsets(to: list[int]) -> Offsets:
    return tuple(to)  # type: ignore[return-value]  # five, as NOTHING_READ has
