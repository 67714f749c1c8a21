"""Topics and the system record on a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from pydantic import SecretStr

from sendledger.config import ConfigError, Settings
from sendledger.edges import system_record, topics
from sendledger.edges.kafka import admin, producer
from sendledger.edges.topics import TopicsError
from sendledger_schemas.campaigns import SYSTEM
from sendledger_schemas.topics import CAMPAIGNS, MESSAGE_STATE, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support.kafka import SharedBroker, eventually


@pytest.fixture
async def bare(shared_broker: SharedBroker, tmp_path: Path) -> Settings:
    """The run's broker without any of our topics."""
    settings = shared_broker.settings(tmp_path)
    async with admin(settings.kafka) as client:
        await client.delete_topics(list(await topics.find(client)))

        async def gone() -> bool:
            return not await topics.find(client)

        await eventually(gone, what="the topics are deleted")
    return settings


async def test_create_makes_every_topic_as_the_registry_says_and_only_once(bare: Settings) -> None:
    """After create() the check has nothing to say, and a second create() has nothing to do."""
    names = [topic.name for topic in topics.registered()]
    assert await topics.check(bare) == [f"{name}: missing" for name in names]
    assert await topics.create(bare) == names
    assert await topics.check(bare) == []
    assert await topics.create(bare) == []


async def test_only_attempts_and_postbacks_are_flushed_at_once(bare: Settings) -> None:
    """On one node an acknowledged claim or postback survives a power cut, and nothing else pays for it."""
    await topics.create(bare)
    async with admin(bare.kafka) as client:
        found = await topics.find(client)
    flushed = {name for name, topic in found.items() if topic.config["flush.messages"] == "1"}
    assert flushed == {SEND_ATTEMPTS, POSTBACKS}
    assert {topic.config["message.timestamp.type"] for topic in found.values()} == {"LogAppendTime"}


async def test_a_topic_of_another_shape_is_reported_line_by_line(bare: Settings) -> None:
    """Partition count, cleanup and time stamps that do not fit are told with both values."""
    async with admin(bare.kafka) as client:
        await client.create_topics([NewTopic(SEND_REQUESTS, 3, 1, topic_configs={"cleanup.policy": "compact"})])
    own = bare.model_copy(update={"embedded_broker": False})
    await topics.create(own)
    assert await topics.check(own) == [
        f"{SEND_REQUESTS}: has 3 partitions, SENDLEDGER_PARTITIONS says 8",
        f"{SEND_REQUESTS}: cleanup.policy is compact, must be delete",
        f"{SEND_REQUESTS}: max.message.bytes is 1048588, must be 4194304",
    ]


async def test_the_embedded_broker_follows_a_changed_setting(bare: Settings) -> None:
    """A new retention reaches the existing topics of the own broker; a foreign one is only reported on."""
    await topics.create(bare)
    changed = bare.model_copy(update={"log_retention_days": 30.0})
    await topics.create(changed.model_copy(update={"embedded_broker": False}))
    assert f"{SEND_REQUESTS}: retention.ms is -1, must be 2592000000" in await topics.check(changed)
    await topics.create(changed)
    assert await topics.check(changed) == []


async def test_a_broker_that_refuses_a_topic_is_quoted(bare: Settings) -> None:
    """Three copies on one node cannot be had: the broker's reason is given for each topic."""
    with pytest.raises(TopicsError, match=rf"{MESSAGE_STATE}: cannot be created: .*[Rr]eplication"):
        await topics.create(bare.model_copy(update={"replication_factor": 3}))


async def test_the_first_system_record_counts_for_ever(bare: Settings) -> None:
    """A program with another pepper or partition count is refused, also after it wrote a record of its own."""
    await topics.create(bare)
    with pytest.raises(system_record.OtherSystemError, match="no system record"):
        await system_record.confirm(bare, write=False)
    await system_record.confirm(bare)
    await system_record.confirm(bare, write=False)
    other = bare.model_copy(update={"recipient_pepper": SecretStr("canary-another-pepper-0123456789")})
    await system_record._write(other, system_record._ours(other))
    with pytest.raises(system_record.OtherSystemError, match="SENDLEDGER_RECIPIENT_PEPPER") as refused:
        await system_record.confirm(other)
    assert "canary" not in str(refused.value)
    with pytest.raises(system_record.OtherSystemError, match="made with 8, not 4"):
        await system_record.confirm(bare.model_copy(update={"partitions": 4}))
    await system_record.confirm(bare)


async def test_garbage_under_the_system_key_is_stepped_over(bare: Settings) -> None:
    """Bytes that nobody can read are not a system record, and do not stop a start."""
    await topics.create(bare)
    async with producer(bare.kafka) as writer:
        await writer.send_and_wait(CAMPAIGNS, b"garbage", key=SYSTEM.encode(), partition=0)
    await system_record.confirm(bare)


async def test_without_a_pepper_nothing_starts(bare: Settings) -> None:
    """The pepper is asked for by name."""
    with pytest.raises(ConfigError, match="SENDLEDGER_RECIPIENT_PEPPER: must be set"):
        await system_record.confirm(bare.model_copy(update={"recipient_pepper": None}))
