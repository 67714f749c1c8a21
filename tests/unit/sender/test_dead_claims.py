"""Claims that nobody will answer any more: whose they are, when they are dead, and that it is told once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.domain.sending import CRASH_MARGIN, SECOND
from sendledger_schemas.topics import SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import story
from tests.support.partition import NOON, log_of, worker
from tests.support.processes import until
from tests.support.sender_parts import DEADLINE, Parts, running


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
    it.read(SEND_ATTEMPTS)
    parts = Parts(it, ControlLog(cast("Any", None), asyncio.Event()), broker_now=NOON + 10 * DEADLINE)
    await keeper(parts)._declare_dead()
    assert parts.written == []
    it.close()


@pytest.mark.parametrize("limit", [None, 1], ids=["together", "one by one"])
@pytest.mark.parametrize("again", [False, True], ids=["lived on", "started anew"])
async def test_a_second_attempt_that_was_read_before_the_first_ones_end_dies_too(
    tmp_path: Path, limit: int | None, *, again: bool
) -> None:
    """Attempts and responses are read side by side: whichever comes first, the open attempt is the one that is found.

    It was left in `attempting` for ever, and the doubt was written for the first one. It is no sooner dead for that.
    """
    log = log_of(1)
    log.add(story.started("m0", "r0"), story.not_sent("m0", "r0"))
    log.seconds = 300
    log.add(story.started("m0", "r0", attempt=2))
    it = worker(tmp_path, log)
    it.read(SEND_REQUESTS)
    while it.partition.cursors[SEND_ATTEMPTS] < log.ends()[SEND_ATTEMPTS]:
        it.read(SEND_ATTEMPTS, limit)
    if again:
        it.reopen()
    it.read()
    assert it.partition.store.opened() == it.partition.opened
    async with running(tmp_path, log, it) as parts:
        keep = keeper(parts)
        parts.broker_now = NOON + 300 * SECOND + DEADLINE + CRASH_MARGIN
        await keep._declare_dead()
        assert parts.written == []
        parts.broker_now += 1
        await keep._declare_dead()
        found = [(data["attempt"], data["reason"]) for data in (entry.data.model_dump() for entry in parts.written)]
        assert found == [(2, "crash")]


async def test_a_partition_that_is_given_up_while_doubts_are_written_ends_nobody(tmp_path: Path) -> None:
    """Its store is closed by then: nothing is looked up in it any more; what dies later is its next owner's to find."""
    log = log_of(3)
    log.add(story.started("m0", "r0"), story.started("m1", "r1"))
    log.seconds = 300
    log.add(story.started("m2", "r2"))
    async with running(tmp_path, log) as parts:
        keep, partition = keeper(parts), parts.it.partition
        parts.broker_now = NOON + DEADLINE + CRASH_MARGIN + 1
        parts.acknowledged.clear()
        writing = asyncio.create_task(keep._declare_dead())
        await until(lambda: parts.written, "the doubts are being written")
        partition.closing = True
        partition.store.close()
        parts.acknowledged.set()
        await writing
        assert _named(parts) == ["m0", "m1"]
        parts.broker_now += 300 * SECOND
        await keep._declare_dead()
        assert _named(parts) == ["m0", "m1"]
        partition.closing = False
        parts.it.open()
        parts.it.read()
        await keeper(parts)._declare_dead()
        assert "m2" in _named(parts)


async def test_many_dead_claims_are_written_in_one_go(tmp_path: Path) -> None:
    """One after the other they took seconds, for which a new rate did not hold; each is told and counted once."""
    many, at_once = 600, 500
    log = log_of(many)
    log.add(*(story.started(f"m{number}", f"r{number}") for number in range(many)))
    async with running(tmp_path, log) as parts:
        keep = keeper(parts)
        parts.broker_now = NOON + (many * 2) * SECOND + DEADLINE + CRASH_MARGIN + 1
        await keep._declare_dead()
        assert (parts.writes, len(parts.written)) == (1, at_once)
        await keep._declare_dead()
        await keep._declare_dead()
        assert (parts.writes, len(parts.written)) == (2, many)
        assert sorted(_named(parts)) == sorted(f"m{number}" for number in range(many))
        assert parts.kit.metrics.doubts.labels("crash")._value.get() == many


def _named(parts: Parts) -> list[str]:
    return [entry.data.model_dump()["message_id"] for entry in parts.written]
