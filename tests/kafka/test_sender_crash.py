"""What a sender leaves that was killed or told to stop, as a process of its own (each step: test_sender_steps)."""

from __future__ import annotations

from collections import Counter

import pytest

from sendledger.config import Settings
from sendledger.domain import sending as rules
from sendledger_schemas.topics import SEND_ATTEMPTS
from tests.support.kafka import eventually
from tests.support.sender import answered, desk, ends, journal, post, request, sender, sending
from tests.support.sender_process import kill, spawn

MESSAGES = 40


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
