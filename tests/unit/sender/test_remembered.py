"""What a sender remembers does not grow with what it has sent, and no look takes long, whatever waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendledger.agents import sender_claims
from sendledger.agents.sender_claims import Claims
from sendledger.agents.sender_housekeeping import Housekeeping
from sendledger.agents.sender_partition import Partition, Written
from sendledger.agents.sender_queue import PASSED_OVER_AT_ONCE
from sendledger.domain.message import Message
from sendledger.domain.sending import CRASH_MARGIN, SECOND
from sendledger.edges.sender_store import SenderStore
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS
from tests.support import story
from tests.support.partition import NOON, WEEK, Log, Worker, log_of, ready
from tests.support.processes import until
from tests.support.sender_parts import DEADLINE, running

FLOOD = 4 * PASSED_OVER_AT_ONCE


def remembered(partition: Partition) -> dict[str, int]:
    """Of each collection that partition, queue and lanes have, how much is in it; nothing that is empty."""
    lanes = partition.queue._lanes
    parts: dict[str, Any] = {"partition": partition, "queue": partition.queue, "lanes": lanes}
    found = {
        f"{name}.{attribute}": len(value)
        for name, part in parts.items()
        for attribute, value in vars(part).items()
        if isinstance(value, dict | set | list | deque) and attribute not in {"cursors", "_targets", "_lanes"}
    }
    found["windows"] = sum(len(lane.window) for lane in lanes._lanes.values())
    found["partition._ahead"] = sum(len(batches) for batches in partition._ahead.values())
    return {name: count for name, count in found.items() if count}


def test_nothing_is_remembered_of_what_has_come_to_its_end(tmp_path: Path) -> None:
    """Accepted, in doubt, throttled, lost to another claim, cancelled, suppressed, expired, resent or not after all."""
    log = Log()
    for campaign in ("c1", "cancelled"):
        for row in range(60):
            log.add(story.requested(f"{campaign}-{row}", f"r{row % 20}", campaign))
    log.add(story.requested("late", "r0", "c1", expires_at=story.at(5)))
    log.add(story.requested("resent", "r0", "c2"), story.started("resent", "r0", "c2"))
    log.add(story.unanswered("resent", "r0", "c2"), story.resolved("resend", "resent", "r0", "c2"))
    it = ready(tmp_path, log)
    it.orders.standings["cancelled"] = "cancelled"
    it.orders.suppressed.add("r7")
    withheld: set[str] = set()
    for look in range(200):
        picked = it.pick(10, seconds=10.0 * (look + 1))
        for message, waiting in picked.resends:
            it.partition.queue.cleared(message, waiting)
            it.orders.suppressed.add(message.recipient_id)  # before it is claimed
        for message, reason in picked.withheld:
            assert message.message_id not in withheld
            withheld.add(message.message_id)
            log.add(story.withheld(reason, message.message_id, message.recipient_id, message.campaign_id))
        for number, pick in enumerate(picked.claims):
            _attempt(it, pick.message, pick.attempt, number)
        it.read()
    assert {"late", "resent"} <= withheld
    assert it.partition.store.campaigns() == []
    assert remembered(it.partition) == {}


def _attempt(it: Worker, message: Message, attempt: int, number: int) -> None:
    """Claim and end it: in one way or another, and once too late."""
    name, recipient, campaign = message.message_id, message.recipient_id, message.campaign_id
    if number == 1:
        it.log.add(story.started(name, recipient, campaign, attempt))  # somebody else was first
    it.log.add(story.started(name, recipient, campaign, attempt))
    ends = [story.accepted("T", name, recipient, campaign, attempt), story.rejected(name, recipient, campaign, attempt)]
    ends += [story.unanswered(name, recipient, campaign, attempt)]
    if attempt == 1:
        ends += [story.throttled(name, recipient, campaign), story.not_sent(name, recipient, campaign)]
    it.log.add(ends[number % len(ends)])


def test_no_batch_is_kept_behind_what_was_read(tmp_path: Path) -> None:
    """Told before, in the middle of, or after what the reader brought: whoever comes second finds it done."""
    log = log_of(6)
    it = ready(tmp_path, log)
    for row in range(6):
        log.add(story.started(f"m{row}", f"r{row}"))
    batches = [[Written(r.offset, r.timestamp, r.key, r.value) for r in part] for part in _pairs(log)]
    assert not it.partition.wrote(SEND_ATTEMPTS, batches[2])
    assert not it.partition.wrote(SEND_ATTEMPTS, batches[1])
    assert remembered(it.partition) == {"partition._ahead": 2}
    it.read(SEND_ATTEMPTS, 5)  # up to the middle of the last one
    assert not it.partition.wrote(SEND_ATTEMPTS, batches[0])
    it.read()
    for row in range(6):
        log.add(story.accepted(f"T{row}", f"m{row}", f"r{row}"))
    it.read(API_RESPONSES)
    assert remembered(it.partition) == {}


def _pairs(log: Log) -> Sequence[Any]:
    records = log.topics[SEND_ATTEMPTS]
    return [records[start : start + 2] for start in range(0, len(records), 2)]


async def test_a_dead_claim_is_forgotten_once_its_doubt_was_read(tmp_path: Path) -> None:
    """Until then it is known that it was told; afterwards the journal says it."""
    log = log_of(3)
    log.add(*(story.started(f"m{row}", f"r{row}") for row in range(3)))
    async with running(tmp_path, log) as parts:
        keep = Housekeeping(parts.kit, cast("Any", SimpleNamespace(partitions={3: parts.it.partition})), parts.calls)
        parts.broker_now = NOON + DEADLINE + CRASH_MARGIN + SECOND
        await keep._declare_dead()
        await keep._declare_dead()
        assert len(parts.written) == len(keep._declared) == 3
        log.add(*(entry.data for entry in parts.written[:2]))
        parts.it.read()
        await keep._declare_dead()
        assert keep._declared == {("m2", 1)}
        log.add(parts.written[2].data)
        parts.it.read()
        await keep._declare_dead()
        assert keep._declared == set()
        assert len(parts.written) == 3


def test_behind_a_pause_the_evidence_is_looked_at_anew(tmp_path: Path) -> None:
    """Nothing spoke against the resend, and then its campaign was paused: for how long, and what came, nobody knows."""
    log = log_of(1)
    log.add(story.started("m0", "r0"), story.unanswered("m0", "r0"), story.resolved("resend", "m0", "r0"))
    it = ready(tmp_path, log)
    for standing in ("paused", "open"):
        ((message, waiting),) = it.pick(seconds=10).resends
        it.partition.queue.cleared(message, waiting)
        it.orders.standings["c1"] = cast("Any", standing)
        if standing == "paused":
            assert it.picked(seconds=11) == []
            it.orders.standings["c1"] = "open"
        else:
            assert it.picked(seconds=12) == ["m0"]


def test_a_resend_that_is_withheld_after_all_is_forgotten(tmp_path: Path) -> None:
    """Also while its campaign goes on."""
    log = log_of(5)
    log.add(story.started("m0", "r0"), story.unanswered("m0", "r0"), story.resolved("resend", "m0", "r0"))
    it = ready(tmp_path, log)
    ((message, waiting),) = it.pick(1).resends
    it.partition.queue.cleared(message, waiting)
    it.orders.suppressed.add("r0")
    assert [reason for _, reason in it.pick(1).withheld] == ["suppressed"]
    assert "queue._cleared" in remembered(it.partition)
    log.add(story.withheld("suppressed", "m0", "r0"))
    it.read()
    assert "queue._cleared" not in remembered(it.partition)
    assert it.picked(1) != []


def flooded(directory: Path, behind: int = 0) -> Worker:
    """So many messages to one recipient, whose first call is under way, and some of another campaign behind them."""
    log = log_of(FLOOD, campaign="flood", recipient="same")
    for row in range(behind):
        log.add(story.requested(f"g{row}", f"rg{row}", "going"))
    log.add(story.started("m0", "same", "flood"))
    return ready(directory, log)


def test_a_look_over_a_flood_to_one_recipient_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in flight and whoever is behind wait for no more than a part of it, and in the end it goes in its order."""
    it, asked = flooded(tmp_path, behind=40), [0]
    messages = SenderStore.messages

    def counted(store: SenderStore, names: Sequence[str]) -> list[Message | None]:
        asked[0] += len(names)
        return messages(store, names)

    monkeypatch.setattr(SenderStore, "messages", counted)
    looks, going = 0, list[str]()
    while (found := it.pick(20)).cut_short:
        assert asked[0] <= 2 * PASSED_OVER_AT_ONCE + 2 * 20 + 64
        looks, asked[0] = looks + 1, 0
        going += [pick.message.message_id for pick in found.claims]
    assert looks >= FLOOD // (2 * PASSED_OVER_AT_ONCE) - 1
    assert going == [f"g{row}" for row in range(40)]
    asked[0] = 0
    for row in range(1, 30):
        it.log.add(story.accepted("T", f"m{row - 1}", "same", "flood"))
        it.read()
        assert [pick.message.message_id for pick in it.go()] == [f"m{row}"]
    assert asked[0] < 30 * 10


async def test_a_look_that_was_cut_short_is_taken_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is idle before all that waits was looked at, and others have their turn in between."""
    it, turns, idle = flooded(tmp_path), [0], asyncio.Event()

    async def idling(_: Claims) -> None:
        idle.set()
        await asyncio.Event().wait()

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Claims, "_idle", idling)
    monkeypatch.setattr(sender_claims, "wall_micros", lambda: NOON)
    setattr(it.orders, "age", lambda: 0.0)  # noqa: B010 — what the claims ask besides
    pace = SimpleNamespace(wait=lambda _: 0.0, per_second=lambda _: 1_000.0)
    lease = SimpleNamespace(holds=lambda _: True)
    kit = SimpleNamespace(control=it.orders, pace=pace, lease=lease, concurrency=8, default_expiry=WEEK)
    claims = Claims(cast("Any", kit), cast("Any", SimpleNamespace(active=())), cast("Any", None))
    claims.partitions[3] = it.partition
    tasks = [asyncio.create_task(others()), asyncio.create_task(claims.run())]
    await until(idle.is_set, "everything was looked at")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert remembered(it.partition)["lanes._taken"] == FLOOD - 1
    assert turns[0] >= FLOOD // (2 * PASSED_OVER_AT_ONCE)
