"""Retention has deleted a part of the journal: a sender that lost its store too never sends what is older than that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from sendledger.config import Settings
from sendledger.edges.kafka import admin
from sendledger_schemas.decisions import DoubtResolved
from sendledger_schemas.responses import SendNotSent, SendUnanswered
from sendledger_schemas.topics import API_RESPONSES, DECISIONS, SEND_ATTEMPTS
from tests.support.kafka import SharedBroker, eventually, fresh_topics
from tests.support.sender import answered, desk, journal, numbers, post, request, sender, sending, write


@pytest.fixture
async def one_partition(shared_broker: SharedBroker, tmp_path: Path) -> Settings:
    """All facts stand in one order."""
    settings = shared_broker.settings(tmp_path, partitions=1)
    await fresh_topics(settings)
    return settings


async def cut(settings: Settings, **before: int) -> None:
    """Delete what stands before these offsets (−1: everything)."""
    topics = {"attempts": SEND_ATTEMPTS, "responses": API_RESPONSES, "decisions": DECISIONS}
    places = {TopicPartition(topics[name], 0): RecordsToDelete(before_offset=offset) for name, offset in before.items()}
    async with admin(settings.kafka) as client:
        await client.delete_records(places)


def elsewhere(settings: Settings) -> Settings:
    """The same sender without its store."""
    return settings.model_copy(update={"data_dir": settings.data_dir / "another"})


async def withheld(settings: Settings, count: int) -> dict[str, str]:
    """Wait for so many withheld messages; each with its reason."""

    async def enough() -> dict[str, str] | None:
        lines = await journal(settings, SEND_ATTEMPTS)
        found = {line.data.message_id: line.data.reason for line in lines if line.kind == "send-withheld"}
        return found if len(found) >= count else None

    found: dict[str, str] = await eventually(enough, what=f"{count} withheld")
    return found


async def sent(settings: Settings, first: int, last: int) -> int:
    """Ask for these rows, and have them sent; the number of journal records by then (of each of both topics)."""
    await post(settings, [request(row) for row in range(first, last)])
    async with sender(settings):
        await answered(settings, last)
    return last


async def test_what_is_older_than_the_journal_is_never_sent(one_partition: Settings) -> None:
    """Nothing of the journal is left: all old requests are withheld, and a new one goes."""
    async with desk() as provider:
        settings = sending(one_partition, provider.url)
        await sent(settings, 0, 20)
        await cut(settings, attempts=-1, responses=-1)
        async with sender(elsewhere(settings)):
            found = await withheld(settings, 20)
            await post(settings, [request(20)])
            await eventually(lambda: len(provider.calls) == 21, what="the new one")
    assert found == {request(row).message_id: "expired" for row in range(20)}
    assert Counter(provider.calls) == Counter(numbers(*range(21)))


async def test_a_cut_in_the_middle_of_the_journal(one_partition: Settings) -> None:
    """What is older than the first record that is left is not sent; what is younger goes on."""
    async with desk() as provider:
        settings = sending(one_partition, provider.url)
        middle = await sent(settings, 0, 10)
        await sent(settings, 10, 20)
        await cut(settings, attempts=middle, responses=middle)
        await post(settings, [request(20)])
        async with sender(elsewhere(settings)):
            await eventually(lambda: len(provider.calls) >= 21, what="the new one")
            assert len(await withheld(settings, 10)) == 10
    assert Counter(provider.calls) == Counter(numbers(*range(21)))


async def test_a_deleted_decision_lets_nothing_go_again(one_partition: Settings) -> None:
    """An operator withheld a doubt, and then it was said that the call had not begun: without his word it would go."""
    async with desk() as provider:
        settings = sending(one_partition, provider.url)
        old, new = request(0), request(1)
        names = {"message_id": old.message_id, "campaign_id": old.campaign_id, "recipient_id": old.recipient_id}
        await post(settings, [old])
        await write(settings, API_RESPONSES, SendUnanswered(**names, attempt=1, reason="crash"))
        await write(settings, DECISIONS, DoubtResolved(**names, attempt=1, resolution="withhold", by="op"))
        await write(settings, API_RESPONSES, SendNotSent(**names, attempt=1, reason="stale"))
        await cut(settings, decisions=-1)
        async with sender(elsewhere(settings)):
            assert await withheld(settings, 1) == {old.message_id: "expired"}
            await post(settings, [new])
            await eventually(lambda: provider.calls, what="the new one")
    assert provider.calls == numbers(1)
