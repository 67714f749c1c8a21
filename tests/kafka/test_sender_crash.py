"""What a sender leaves that was killed or told to stop, as a process of its own (each step: test_sender_steps)."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import pytest
from aiohttp import web

from sendledger.config import Settings
from sendledger.domain import sending as rules
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support.kafka import eventually
from tests.support.sender import Answer, Form, accept, answered, desk, ends, journal, post, request, sender, sending
from tests.support.sender_process import kill, spawn

MESSAGES = 90


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead claims are found after a second, not ten."""
    monkeypatch.setattr(rules, "CRASH_MARGIN", 1_000_000)


async def test_a_doubt_found_by_two_senders_is_one_event(shared_kafka: Settings) -> None:
    """The ids of what a crash may make somebody write again are a function of the facts."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, provider_timeout=1.0)
        await post(settings, [request(row) for row in range(3)])
        process = await spawn(settings, "claim_acknowledged:kill")
        assert await process.wait() == -9
        assert provider.calls == []
        async with sender(settings):
            lines = await answered(settings, 3)
        # Read only now: what the dead one had handed over may have been on its way to the broker.
        claims = [line.data for line in await journal(settings, SEND_ATTEMPTS)]
    first = {data.message_id: data.worker for data in reversed(claims)}
    dead = {name for name, worker in first.items() if worker.endswith(f"-{process.pid}")}
    doubts = [line for line in lines if line.kind == "send-unanswered"]
    assert dead
    assert len(doubts) == len({line.event.id for line in doubts}) == len(dead)
    assert {line.data.message_id for line in doubts} == dead
    assert len(provider.calls) == 3 - len(dead)


def slowly(seconds: float) -> Answer:
    """A provider that takes its time, so that there is always something in flight."""

    async def answer(number: int, form: Form) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return accept(number, form)

    return answer


async def test_a_stopped_sender_leaves_no_claim_behind(shared_kafka: Settings) -> None:
    """SIGTERM in the middle: calls in flight get their answers, what had no call is given back, nothing is claimed."""
    async with desk(slowly(0.5)) as provider:
        settings = sending(shared_kafka, provider.url, send_rate=60.0)
        await post(settings, [request(row) for row in range(MESSAGES)])
        process = await spawn(settings)
        try:
            await eventually(lambda: len(provider.calls) >= 20, what="some calls")
            process.terminate()
            assert await process.wait() == 0
        finally:
            await kill(process)
        lines = await ends(settings)
        ended = Counter((line.data.message_id, line.data.attempt) for line in lines)
        claimed = Counter((line.data.message_id, line.data.attempt) for line in await journal(settings, SEND_ATTEMPTS))
        assert ended == claimed
        assert {attempt for _, attempt in claimed} == {1}
        assert {line.kind for line in lines} == {"send-accepted", "send-not-sent"}
        assert {line.data.reason for line in lines if line.kind == "send-not-sent"} == {"stopping"}
        assert len(claimed) < MESSAGES
        async with sender(settings):
            await eventually(lambda: len(provider.calls) == MESSAGES, what="the rest")
    assert Counter(provider.calls).most_common(1)[0][1] == 1


async def test_a_rebalance_leaves_no_claim_behind(shared_kafka: Settings) -> None:
    """Another sender comes and goes: partitions change hands, and no message gets in doubt by that."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, send_rate=100.0)
        other = settings.model_copy(update={"data_dir": settings.data_dir / "other"})
        rows = 0

        async def workers() -> set[str]:
            return {line.data.incarnation for line in await journal(settings, SEND_ATTEMPTS)}

        async def somebody_else_claims(known: set[str]) -> bool:
            nonlocal rows
            await post(settings, [request(row) for row in range(rows, rows + 60)])
            rows += 60
            return bool(await workers() - known)

        async with sender(settings):
            for _ in range(3):
                await eventually(partial(somebody_else_claims, set()), what="the first one claims")
                known = await workers()
                async with sender(other):
                    await eventually(partial(somebody_else_claims, known), what="the other one claims")
            await eventually(lambda: len(provider.calls) == rows, what="all calls")
        kinds = Counter(line.kind for line in await ends(settings))
        assert kinds["send-accepted"] == rows
        assert kinds.keys() <= {"send-accepted", "send-not-sent"}
        assert len(await workers()) == 4
    assert Counter(provider.calls).most_common(1)[0][1] == 1
