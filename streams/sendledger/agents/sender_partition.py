"""One partition of the sender: the journal folded into its store, and what may be claimed next.

State moves only by `apply`, by records of the log, own claims and answers included: so what is in memory and in the
store is a function of the log, and losing it costs time and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sendledger.agents.decoding import belongs, is_keyed
from sendledger.agents.sender_queue import Judge, Picked, Queue
from sendledger.domain import facts
from sendledger.domain.facts import MessageFact, Postback, decode_fact
from sendledger.domain.message import Message, evolve, initial
from sendledger.domain.sending import Open, place
from sendledger.edges.sender_store import Change, Opened, SenderStore
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import API_RESPONSES, DECISIONS, SEND_ATTEMPTS

JOURNAL = (SEND_ATTEMPTS, API_RESPONSES, DECISIONS)
"""What a partition's state is folded from, besides the requests."""

_CHUNK = 32
_MICROS = 1000


class Read(Protocol):
    """A record as aiokafka gives it; `timestamp` is the broker's, in milliseconds."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Written(NamedTuple):
    """A record of ours, as the log has it since it was acknowledged."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class HoleError(Exception):
    """Records are missing between what was read and what came."""


class GivenUpError(Exception):
    """The partition was lost before the journal could be read back."""


class Partition:
    """`targets`: ends of the journal when the partition was assigned; nothing is claimed before they are reached.

    `cut`: requests below this offset are never sent (retention). `default_expiry`: microseconds.
    """

    def __init__(
        self, number: int, store: SenderStore, targets: dict[str, int], *, cut: int, default_expiry: int
    ) -> None:
        self.number = number
        self.store = store
        self.cursors = dict(store.cursors)
        self.opened = store.opened()
        self.closing = False
        self.unreadable = 0
        self.handling = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.queue = Queue(store, cut=cut, default_expiry=default_expiry)
        self._targets = targets
        self._expiry = default_expiry
        self._readers: list[tuple[int, asyncio.Future[None]]] = []
        self._ahead: dict[str, dict[int, Sequence[Read]]] = {topic: {} for topic in JOURNAL}
        self._latest = 0
        self._abandoned = False
        for opened in self.opened.values():
            self.queue.took_off(opened.recipient_id)

    @property
    def caught_up(self) -> bool:
        """Whether the journal was read to where it ended at the assignment."""
        return all(self.cursors[topic] >= end for topic, end in self._targets.items())

    def take_in_hand(self) -> None:
        """A claim of ours is on its way to a call; the store is needed until `let_go`."""
        self.handling += 1
        self._idle.clear()

    def let_go(self) -> None:
        """The claim became a call, was given up, or was lost."""
        self.handling -= 1
        if not self.handling:
            self._idle.set()

    async def idle(self) -> None:
        """Return once nothing is in hand."""
        await self._idle.wait()

    # ------------------------------------------------------------------------------------------ the fold
    def apply(self, topic: str, records: Sequence[Read]) -> None:
        """Fold records of one topic, facts and cursor in one write. Errors: HoleError; UnknownVersion (stop)."""
        cursor = self.cursors[topic]
        known: list[tuple[int, int, MessageFact]] = []
        for record in records:
            if record.offset < cursor:
                continue
            if record.offset > cursor:
                raise HoleError(f"{topic}/{self.number}: {record.offset} came, {cursor} was expected")
            cursor = record.offset + 1
            self._latest = max(self._latest, record.timestamp * _MICROS)
            if (fact := self._decode(topic, record)) is not None:
                known.append((record.offset, record.timestamp * _MICROS, fact))
        if cursor == self.cursors[topic]:
            return
        changes = self._changes(known)
        self.cursors[topic] = cursor
        self.store.commit(changes, self.cursors)
        for change in changes:
            self._moved(change)
        if topic == SEND_ATTEMPTS:
            self._wake_readers(cursor)

    def wrote(self, topic: str, records: Sequence[Read]) -> bool:
        """A batch of ours stands on the log, whole and in order; whether that moved the cursor. Errors: as `apply`.

        What was read up to where it begins needs no reading of it: a log has one record at an offset, and this is it.
        Behind anything unread it waits for the reader, which brings whatever stands before it, and then itself.
        """
        ahead, before = self._ahead[topic], self.cursors[topic]
        ahead[records[0].offset] = records
        while (following := ahead.pop(self.cursors[topic], None)) is not None:
            self.apply(topic, following)
        for begins in [begins for begins in ahead if begins < self.cursors[topic]]:
            del ahead[begins]  # the reader has been there
        return self.cursors[topic] > before

    def _decode(self, topic: str, record: Read) -> MessageFact | None:
        try:
            fact = decode_fact(record.value or b"")
        except UnreadableEvent:
            self.unreadable += 1  # the fold reads the same record and gives it to the dead letters
            return None
        if isinstance(fact, Postback) or not belongs(fact, topic) or not is_keyed(fact, record.key):
            return None
        return fact

    def _changes(self, known: Iterable[tuple[int, int, MessageFact]]) -> list[Change]:
        known = list(known)
        names = list(dict.fromkeys(fact.data.message_id for _, _, fact in known))
        before = dict(zip(names, self.store.messages(names), strict=True))
        after: dict[str, Message] = {}
        claims: dict[tuple[str, int], Opened] = {}
        for offset, at, fact in known:
            data = fact.data
            name = data.message_id
            after[name] = evolve(after.get(name) or before[name] or initial(fact), offset, fact)
            if isinstance(fact, facts.Started) and offset == _claimed(after[name], fact.data.attempt):
                claims[name, fact.data.attempt] = Opened(data.recipient_id, fact.data.attempt, offset, at)
        return [self._change(before[name], message, claims) for name, message in after.items()]

    def _change(self, before: Message | None, message: Message, claims: Mapping[tuple[str, int], Opened]) -> Change:
        was = None if before is None else place(before, self._expiry)
        now = place(message, self._expiry)
        opened = None
        if isinstance(now, Open):
            known = self.opened.get(message.message_id)
            if known is None or known.attempt != now.attempt:
                known = claims.get((message.message_id, now.attempt))
            opened = known or self._read_before(message, now.attempt)
        return Change(message, was, now, opened)

    def _read_before(self, message: Message, attempt: int) -> Opened:
        """A claim that was read before the end of the attempt before it: topics are read side by side.

        When the broker appended it is not kept; not after the newest that was read since, nor long after its own time.
        """
        claim = message.attempts[attempt].claim
        assert claim is not None  # noqa: S101 — an attempt is open because it was claimed
        return Opened(message.recipient_id, attempt, claim.offset, max(self._latest, claim.at))

    def _moved(self, change: Change) -> None:
        message, was, now = change.message, change.before, change.now
        if change.opened is not None:
            if message.message_id not in self.opened:
                self.queue.took_off(message.recipient_id)
            self.opened[message.message_id] = change.opened
            self.queue.unreserve(message)
        if was != now:
            self.queue.moved(message, was, now)
        if not isinstance(now, Open) and self.opened.pop(message.message_id, None) is not None:
            self.queue.landed(message.recipient_id)

    # ------------------------------------------------------------------------------------------ read-back
    def _wake_readers(self, cursor: int) -> None:
        waiting = self._readers
        self._readers = [(offset, reader) for offset, reader in waiting if offset >= cursor]
        for offset, reader in waiting:
            if offset < cursor and not reader.done():
                reader.set_result(None)

    async def read_past(self, offset: int) -> None:
        """Return once the attempts have been read beyond `offset` (rule 4). Errors: GivenUpError."""
        if self._abandoned:
            raise GivenUpError
        if self.cursors[SEND_ATTEMPTS] > offset:
            return
        reader = asyncio.get_running_loop().create_future()
        self._readers.append((offset, reader))
        await reader

    def abandon(self) -> None:
        """Nobody will read the attempts for those who wait, now or later. Errors for them: GivenUpError."""
        self._abandoned = True
        for _, reader in self._readers:
            if not reader.done():
                reader.set_exception(GivenUpError())
        self._readers = []

    def message(self, message_id: str) -> Message:
        """The facts of a message that is known to be here."""
        (found,) = self.messages([message_id])
        return found

    def messages(self, message_ids: Sequence[str]) -> list[Message]:
        """The facts of messages that are known to be here, in the same order. Errors: KeyError."""
        found = [message for message in self.store.messages(message_ids) if message is not None]
        if len(found) != len(message_ids):
            raise KeyError("a message is not here")
        return found

    def is_open(self, message_id: str, attempt: int) -> bool:
        """Whether the journal has no end of this attempt yet."""
        opened = self.opened.get(message_id)
        return opened is not None and opened.attempt == attempt

    def pick(self, limit: int, judge: Judge, now: int) -> Picked:
        """See `Queue.pick`; nothing before the journal was read to where it ended, nothing while it is given up."""
        return Picked() if self.closing or not self.caught_up else self.queue.pick(limit, judge, now)


def _claimed(message: Message, attempt: int) -> int:
    tried = message.attempts[attempt]
    return -1 if tried.claim is None else tried.claim.offset
