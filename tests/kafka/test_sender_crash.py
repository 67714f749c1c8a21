"""The sender killed with -9 at each step of DESIGN §6, as a process of its own; the provider's calls are the judge."""

from __future__ import annotations

from collections import Counter

import pytest

from sendledger.config import Settings
from sendledger.domain import sending as rules
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support.kafka import eventually
from tests.support.sender import START, answered, desk, ends, journal, post, request, sender, sending
from tests.support.sender_process import kill, spawn

MESSAGES = 40
STEPS = {
    # step: whether its call may have reached the provider before the process died
    "before_claim": False,
    "claim_unacknowledged": False,
    "claim_acknowledged": False,
    "before_call": False,
    "answer_read": True,
    "response_written": True,
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead claims are found after a second, not ten."""
    monkeypatch.setattr(rules, "CRASH_MARGIN", 1_000_000)


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_sends_nothing_twice_and_loses_nothing(shared_kafka: Settings, step: str) -> None:
    """Each request is called at most once and has one end; what may be with the provider unknown to us is in doubt."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, provider_timeout=1.0, send_rate=200.0)
        await post(settings, [request(row) for row in range(MESSAGES)])
        process = await spawn(settings, f"{step}:kill@{5 if STEPS[step] else 1}")
        assert await process.wait() == -9
        before = Counter(provider.calls)
        assert max(before.values(), default=0) <= 1
        async with sender(settings):

            async def all_ended() -> bool:
                lines = await ends(settings)
                known = {line.data.message_id for line in lines if line.kind in ("send-accepted", "send-unanswered")}
                return len(known) == MESSAGES

            await eventually(all_ended, 40, "an end or a doubt of each message")
        lines = await ends(settings)
    calls = Counter(provider.calls)
    assert max(calls.values()) == 1
    accepted = {line.data.message_id for line in lines if line.kind == "send-accepted"}
    doubted = {line.data.message_id for line in lines if line.kind == "send-unanswered"} - accepted
    called = {request(int(to) - START).message_id for to in calls}
    assert accepted <= called
    assert called - accepted <= doubted
    assert len(accepted | doubted) == MESSAGES
    assert {line.data.reason for line in lines if line.kind == "send-unanswered"} <= {"crash"}
    if not STEPS[step]:
        assert before == {}
        assert called == accepted
    assert called - accepted or step != "answer_read"


async def test_a_doubt_found_by_two_senders_is_one_event(shared_kafka: Settings) -> None:
    """The ids of what a crash may make somebody write again are a function of the facts."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, provider_timeout=1.0)
        await post(settings, [request(row) for row in range(3)])
        process = await spawn(settings, "claim_acknowledged:kill")
        assert await process.wait() == -9
        claims = await journal(settings, SEND_ATTEMPTS)
        assert claims
        assert provider.calls == []
        async with sender(settings):
            lines = await answered(settings, 3)
    doubts = [line.event.id for line in lines if line.kind == "send-unanswered"]
    assert len(doubts) == len(set(doubts)) == len({line.data.message_id for line in claims})


async def test_a_stopped_sender_leaves_no_claim_behind(shared_kafka: Settings) -> None:
    """SIGTERM in the middle: calls in flight get their answers, claims that had no call are given back."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, send_rate=60.0)
        await post(settings, [request(row) for row in range(MESSAGES)])
        process = await spawn(settings)
        try:
            await eventually(lambda: len(provider.calls) >= 8, what="some calls")
            process.terminate()
            assert await process.wait() == 0
        finally:
            await kill(process)
        ended = Counter((line.data.message_id, line.data.attempt) for line in await ends(settings))
        claimed = Counter((line.data.message_id, line.data.attempt) for line in await journal(settings, SEND_ATTEMPTS))
        assert ended == claimed
        async with sender(settings):
            await eventually(lambda: len(provider.calls) == MESSAGES, what="the rest")
    assert Counter(provider.calls).most_common(1)[0][1] == 1
