"""The documents that one batch of records touches: loaded, stepped, and compared with what they were.

Facts join, so a recipient's head is made once, at the end of the batch, from what its messages and TRACKINGIDs have
become: a head a fact would cost several times as much (measured).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from sendledger.domain.contribution import HOUR, days_of_hours
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

    def fetch(self, names: Iterable[_K], load: Load) -> None:
        """Load those that were not loaded yet; `names` has each once."""
        loaded, key = self.loaded, self._key
        missing = [name for name in names if name not in loaded]
        if missing:
            self._put(missing, load(list(map(key, missing))))

    def fetch_of(self, names: Mapping[_K, str], heads: Mapping[str, Head | None], load: Load) -> None:
        """`fetch` for documents of recipients (name → recipient): whoever had no head has none of them."""
        loaded = self.loaded
        missing = [name for name, recipient in names.items() if name not in loaded and heads[recipient] is not None]
        self.fetch(missing, load)

    def _put(self, names: Iterable[_K], raws: Sequence[bytes | None]) -> None:
        """Documents as the store has them."""
        loaded, now, decode = self.loaded, self.now, self._decode
        for name, raw in zip(names, raws, strict=True):
            if raw is None:
                loaded[name] = None
            else:
                loaded[name] = now[name] = decode(raw)

    def change(self, name: _K, into: dict[bytes, bytes]) -> None:
        """Encode what differs from the store."""
        now = self.now.get(name)
        if now is not None and now is not self.loaded.get(name):
            into[self._key(name)] = _encode(now)


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


class Moves:
    """What the batch tells of one recipient.

    `evolved`: messages with new facts of their own; `touched`: these, and those whose TRACKINGIDs moved; `names`:
    TRACKINGIDs that moved; `hours`: in which new postbacks came; `to`: last offsets of the new facts. `before`, `head`:
    its head before the batch and, once that is finished, after it.
    """

    __slots__ = ("before", "evolved", "head", "hours", "names", "to", "touched")

    def __init__(self) -> None:
        self.evolved: set[str] = set()
        self.touched = self.evolved
        self.names: set[str] = set()
        self.hours: set[int] = set()
        self.to = list(NOTHING_READ)
        self.before = self.head = EMPTY


class Batch:
    """The documents of one batch. Order: `prefetch`, `step` by `step`, `finish`; then everything else may be asked."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._heads: Shelf[str, Head] = Shelf(Head, head_key)
        self._messages: Shelf[str, Message] = Shelf(Message, message_key)
        self._trackings: Shelf[Pair, Tracking] = Shelf(Tracking, tracking_key)
        self.before = View(self._heads.loaded, self._messages.loaded, self._trackings.loaded)
        self.after = View(self._heads.now, self._messages.now, self._trackings.now)
        self.moves: dict[str, Moves] = {}

    def prefetch(self, records: Sequence[tuple[int, int, Fact]]) -> None:
        """Load what the facts name: the heads, then what the recipients with a head have.

        Whoever has no head has nothing: the first fact of a recipient makes it. While a log is folded anew most have
        none, and two of three reads are saved.
        """
        messages: dict[str, str] = {}
        trackings: dict[Pair, str] = {}
        heads: dict[str, None] = {}
        for _, _, fact in records:
            if isinstance(fact, Postback):
                recipient = fact.data.recipient_id
                heads[recipient] = None
                trackings[recipient, fact.data.tracking_id or ""] = recipient
            else:
                data = fact.data
                heads[data.recipient_id] = None
                messages[data.message_id] = data.recipient_id
                if isinstance(fact, Accepted):
                    trackings[data.recipient_id, fact.data.tracking_id] = data.recipient_id
        self._heads.fetch(heads, self._load)
        known = self._heads.loaded
        self._messages.fetch_of(messages, known, self._load)
        self._trackings.fetch_of(trackings, known, self._load)

    def step(self, topic: int, offset: int, fact: Fact) -> None:
        """Evolve the documents by one fact."""
        if isinstance(fact, Postback):
            self._postback(offset, fact)
            return
        data = fact.data
        message_id, recipient = data.message_id, data.recipient_id
        messages = self._messages.now
        messages[message_id] = evolve(messages.get(message_id) or initial(fact), offset, fact)
        moves = self.moves.get(recipient) or self._moved(recipient)
        moves.evolved.add(message_id)
        moves.to[topic] = max(moves.to[topic], offset)
        if isinstance(fact, Accepted):
            self._own(moves, message_id, offset, (recipient, fact.data.tracking_id))

    def _moved(self, recipient: str) -> Moves:
        moves = self.moves[recipient] = Moves()
        return moves

    def _own(self, moves: Moves, message_id: str, offset: int, name: Pair) -> None:
        trackings = self._trackings.now
        trackings[name] = owned(trackings.get(name, NO_TRACKING), message_id, offset)
        moves.names.add(name[1])

    def _postback(self, offset: int, fact: Postback) -> None:
        data = fact.data
        claim, recipient, tracking_id = data.claim, data.recipient_id, data.tracking_id or ""
        if claim is None:
            return  # other origins and unknown codes are kept as events and left unfolded (PROVIDER, postbacks 4)
        name = recipient, tracking_id
        trackings = self._trackings.now
        trackings[name] = received(trackings.get(name, NO_TRACKING), offset, fact, claim)
        moves = self.moves.get(recipient) or self._moved(recipient)
        moves.names.add(tracking_id)
        moves.hours.add(micros(data.received_at) // HOUR)
        moves.to[POSTBACKS] = max(moves.to[POSTBACKS], offset)

    def finish(self) -> None:
        """Make the heads, then load what they and the touched documents name."""
        heads, messages, all_trackings = self._heads.now, self._messages.now, self._trackings.now
        for recipient, moves in self.moves.items():
            head = moves.before = heads.get(recipient, EMPTY)
            evolved = [messages[message_id] for message_id in moves.evolved]
            trackings = {name: all_trackings[recipient, name] for name in moves.names}
            to = joined(head.to, _offsets(moves.to))
            moves.head = heads[recipient] = head_after(head, evolved, trackings, to, days_of_hours(moves.hours))
            for tracking in trackings.values():
                if tracking.message_id is not None and tracking.message_id not in moves.touched:
                    moves.touched = moves.touched | {tracking.message_id}
        self._load_related()

    def _load_related(self) -> None:
        messages: set[str] = set()
        trackings: set[Pair] = set()
        for recipient, moves in self.moves.items():
            if moves.before is EMPTY:
                continue  # all that there is of it came with this batch
            messages |= moves.touched
            for head in (moves.before, moves.head):
                if head.unanswered or head.unmatched:
                    messages.update(head.unanswered)
                    pair = lone_pair(head)
                    if pair is not None:
                        messages.add(pair[1])
                        trackings.add((recipient, pair[0]))
        self._messages.fetch(messages, self._load)
        for message in filter(None, map(self._messages.now.get, messages)):
            trackings.update((message.recipient_id, name) for name in tracking_ids(message))
        self._trackings.fetch(trackings, self._load)

    def to(self) -> Offsets:
        """The last offsets of all facts of the batch."""
        moved = [moves.to for moves in self.moves.values()]
        return tuple(map(max, zip(*moved, strict=True))) if moved else NOTHING_READ

    def changes(self, recipient: str, moves: Moves, into: dict[bytes, bytes]) -> None:
        """The recipient's documents that differ from the store, encoded."""
        self._heads.change(recipient, into)
        for message_id in moves.evolved:
            self._messages.change(message_id, into)
        for name in moves.names:
            self._trackings.change((recipient, name), into)


def _offsets(to: list[int]) -> Offsets:
    return tuple(to)  # type: ignore[return-value]  # five, as NOTHING_READ has
