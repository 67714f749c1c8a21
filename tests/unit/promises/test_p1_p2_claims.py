"""P1, P2 in the shell between queue and call: who lost a claim does not call, and who cannot call says so."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from sendledger.agents.sender_calls import Calls, Claimed
from sendledger.agents.sender_claims import Claims
from sendledger.agents.sender_journal import Entry
from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.agents.sender_partition import Partition
from sendledger.agents.sender_requests import Requests
from sendledger.domain.call_ends import Refused
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.log_reader import LogReader
from sendledger_schemas.attempts import SendWithheld
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support import story
from tests.support.partition import WEEK, Log, Worker, worker

CALL = Refused("UNSENDABLE", "", "bug")


@dataclass
class Around:
    """What the claims are handed to, written down: entries for the journal, calls that were added and forgotten."""

    entries: list[Entry] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    forgotten: list[tuple[str, int]] = field(default_factory=list)

    async def send(self, entries: Sequence[Entry]) -> asyncio.Future[list[int]]:
        """Acknowledge nothing yet."""
        self.entries += entries
        return asyncio.get_running_loop().create_future()

    async def at(self, _place: TopicPartition, _offsets: Collection[int]) -> dict[int, Any]:
        """Retention has deleted what is asked for."""
        return {}

    def begin(self, name: tuple[str, int]) -> None:
        """An attempt is going to be claimed."""

    def add(self, claimed: Claimed) -> None:
        """A claim won."""
        self.added.append(claimed.message.message_id)

    def forget(self, name: tuple[str, int]) -> None:
        """A claim lost."""
        self.forgotten.append(name)

    def claims(self) -> Claims:
        """Claims of a sender that stands among all this."""
        kit = SimpleNamespace(
            writer=self,
            metrics=SenderMetrics(CollectorRegistry()),
            strike=Failpoint(),
            worker="w",
            incarnation="i",
            default_expiry=WEEK,
        )
        return Claims(cast("Kit", kit), cast("Calls", self), Requests(cast("LogReader", self)))


def two_messages(directory: Path) -> tuple[Log, Worker]:
    """Two requests to two recipients, read by one worker."""
    log = Log()
    log.add(story.requested("m1", "r1"), story.requested("m2", "r2"))
    mine = worker(directory, log)
    mine.read()
    return log, mine


async def arbitrated(around: Around, partition: Partition, mine: Sequence[tuple[Claimed, int]]) -> None:
    """The claims after their read-back."""
    for _ in mine:
        partition.take_in_hand()
    await around.claims()._arbitrate(partition, mine)


async def test_only_the_claim_that_won_is_called(tmp_path: Path) -> None:
    """P1: of two senders that claimed the same attempts, each calls the one that it claimed first, and no other."""
    log, mine = two_messages(tmp_path)
    picks = mine.pick().claims
    log.add(story.started("m1", "r1"))  # another sender was quicker with m1
    claimed = [(Claimed(mine.partition, pick.message, pick.attempt, CALL, 0.0, 0), mine.claim(pick)) for pick in picks]
    log.add(story.started("m2", "r2"))  # and later with m2
    mine.read()
    around = Around()
    await arbitrated(around, mine.partition, claimed)
    assert (around.added, around.forgotten) == (["m2"], [("m1", 1)])
    mine.close()


async def test_no_call_before_the_claim_was_read_back(tmp_path: Path) -> None:
    """P1: an acknowledged claim is not enough; the journal has to be read beyond it, and only then it is judged."""
    _, mine = two_messages(tmp_path)
    picks = mine.pick().claims
    claimed = [(Claimed(mine.partition, pick.message, pick.attempt, CALL, 0.0, 0), mine.claim(pick)) for pick in picks]
    around = Around()
    judging = asyncio.create_task(arbitrated(around, mine.partition, claimed))
    for _ in range(20):
        await asyncio.sleep(0)
    assert around.added == []
    mine.read(SEND_ATTEMPTS)
    await judging
    assert sorted(around.added) == ["m1", "m2"]
    mine.close()


async def test_a_request_that_retention_took_is_withheld(tmp_path: Path) -> None:
    """P2: what cannot be sent because its text is not on the log any more ends as expired, not in silence."""
    _, mine = two_messages(tmp_path)
    around = Around()
    async with asyncio.TaskGroup() as group:
        await around.claims()._round([(mine.partition, pick) for pick in mine.pick().claims], [], group)
        for task in group._tasks:
            task.cancel()
    written = []
    for entry in around.entries:
        assert isinstance(entry.data, SendWithheld)
        written.append((entry.data.message_id, entry.data.reason))
    assert sorted(written) == [("m1", "expired"), ("m2", "expired")]
    assert mine.partition.handling == 0
    mine.close()
