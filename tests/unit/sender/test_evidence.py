"""Whether evidence speaks against a resend: the same fold as everybody's numbers decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendledger.agents import sender_evidence
from sendledger.agents.sender_evidence import GO_WITHIN, Read, Resends, may_resend
from sendledger.agents.sender_partition import Partition
from sendledger.agents.sender_queue import CLEARED_FOR
from sendledger.domain.message import Message
from sendledger.domain.pace import Pace
from sendledger.domain.sending import is_resend
from sendledger.edges.sender_store import Waiting
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.registry import Data
from tests.support import story
from tests.support.partition import Log, Worker, ready
from tests.support.processes import until
from tests.unit.sender.test_sending import given


def resent(message: str = "m1", recipient: str = "r1") -> list[Data]:
    """In doubt, and resolved by resend."""
    names = message, recipient
    return [story.requested(*names), story.started(*names), story.unanswered(*names), story.resolved("resend", *names)]


DOUBT = resent()


def reads_of(*facts: Data) -> list[Read]:
    """These facts, as they are read."""
    log = story.Log()
    for data in facts:
        log.add(data)
    return log.in_order()


def asked(*facts: Data) -> bool:
    """Whether the message may go again, by these facts about its recipient."""
    return may_resend(Message("m1", "c1", "r1"), reads_of(*facts))


def test_an_operators_word_counts_without_evidence() -> None:
    """In doubt and resolved by resend: it is queued."""
    assert asked(*DOUBT)


@pytest.mark.parametrize("claim", ["sent", "delivered", "undelivered"])
def test_a_postback_that_adopts_the_attempt_speaks_against_it(claim: Claim) -> None:
    """Exactly one unknown TRACKINGID and one candidate: the message was sent, and is not sent again."""
    assert not asked(*DOUBT, story.postback(claim))


def test_a_late_answer_speaks_against_it() -> None:
    """The real response came after the operator's decision."""
    assert not asked(*DOUBT, story.accepted("T1"))


def test_ambiguous_postbacks_leave_it_to_the_operator() -> None:
    """Two unknown TRACKINGIDs settle nothing, so the decision stands."""
    assert asked(*DOUBT, story.postback("sent", "T1"), story.postback("sent", "T2"))


def test_a_postback_of_another_message_is_no_evidence() -> None:
    """Its TRACKINGID is known to belong to somebody else."""
    other = [story.requested("m2"), story.started("m2"), story.accepted("T1", "m2")]
    assert asked(*DOUBT, *other, story.postback("delivered", "T1"))


def test_only_a_resend_is_looked_at() -> None:
    """First attempts and retries of throttled ones need no evidence."""
    assert is_resend(given(*DOUBT))
    assert not is_resend(given(story.requested()))
    assert not is_resend(given(story.requested(), story.started(), story.throttled()))
    assert is_resend(given(*DOUBT, story.started(attempt=2), story.throttled(attempt=2))), "nothing went out since"


def in_doubt(directory: Path, count: int) -> Worker:
    """A partition with so many messages m0, m1, …, each resolved by resend."""
    log = Log()
    for n in range(count):
        log.add(*resent(f"m{n}", f"r{n}"))
    return ready(directory, log)


@dataclass
class Readings:
    """In place of the log: what is asked about whom, and what is found. `gate`: nothing is found before."""

    found: dict[str, list[Read]]
    asked: list[set[str]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def facts_about(self, _reader: object, _partition: int, recipients: Collection[str]) -> dict[str, list[Read]]:
        """One reading of the partition."""
        self.asked.append(set(recipients))
        await self.gate.wait()
        return {name: self.found[name] for name in recipients}


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """A log on which every message of `in_doubt` may go again, but m1, which a postback has settled."""
    found = {}
    for n in range(30):
        settled = [story.postback("delivered", recipient="r1")] if n == 1 else []
        found[f"r{n}"] = reads_of(*resent(f"m{n}", f"r{n}"), *settled)
    it = Readings(found)

    @asynccontextmanager
    async def no_consumer(_kafka: object) -> AsyncIterator[None]:
        yield None

    monkeypatch.setattr(sender_evidence, "consumer", no_consumer)
    monkeypatch.setattr(sender_evidence, "facts_about", it.facts_about)
    return it


def resends(per_second: float) -> tuple[Resends, asyncio.Event]:
    """What looks at the evidence, in a sender with this rate; and what wakes that sender."""
    pace, wake = Pace(per_second), asyncio.Event()
    pace.set_share(1, 1)
    kit = SimpleNamespace(settings=SimpleNamespace(kafka=None), pace=pace, wake=wake)
    return Resends(cast("Any", kit)), wake


@asynccontextmanager
async def during_a_reading(
    looks: Resends, partition: Partition, some: list[tuple[Message, Waiting]], readings: Readings
) -> AsyncIterator[asyncio.TaskGroup]:
    """While the log is read for these; then that and whatever came of it is brought to its end."""
    async with asyncio.TaskGroup() as group:
        looks.add(partition, some, group)
        await until(lambda: len(readings.asked) == 1, "the log is read")
        yield group
        readings.gate.set()


async def test_thousands_of_resends_are_looked_at_together(tmp_path: Path, readings: Readings) -> None:
    """One reading for all that wait when it begins; what comes during it waits for the next. Then all go, but one."""
    it, (looks, wake) = in_doubt(tmp_path, 30), resends(1_000.0)
    found = it.pick().resends
    async with during_a_reading(looks, it.partition, found[:20], readings) as group:
        for resend in found[20:]:
            looks.add(it.partition, [resend], group)
    assert readings.asked == [{f"r{n}" for n in range(20)}, {f"r{n}" for n in range(20, 30)}]
    assert wake.is_set()
    first, second = [f"m{n}" for n in range(20) if n != 1], [f"m{n}" for n in range(20, 30)]
    assert it.picked() == second + first, "of each look the oldest request first"
    async with asyncio.TaskGroup() as group:
        looks.add(it.partition, found[:1], group)  # one more, after it had come to rest
    assert readings.asked[2:] == [{"r0"}]


async def test_no_more_are_looked_at_than_go_out_soon(
    tmp_path: Path, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence is looked at shortly before the call, also where the pace is slow; partitions take turns."""
    one, other, (looks, _) = in_doubt(tmp_path / "1", 12), in_doubt(tmp_path / "2", 1), resends(1.0)
    sleep, slept = asyncio.sleep, []

    async def no_time(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", no_time)
    readings.gate.set()
    async with asyncio.TaskGroup() as group:
        looks.add(one.partition, one.pick().resends, group)
        looks.add(other.partition, other.pick().resends, group)
    assert [len(asked) for asked in readings.asked] == [GO_WITHIN, 1, GO_WITHIN, 2]
    assert slept == [GO_WITHIN - 1, 1, GO_WITHIN, 2], "one of the first is void"


async def test_what_is_leaving_is_not_looked_at(tmp_path: Path, readings: Readings) -> None:
    """The next owner of the partition looks itself."""
    it, (looks, wake) = in_doubt(tmp_path, 3), resends(1_000.0)
    found = it.pick().resends
    async with during_a_reading(looks, it.partition, found[:2], readings) as group:
        looks.add(it.partition, found[2:], group)
        it.partition.closing = True
    assert len(readings.asked) == 1
    it.partition.closing = False
    assert it.picked() == []
    assert wake.is_set()


def test_evidence_gets_old(tmp_path: Path) -> None:
    """Who had to wait long for his turn is looked at anew: a postback may have come meanwhile."""
    it = in_doubt(tmp_path, 2)
    for message, waiting in reversed(it.pick().resends):
        it.partition.queue.cleared(message, waiting)
    assert it.picked(1, seconds=1) == ["m0"]
    again = it.pick(1, seconds=1 + CLEARED_FOR / 1e6)
    assert again.claims == []
    assert [message.message_id for message, _ in again.resends] == ["m1"]
