"""One partition of the log in memory, and real sender partitions (RocksDB and all) that read as far as a test says."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sendledger.agents.sender_partition import JOURNAL, Partition
from sendledger.agents.sender_queue import Pick, Picked
from sendledger.domain.campaigns import Standing
from sendledger.domain.facts import micros
from sendledger.domain.sending import won
from sendledger.edges.rocksdb import DamagedStoreError, StoreError
from sendledger.edges.sender_store_opening import open_store, shared_cache
from sendledger_schemas import envelope
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import SEND_ATTEMPTS, SEND_REQUESTS, TOPICS
from tests.support import story
from tests.support.story import START

TOPIC_OF = {model: topic for topic in (SEND_REQUESTS, *JOURNAL) for model in TOPICS[topic].events}
WEEK = 7 * 24 * 3600 * 1_000_000
NOON = micros(START)


@dataclass(frozen=True)
class Record:
    """A record as a consumer gives it."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None


@dataclass
class Log:
    """The sender's four topics of one partition."""

    topics: dict[str, list[Record]] = field(default_factory=lambda: {topic: [] for topic in (SEND_REQUESTS, *JOURNAL)})
    seconds: float = 0

    def add(self, *events: Data) -> int:
        """Append events, each to its topic, at the log's own time; the last one's offset."""
        offset = -1
        for data in events:
            log = self.topics[TOPIC_OF[type(data)]]
            offset = len(log)
            when = START + timedelta(seconds=self.seconds)
            raw = envelope.encode(envelope.event(data, id=f"{data.TYPE}-{offset}", source="tests", time=when))
            log.append(Record(offset, micros(when) // 1000, raw, data.recipient_id.encode()))  # type: ignore[union-attr]  # all of these have one
        return offset

    def ends(self) -> dict[str, int]:
        """Topic → the offset after the last record."""
        return {topic: len(log) for topic, log in self.topics.items()}


@dataclass
class Orders:
    """What people ordered."""

    standings: dict[str, Standing] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)

    def standing(self, campaign_id: str) -> Standing:
        """Whether a campaign may send."""
        return self.standings.get(campaign_id, "open")

    def is_suppressed(self, recipient_id: str) -> bool:
        """Whether a recipient must get nothing."""
        return recipient_id in self.suppressed

    def cancellations(self) -> int:
        """How many campaigns are cancelled."""
        return list(self.standings.values()).count("cancelled")


@dataclass
class Worker:
    """A sender of this partition, reading `log` with a store of its own."""

    log: Log
    path: Path
    orders: Orders = field(default_factory=Orders)
    cut: int = 0
    partition: Partition = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open, as at an assignment: the journal has to be read to where it ends now."""
        ends = self.log.ends()
        store = open_store(self.path, _CACHE, "one log", ends)
        targets = {topic: ends[topic] for topic in JOURNAL}
        try:
            self.partition = Partition(3, store, targets, cut=self.cut, default_expiry=WEEK)
        except DamagedStoreError:  # its process would end
            with contextlib.suppress(StoreError):
                store.close()
            raise
        for topic in ends:
            self.partition.cursors.setdefault(topic, 0)

    def reopen(self, *, lose_store: bool = False) -> None:
        """End and start again; what was in memory is gone, the store perhaps too."""
        self.close()
        if lose_store:
            shutil.rmtree(self.path)
        self.open()

    def close(self) -> None:
        """Give the store back."""
        self.partition.store.close()

    def read(self, topic: str | None = None, limit: int | None = None) -> None:
        """Read one topic or all, so many records or to the end."""
        for name in [topic] if topic else [SEND_REQUESTS, *JOURNAL]:
            cursor = self.partition.cursors[name]
            end = None if limit is None else cursor + limit
            self.partition.apply(name, self.log.topics[name][cursor:end])

    def pick(self, limit: int = 100, seconds: float = 0) -> Picked:
        """What may be claimed so many seconds after noon."""
        return self.partition.pick(limit, self.orders, NOON + int(seconds * 1_000_000))

    def picked(self, limit: int = 100, seconds: float = 0) -> list[str]:
        """The ids of the messages that may be claimed; they count as picked from then on."""
        return [pick.message.message_id for pick in self.pick(limit, seconds).claims]

    def claim(self, pick: Pick) -> int:
        """Write a claim."""
        message = pick.message
        return self.log.add(
            story.started(message.message_id, message.recipient_id, message.campaign_id, attempt=pick.attempt)
        )

    def has_won(self, pick: Pick, offset: int) -> bool:
        """Read the attempts beyond the claim; whether it counts."""
        behind = max(0, offset + 1 - self.partition.cursors[SEND_ATTEMPTS])
        self.read(SEND_ATTEMPTS, behind)
        mine = won(self.partition.message(pick.message.message_id), pick.attempt, offset)
        if not mine:
            self.partition.queue.unreserve(pick.message)
        return mine

    def go(self, limit: int = 100, seconds: float = 0) -> list[Pick]:
        """Pick, claim and read back; the picks that won."""
        claims = [(pick, self.claim(pick)) for pick in self.pick(limit, seconds).claims]
        return [pick for pick, offset in claims if self.has_won(pick, offset)]


_CACHE = shared_cache()
_numbers = itertools.count()


def worker(directory: Path, log: Log, *, cut: int = 0) -> Worker:
    """A worker with a store in a directory of its own."""
    return Worker(log, directory / f"sender-{next(_numbers)}", cut=cut)


def log_of(count: int, *, campaign: str = "c1", recipient: str | None = None) -> Log:
    """A log of so many requests, to a recipient each unless told otherwise."""
    log = Log()
    for number in range(count):
        log.add(story.requested(f"m{number}", recipient or f"r{number}", campaign))
    return log


def ready(directory: Path, log: Log, *, cut: int = 0) -> Worker:
    """A worker that has read everything."""
    it = worker(directory, log, cut=cut)
    it.read()
    return it
