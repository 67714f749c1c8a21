"""P1 by random interleavings: senders that all believe to own one partition, crash, lose their stores and wake late."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendledger.agents.sender_queue import Pick
from sendledger.domain.facts import Withheld, decode_fact
from sendledger.domain.sending import Circumstances, second_look
from sendledger_schemas.topics import API_RESPONSES, DECISIONS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.partition import Log, Orders, Record, Worker, worker

MESSAGES, RECIPIENTS, WORKERS = 4, 3, 2
TOPICS = (SEND_REQUESTS, SEND_ATTEMPTS, API_RESPONSES, DECISIONS)

# Thousands of stores are opened here, and each open waits for the disk several times.
IN_MEMORY = next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)  # noqa: S108 — a directory's name
FATES = ("accepted", "rejected", "throttled", "unanswered", "crash")
WORDS = [(topic, fate) for topic in TOPICS for fate in FATES]

Step = tuple[str, int, int, tuple[str, str]]


def interleavings(*kinds: str) -> st.SearchStrategy[list[Step]]:
    """(kind of step, which worker, how many, topic and fate): what a kind does not need it ignores."""
    who, number = st.integers(0, WORKERS - 1), st.integers(1, 3)
    return st.lists(st.tuples(st.sampled_from(kinds), who, number, st.sampled_from(WORDS)), min_size=20, max_size=60)


STEPS = interleavings(
    *["claim"] * 4,
    *["call"] * 4,
    *["read all"] * 2,
    *["read"] * 2,
    *["told"] * 4,
    "dead",
    "withhold",
    "restart",
    "order",
)


@dataclass
class World:
    """A log, some workers, and the provider's own list of calls."""

    directory: Path
    log: Log = field(default_factory=Log)
    orders: Orders = field(default_factory=Orders)
    calls: list[tuple[str, int, str]] = field(default_factory=list)
    called_claims: list[tuple[str, int]] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    claims: list[list[tuple[Pick, int]]] = field(default_factory=list)
    untold: list[list[tuple[str, list[Record]]]] = field(default_factory=list)
    """Batches of each worker that are on the log, and of which it does not know yet."""

    def __post_init__(self) -> None:
        for number in range(MESSAGES):
            self.log.add(story.requested(f"m{number}", f"r{number % RECIPIENTS}"))
        for _ in range(WORKERS):
            it = worker(self.directory, self.log)
            it.orders = self.orders
            it.read()
            self.join(it)

    def join(self, it: Worker) -> None:
        """One more worker."""
        self.workers.append(it)
        self.claims.append([])
        self.untold.append([])

    def step(self, what: str, who: int, number: int, words: tuple[str, str]) -> None:
        """One step of one worker."""
        self.log.seconds += 70  # whoever was throttled may try again
        it = self.workers[who]
        match what:
            case "read":
                it.read(words[0], number)
            case "read all":
                it.read()
            case "claim":
                with self.writes(who, SEND_ATTEMPTS):
                    self.claims[who] += [(p, it.claim(p)) for p in it.pick(number, self.log.seconds).claims]
            case "call" if self.claims[who]:
                with self.writes(who, API_RESPONSES):
                    self.call(it, *self.claims[who].pop(0), words[1])
            case "told" if self.untold[who]:
                it.partition.wrote(*self.untold[who].pop(number % len(self.untold[who])))
            case "dead":
                self.declare_dead(who)
            case "withhold":
                self.withhold(it)
            case "restart":
                self.claims[who] = []
                self.untold[who] = self.untold[who][number:]  # some of its words come to who has the partition then
                it.reopen(lose_store=number == 1)
            case "order":
                self.orders.standings["c1"] = "paused" if number == 1 else "open"
            case _:
                pass

    @contextmanager
    def writes(self, who: int, topic: str) -> Iterator[None]:
        """What is appended meanwhile is one batch of this worker."""
        before = len(self.log.topics[topic])
        yield
        if batch := self.log.topics[topic][before:]:
            self.untold[who].append((topic, batch))

    def call(self, it: Worker, pick: Pick, offset: int, fate: str) -> None:
        """Read back, look again, call, and write the response unless the worker dies of it."""
        if not it.has_won(pick, offset):
            return
        name, recipient = pick.message.message_id, pick.message.recipient_id
        around = Circumstances(self.orders.standing("c1"))
        still_open = it.partition.is_open(name, pick.attempt)
        if second_look(around, still_open=still_open, claim_age=0, control_age=0, expired=False) is not None:
            self.log.add(story.not_sent(name, recipient, attempt=pick.attempt))
            return
        match fate:
            case "accepted":
                self.log.add(story.accepted(f"T{len(self.calls)}", name, recipient, attempt=pick.attempt))
            case "rejected":
                self.log.add(story.rejected(name, recipient, attempt=pick.attempt))
            case "throttled":
                self.log.add(story.throttled(name, recipient, attempt=pick.attempt))
            case "unanswered":
                self.log.add(story.unanswered(name, recipient, attempt=pick.attempt))
            case _:
                pass  # the worker dies between its call and the response
        self.calls.append((name, pick.attempt, fate))
        self.called_claims.append((name, offset))

    def declare_dead(self, who: int) -> None:
        """Take every open claim for dead that is not in this worker's own hands, however young it is."""
        it = self.workers[who]
        mine = {(pick.message.message_id, pick.attempt) for pick, _ in self.claims[who]}
        for name, opened in list(it.partition.opened.items()):
            if it.partition.caught_up and (name, opened.attempt) not in mine:
                self.log.add(story.unanswered(name, opened.recipient_id, attempt=opened.attempt))

    def withhold(self, it: Worker) -> None:
        """This worker alone sees a cancel, and withholds what it can."""
        it.orders = Orders({"c1": "cancelled"})
        for message, reason in it.pick(0, self.log.seconds).withheld:
            self.log.add(story.withheld(reason, message.message_id, message.recipient_id))
        it.orders = self.orders

    def end(self) -> None:
        """Close all stores."""
        for it in self.workers:
            it.close()


def interleaved(steps: list[Step]) -> World:
    """The world after these steps."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        world = World(Path(directory))
        for step in steps:
            world.step(*step)
        world.end()
    return world


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_no_message_goes_out_twice(steps: list[Step]) -> None:
    """No attempt is called twice, and of one message at most one call has a fate that is good, final or unknown."""
    calls = interleaved(steps).calls
    assert [attempt for attempt, times in Counter(call[:2] for call in calls).items() if times > 1] == []
    perhaps_sent = Counter(name for name, _, fate in calls if fate != "throttled")
    assert [name for name, times in perhaps_sent.items() if times > 1] == []


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(interleavings("withhold", "claim", "claim", "call", "call", "read", "restart"))
def test_a_withheld_message_does_not_go_out_afterwards(steps: list[Step]) -> None:
    """No claim behind a SendWithheld of its message is ever called, whoever wrote the two."""
    world = interleaved(steps)
    withheld: dict[str, int] = {}
    for record in world.log.topics[SEND_ATTEMPTS]:
        fact = decode_fact(record.value or b"")
        if isinstance(fact, Withheld):
            withheld.setdefault(fact.data.message_id, record.offset)
    assert [name for name, claim in world.called_claims if claim > withheld.get(name, claim)] == []


@settings(max_examples=settings().max_examples // 3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_nothing_stays_behind_in_silence(steps: list[Step]) -> None:
    """P2: whatever happened before, one more worker with an empty store brings every message to an end or a doubt."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        world = World(Path(directory))
        for step in steps:
            world.step(*step)
        world.orders.standings.clear()
        last = worker(Path(directory), world.log)
        world.join(last)
        for _ in range(3 * MESSAGES):
            last.read()
            world.declare_dead(len(world.workers) - 1)
            last.read()
            world.log.seconds += 70
            for pick in last.go(seconds=world.log.seconds):
                name, recipient = pick.message.message_id, pick.message.recipient_id
                world.log.add(story.accepted(f"last {name}", name, recipient, attempt=pick.attempt))
        last.read()
        assert last.partition.opened == {}
        assert last.picked(seconds=world.log.seconds) == []
        for number in range(MESSAGES):
            message = last.partition.message(f"m{number}")
            ends = [attempt for attempt in message.attempts.values() if attempt.response or attempt.silence]
            assert ends or message.withheld
        world.end()
