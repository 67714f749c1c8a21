"""Claims that nobody will answer any more: whose they are, when they are dead, and that it is told once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.domain.sending import CRASH_MARGIN, SECOND
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support import story
from tests.support.partition import NOON, log_of, worker
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
