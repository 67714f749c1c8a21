"""What a topic must look like on the broker, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from sendledger.config import KafkaSettings, Settings
from sendledger.edges.topics import Found, config_of, faults, partitions_of, registered
from sendledger_schemas.topics import CAMPAIGNS, POSTBACKS, RECEIVERS, SEND_REQUESTS, TOPICS, dlq

EMBEDDED = Settings(data_dir=Path("/x"))
CLUSTER = Settings(
    kafka=KafkaSettings(bootstrap_servers="one:9092"),
    recipient_pepper=SecretStr("canary-pepper-0123456789abcdef"),
    log_retention_days=30.0,
)
BY_NAME = {topic.name: topic for topic in registered()}


@pytest.mark.parametrize(
    ("name", "settings", "key", "value"),
    [
        (SEND_REQUESTS, EMBEDDED, "retention.ms", "-1"),
        (SEND_REQUESTS, CLUSTER, "retention.ms", str(30 * 86_400_000)),
        (CAMPAIGNS, CLUSTER, "retention.ms", "-1"),
        (dlq(POSTBACKS), CLUSTER, "retention.ms", str(14 * 86_400_000)),
        (POSTBACKS, EMBEDDED, "flush.messages", "1"),
        (POSTBACKS, CLUSTER, "flush.messages", None),
        (SEND_REQUESTS, EMBEDDED, "flush.messages", None),
        (SEND_REQUESTS, EMBEDDED, "min.insync.replicas", "1"),
        (SEND_REQUESTS, CLUSTER, "min.insync.replicas", "2"),
        (SEND_REQUESTS, CLUSTER, "message.timestamp.type", "LogAppendTime"),
    ],
)
def test_a_topic_s_own_settings(name: str, settings: Settings, key: str, value: str | None) -> None:
    """Retention, flushing and copies follow the topic's kind and the broker's."""
    assert config_of(BY_NAME[name], settings).get(key) == value


def test_the_account_s_log_and_the_dead_letters_have_one_partition() -> None:
    """All keyed topics share one partition count; the others are read whole, in one order."""
    settings = EMBEDDED.model_copy(update={"partitions": 12})
    counts = {topic.name: partitions_of(topic, settings) for topic in registered()}
    assert {name for name, count in counts.items() if count == 1} >= {CAMPAIGNS, RECEIVERS, dlq(SEND_REQUESTS)}
    assert {counts[name] for name, topic in TOPICS.items() if topic.keyed} == {12}


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (None, ["sms.send-requests.v1: missing"]),
        (Found(8, 3, {}), []),
        (Found(9, 3, {}), ["sms.send-requests.v1: has 9 partitions, SENDLEDGER_PARTITIONS says 8"]),
        (Found(8, 1, {}), ["sms.send-requests.v1: has 1 replicas, SENDLEDGER_REPLICATION_FACTOR says 3"]),
        (Found(8, 3, {"max.message.bytes": "99999999"}), []),
        (Found(8, 3, {"min.insync.replicas": "3"}), []),
        (
            Found(8, 3, {"min.insync.replicas": "1", "cleanup.policy": "compact"}),
            [
                "sms.send-requests.v1: cleanup.policy is compact, must be delete",
                "sms.send-requests.v1: min.insync.replicas is 1, must be 2",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_topic_is_told(found: Found | None, lines: list[str]) -> None:
    """More copies or larger records than wanted are fine; anything else is a line with both values."""
    topic = TOPICS[SEND_REQUESTS]
    if found is not None:
        found = Found(found.partitions, found.replicas, {**config_of(topic, CLUSTER), **found.config})
    assert faults(topic, found, CLUSTER) == lines
