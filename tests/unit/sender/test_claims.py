"""From a pick to a call or to nothing: the claim is written, read back, and only the first one on the log calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from sendledger.agents.sender import Sender
from sendledger.agents.sender_calls import Calls, Claimed
from sendledger.agents.sender_claims import Claims
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.agents.sender_requests import Requests
from sendledger.domain.pace import Pace
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.provider import Call
from sendledger_schemas.topics import SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.partition import WEEK, Log, Worker, log_of, worker
from tests.support.processes import until


@dataclass
class Claiming:
    """A sender's claims over one partition; Kafka is the log in memory. `ready`: what may be called."""

    it: Worker
    ready: list[Claimed] = field(default_factory=list)
    claims: Claims = field(init=False)
    calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        kit = cast(
            "Kit",
            SimpleNamespace(
                provider=SimpleNamespace(prepare=lambda _: Call(b"", "", "")),
                writer=SimpleNamespace(send=self.send),
                metrics=SenderMetrics(CollectorRegistry()),
                worker="w",
                incarnation="i",
                strike=Failpoint(),
                wake=asyncio.Event(),
                default_expiry=WEEK,
            ),
        )
        self.calls = Calls(kit)
        setattr(self.calls, "add", self.ready.append)  # noqa: B010 — nothing is called here
        self.claims = Claims(kit, self.calls, Requests(cast("Any", None)))
        self.claims.partitions[self.it.partition.number] = self.it.partition
        self.claims.requests.remember(self.it.partition.number, self.it.log.topics[SEND_REQUESTS])

    async def send(self, entries: Sequence[Entry]) -> asyncio.Future[list[int]]:
        """Append, and say where."""
        written: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        written.set_result([self.it.log.add(entry.data) for entry in entries])
        return written

    async def round(self, group: asyncio.TaskGroup) -> None:
        """Claim whatever is due."""
        picks = [(self.it.partition, pick) for pick in self.it.pick().claims]
        await self.claims._round(picks, [], group)

    async def turned(self) -> None:
        """Let everything happen that can happen without another record."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def claiming(directory: Path, log: Log) -> AsyncIterator[tuple[Claiming, asyncio.TaskGroup]]:
    """A sender that has read everything."""
    it = worker(directory, log)
    it.read()
    async with asyncio.TaskGroup() as group:
        yield Claiming(it), group
    it.close()


async def test_nothing_is_called_before_its_claim_was_read_back(tmp_path: Path) -> None:
    """Acknowledged is not enough: each of a batch waits until the journal is read beyond the last of them."""
    async with claiming(tmp_path, log_of(3)) as (it, group):
        await it.round(group)
        assert len(it.it.log.topics[SEND_ATTEMPTS]) == 3
        for _ in range(3):
            await it.turned()
            assert it.ready == []
            it.it.read(SEND_ATTEMPTS, 1)
        await until(lambda: len(it.ready) == 3, "all three may be called")
        assert it.it.partition.handling == 3


async def test_of_two_senders_the_first_on_the_log_calls(tmp_path: Path) -> None:
    """In one batch: one claim was too late, the others are ours; the loser lets go, and nobody's name matters."""
    log = log_of(3)
    async with claiming(tmp_path, log) as (it, group):
        log.add(story.started("m1", "r1"))
        await it.round(group)
        it.it.read()
        await until(lambda: len(it.ready) == 2, "two may be called")
        assert [one.message.message_id for one in it.ready] == ["m0", "m2"]
        assert set(it.calls.active) == {("m0", 1), ("m2", 1)}
        assert it.it.partition.handling == 2
        log.add(story.not_sent("m1", "r1"))
        it.it.read()
        assert it.it.picked(seconds=10) == ["m1"]


async def test_a_claim_behind_a_withholding_calls_nothing(tmp_path: Path) -> None:
    """Somebody else withheld it a moment before."""
    log = log_of(2)
    async with claiming(tmp_path, log) as (it, group):
        log.add(story.withheld("cancelled", "m0", "r0"))
        await it.round(group)
        it.it.read()
        await until(lambda: len(it.ready) == 1, "one may be called")
        assert it.ready[0].message.message_id == "m1"


@pytest.mark.parametrize("acknowledged", ["before", "afterwards"])
async def test_claims_of_a_partition_that_was_lost_call_nothing(tmp_path: Path, acknowledged: str) -> None:
    """The journal will not be read back here any more: the next owner finds them dead, and its own housekeeping may."""
    async with claiming(tmp_path, log_of(2)) as (it, group):
        await it.round(group)
        if acknowledged == "before":
            await it.turned()
        it.it.partition.abandon()
        await until(lambda: not it.calls.active, "they are given up")
        assert it.ready == []


async def test_a_partition_is_given_up_only_when_nothing_of_it_is_in_hand(tmp_path: Path) -> None:
    """Else the next owner would find claims that nobody answers: messages in doubt for no reason."""
    it = worker(tmp_path, log_of(1))
    it.read()
    followed: list[set[int]] = []
    kit = SimpleNamespace(pace=Pace(1.0), settings=SimpleNamespace(partitions=8), wake=asyncio.Event())
    journal = SimpleNamespace(follow=lambda partitions: followed.append(set(partitions)))
    claims = SimpleNamespace(partitions={3: it.partition})
    owner = Sender(cast("Any", kit), cast("Any", journal), cast("Any", claims), "one log")
    it.partition.take_in_hand()
    revoked = asyncio.create_task(owner.revoked([3]))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not revoked.done()
    assert it.picked() == []
    assert it.partition.message("m0").message_id == "m0"
    it.partition.let_go()
    await revoked
    assert claims.partitions == {}
    assert followed == [set()]
