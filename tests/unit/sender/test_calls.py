"""Between a won claim and its call, and behind it: what the sender's parts do, with a real partition and real orders.

Kafka and the provider are lists here; everything that decides is the program's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from sendledger.agents.sender_calls import Calls, Claimed
from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.domain.call_ends import Outcome, Refused, Taken
from sendledger.domain.pace import Pace
from sendledger.domain.sending import CLAIM_KEEPS, CONTROL_KEEPS, CRASH_MARGIN, SECOND
from sendledger.edges.clocks import steady, wall_micros
from sendledger.edges.provider import Call
from sendledger_schemas import envelope
from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused, CampaignResumed
from sendledger_schemas.registry import Data
from tests.support import story
from tests.support.partition import NOON, Log, Worker, log_of, worker
from tests.support.processes import until
from tests.support.story import at

CALL = Call(b"", "", "")
DEADLINE = 30 * SECOND


@dataclass
class Parts:
    """A sender's parts around one partition. `calls_made`: what the provider got; `written`: what Kafka got."""

    it: Worker
    control: ControlLog
    outcome: Outcome = field(default_factory=lambda: Taken("T1"))
    calls_made: list[Call] = field(default_factory=list)
    written: list[Entry] = field(default_factory=list)
    at_the_last: Callable[[], None] = lambda: None
    in_the_call: Callable[[], None] = lambda: None
    broker_now: int = NOON
    calls: Calls = field(init=False)
    kit: Kit = field(init=False)

    def __post_init__(self) -> None:
        pace = Pace(1_000.0)
        pace.set_share(1, 1)
        self.kit = cast(
            "Kit",
            SimpleNamespace(
                provider=SimpleNamespace(call=self.called),
                writer=SimpleNamespace(add=self.add),
                control=self.control,
                broker=SimpleNamespace(micros=lambda: self.broker_now),
                pace=pace,
                metrics=SenderMetrics(CollectorRegistry()),
                incarnation="i",
                strike=lambda step: self.at_the_last() if step == "before_call" else None,
                wake=asyncio.Event(),
                concurrency=4,
                call_deadline=DEADLINE,
            ),
        )
        self.calls = Calls(self.kit)

    async def called(self, call: Call) -> Outcome:
        """The provider's side."""
        self.calls_made.append(call)
        self.in_the_call()
        return self.outcome

    async def add(self, entry: Entry) -> int:
        """Kafka's side."""
        self.written.append(entry)
        return len(self.written) - 1

    def order(self, data: Data) -> None:
        """An order is read from the campaigns log."""
        offset = self.control.control.next_offset
        self.control.control.evolve(offset, envelope.event(data, id=str(offset), source="test", time=at(offset)))

    def known(self, seconds_ago: float = 0.0) -> None:
        """The orders were surely known then."""
        self.control._confirmed_at = steady() - seconds_ago

    def claimed(self, *, age: float = 0.0, expires_in: float = 60.0) -> Claimed:
        """The one message's claim, which has won."""
        (pick,) = self.it.go(1)
        message, expires = pick.message, wall_micros() + int(expires_in * SECOND)
        self.it.partition.take_in_hand()
        self.calls.begin((message.message_id, pick.attempt))
        return Claimed(self.it.partition, message, pick.attempt, CALL, steady() - age, expires)

    async def end_of(self, claimed: Claimed) -> dict[str, Any]:
        """Hand it over and wait for the event of its end."""
        self.calls.add(claimed)
        await until(lambda: claimed.name not in self.calls.active, "the attempt has its end", timeout=5)
        return self.written[0].data.model_dump(include={"reason", "tracking_id"})


@asynccontextmanager
async def running(directory: Path, log: Log) -> AsyncIterator[Parts]:
    """Parts whose calls run."""
    it = worker(directory, log)
    it.read()
    parts = Parts(it, ControlLog(cast("Any", None), asyncio.Event()))
    parts.known()
    task = asyncio.create_task(parts.calls.run())
    try:
        yield parts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        it.close()


def pauses(parts: Parts) -> None:  # noqa: D103 — the names of the table say it
    parts.order(CampaignPaused(campaign_id="c1", by="op"))


def pauses_all(parts: Parts) -> None:  # noqa: D103
    parts.order(CampaignPaused(campaign_id="*", by="op"))


def halts(parts: Parts) -> None:  # noqa: D103
    parts.control.halt("*")


def cancels(parts: Parts) -> None:  # noqa: D103
    parts.order(CampaignCancelled(campaign_id="c1", by="op"))


def suppresses(parts: Parts) -> None:  # noqa: D103
    parts.control._suppressed.add("r0")


def forgets(parts: Parts) -> None:  # noqa: D103
    parts.known(seconds_ago=CONTROL_KEEPS + 0.5)


def is_declared_dead(parts: Parts) -> None:  # noqa: D103
    parts.it.log.add(story.unanswered("m0", "r0"))
    parts.it.read()


def loses_the_partition(parts: Parts) -> None:  # noqa: D103
    parts.it.partition.closing = True


def stops(parts: Parts) -> None:  # noqa: D103
    parts.calls.stopping = True


CHANGES: dict[Callable[[Parts], None], str] = {
    pauses: "paused",
    pauses_all: "paused",
    halts: "paused",
    cancels: "cancelled",
    suppresses: "suppressed",
    is_declared_dead: "stale",
    loses_the_partition: "revoked",
    stops: "stopping",
}


async def test_a_won_claim_is_called(tmp_path: Path) -> None:
    """Nothing speaks against it: one call, and its answer on the log."""
    async with running(tmp_path, log_of(1)) as parts:
        assert await parts.end_of(parts.claimed()) == {"tracking_id": "T1"}
        assert len(parts.calls_made) == 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("when", ["while it waits for its turn", "at the last moment"])
async def test_what_changes_between_claim_and_call_is_seen(
    tmp_path: Path, change: Callable[[Parts], None], when: str
) -> None:
    """Rule 5: whatever came after the claim stands: the call is not made, and the log says why."""
    async with running(tmp_path, log_of(1)) as parts:
        claimed = parts.claimed()
        if when == "at the last moment":
            parts.at_the_last = partial(change, parts)
        else:
            change(parts)
        assert await parts.end_of(claimed) == {"reason": CHANGES[change]}
        assert parts.calls_made == []


async def test_orders_that_got_old_at_the_last_moment_let_nothing_go(tmp_path: Path) -> None:
    """Whose knowledge is older than a second does not know whether there is a pause."""
    async with running(tmp_path, log_of(1)) as parts:
        claimed = parts.claimed()
        parts.at_the_last = lambda: forgets(parts)
        assert await parts.end_of(claimed) == {"reason": "stale"}
        assert parts.calls_made == []


@pytest.mark.parametrize(("age", "expires_in", "reason"), [(CLAIM_KEEPS + 0.5, 60.0, "stale"), (0.0, -1.0, "expired")])
async def test_a_claim_that_got_old_is_not_called(tmp_path: Path, age: float, expires_in: float, reason: str) -> None:
    """Others may soon take it for dead; or its message is not worth sending any more."""
    async with running(tmp_path, log_of(1)) as parts:
        assert await parts.end_of(parts.claimed(age=age, expires_in=expires_in)) == {"reason": reason}
        assert parts.calls_made == []


async def test_an_automatic_pause_names_the_resume_that_its_call_had_seen(tmp_path: Path) -> None:
    """Who resumed while the call was on its way knew more: the pause is void, for everybody."""
    async with running(tmp_path, log_of(1)) as parts:
        parts.order(CampaignResumed(campaign_id="*", by="op"))
        parts.outcome = Refused("E104", "", "account")
        parts.in_the_call = lambda: parts.order(CampaignResumed(campaign_id="*", by="op"))
        await parts.end_of(parts.claimed())
        await until(lambda: len(parts.written) == 2, "the pause is written", timeout=5)
        pause = parts.written[1].data
        assert isinstance(pause, CampaignPaused)
        assert (pause.automatic, pause.last_resume_seen) == (True, 0)
        parts.order(pause)
        parts.control.halted_at("*", 2)
        assert parts.control.standing("c1") == "open"


async def test_an_answer_that_stops_the_account_stops_the_calls_beside_it(tmp_path: Path) -> None:
    """From the moment of the answer, not only from when the pause is on the log."""
    async with running(tmp_path, log_of(2)) as parts:
        first, second = parts.claimed(), parts.claimed()
        parts.outcome = Refused("E104", "", "account")
        await parts.end_of(first)
        parts.calls.add(second)
        await until(lambda: second.name not in parts.calls.active, "the second has its end", timeout=5)
        assert [entry.data.TYPE.split(".")[1] for entry in parts.written] == [
            "send-rejected",
            "campaign-paused",
            "send-not-sent",
        ]
        assert len(parts.calls_made) == 1


def keeper(parts: Parts) -> Housekeeping:
    """The sender's housekeeping."""
    return Housekeeping(parts.kit, cast("Any", SimpleNamespace(partitions={3: parts.it.partition})), parts.calls)


async def test_a_dead_claim_is_found_whenever_it_is_seen(tmp_path: Path) -> None:
    """One that was there at the start, and one that a living sender leaves much later; by the broker's clock, once."""
    log = log_of(2)
    log.add(story.started("m0", "r0"))
    async with running(tmp_path, log) as parts:
        keep = keeper(parts)
        parts.broker_now = NOON + DEADLINE + CRASH_MARGIN
        await keep._declare_dead()
        assert parts.written == []
        parts.broker_now += 1
        await keep._declare_dead()
        log.seconds = 500
        log.add(story.started("m1", "r1"))
        parts.it.read()
        parts.broker_now = NOON + 500 * SECOND + DEADLINE + CRASH_MARGIN
        await keep._declare_dead()
        assert [entry.data.model_dump()["message_id"] for entry in parts.written] == ["m0"]
        parts.broker_now += 1
        await keep._declare_dead()
        await keep._declare_dead()
        found = [(data["message_id"], data["reason"]) for data in (entry.data.model_dump() for entry in parts.written)]
        assert found == [("m0", "crash"), ("m1", "crash")]


async def test_ones_own_claims_are_never_dead(tmp_path: Path) -> None:
    """A call of ours that is still on its way has its end from us, however late."""
    async with running(tmp_path, log_of(1)) as parts:
        claimed, keep = parts.claimed(), keeper(parts)
        parts.broker_now = NOON + 10 * (DEADLINE + CRASH_MARGIN)
        await keep._declare_dead()
        assert parts.written == []
        parts.calls.forget(claimed.name)
        await keep._declare_dead()
        assert len(parts.written) == 1


async def test_nobody_is_declared_dead_before_the_journal_is_read(tmp_path: Path) -> None:
    """The answer may stand further on."""
    log = log_of(1)
    log.add(story.started("m0", "r0"), story.accepted("T", "m0", "r0"))
    it = worker(tmp_path, log)
    it.read("sms.send-attempts.v1")
    parts = Parts(it, ControlLog(cast("Any", None), asyncio.Event()), broker_now=NOON + 10 * DEADLINE)
    await keeper(parts)._declare_dead()
    assert parts.written == []
    it.close()
