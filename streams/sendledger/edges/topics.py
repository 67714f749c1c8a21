"""Creates and checks the topics of the registry (DESIGN §3); broker auto-creation is never relied on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from sendledger.config import Settings
from sendledger.edges.kafka import MAX_RECORD_BYTES, admin, consumer
from sendledger_schemas.topics import TOPICS, Retention, Topic, dead_letter_topics

_FOR_EVER = "-1"
_AT_LEAST = frozenset({"max.message.bytes", "min.insync.replicas"})  # more than wanted is fine


class TopicsError(Exception):
    """The topics are not as the program needs them: one line each in `problems`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Found:
    """A topic as the broker has it. `replicas`: of the partition with the fewest."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def registered() -> tuple[Topic, ...]:
    """Every topic that has to exist."""
    return (*TOPICS.values(), *dead_letter_topics())


def partitions_of(topic: Topic, settings: Settings) -> int:
    """How many partitions a topic has."""
    return settings.partitions if topic.keyed else 1


def config_of(topic: Topic, settings: Settings) -> dict[str, str]:
    """The topic's own settings on the broker."""
    config = {
        "cleanup.policy": topic.cleanup,
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        # with three copies an acknowledgement means two of them; with fewer there is nothing to wait for
        "min.insync.replicas": "2" if settings.replication_factor > 2 else "1",  # noqa: PLR2004
        "retention.ms": _retention(topic, settings),
        "retention.bytes": _FOR_EVER,
    }
    if settings.embedded and topic.durable:
        config["flush.messages"] = "1"  # one node: an acknowledgement must survive a power cut
    return config


def _retention(topic: Topic, settings: Settings) -> str:
    days_of: dict[Retention, float | None] = {
        "unlimited": None,
        "long": settings.log_retention_days,
        "short": settings.dead_letter_retention_days,
        "day": 1.0,
    }
    days = days_of[topic.retention]
    return _FOR_EVER if days is None else str(int(timedelta(days=days) / timedelta(milliseconds=1)))


def faults(topic: Topic, found: Found | None, settings: Settings) -> list[str]:
    """What is wrong with one topic, a line each."""
    if found is None:
        return [f"{topic.name}: missing"]
    lines = []
    wanted = partitions_of(topic, settings)
    if found.partitions != wanted:
        what = "SENDLEDGER_PARTITIONS" if topic.keyed else "the program"
        lines.append(f"{topic.name}: has {found.partitions} partitions, {what} says {wanted}")
    if found.replicas < (copies := settings.replication_factor):
        lines.append(f"{topic.name}: has {found.replicas} replicas, SENDLEDGER_REPLICATION_FACTOR says {copies}")
    for name, value in config_of(topic, settings).items():
        there = found.config.get(name, "")
        if not _suits(name, there, value):
            lines.append(f"{topic.name}: {name} is {there or 'not set'}, must be {value}")
    return lines


def _suits(name: str, there: str, wanted: str) -> bool:
    if name in _AT_LEAST and there.isdigit():
        return int(there) >= int(wanted)
    return there == wanted


async def find(client: AIOKafkaAdminClient) -> dict[str, Found]:
    """The topics of the registry that exist."""
    names = {topic.name for topic in registered()}
    # All topics, not these: to ask for one that is missing would create it on a broker with auto-creation.
    there = {t["topic"]: t["partitions"] for t in await client.describe_topics() if t["topic"] in names}
    if not there:
        return {}
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(there)])
    configs = {
        resource[3]: {entry[0]: entry[1] or "" for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
    return {
        name: Found(len(parts), min((len(p["replicas"]) for p in parts), default=0), configs.get(name, {}))
        for name, parts in there.items()
    }


async def check(settings: Settings) -> list[str]:
    """What is wrong with the topics, one line each; empty if all is well. Errors: KafkaError."""
    async with admin(settings.kafka) as client:
        found = await find(client)
    return [line for topic in registered() for line in faults(topic, found.get(topic.name), settings)]


async def create(settings: Settings) -> list[str]:
    """Create the missing topics and wait until each partition takes writes. Returns the names of the new ones.

    On the embedded broker, existing topics get the registry's settings too; a Kafka of one's own is only reported on
    (`check`), because others may have a say in it. Errors: TopicsError with the broker's reasons; KafkaError.
    """
    async with admin(settings.kafka) as client:
        found = await find(client)
        made = await _create(client, [topic for topic in registered() if topic.name not in found], settings)
        if settings.embedded:
            await _align(client, found, settings)
    if made:
        await _writable(made, settings)
    return [topic.name for topic in made]


async def _create(client: AIOKafkaAdminClient, topics: list[Topic], settings: Settings) -> list[Topic]:
    """Returns those that are new: another process may have been faster with some, in a shape of its own."""
    if not topics:
        return []
    wanted = [
        NewTopic(
            topic.name,
            partitions_of(topic, settings),
            settings.replication_factor,
            topic_configs=config_of(topic, settings),
        )
        for topic in topics
    ]
    answer = await client.create_topics(wanted)
    told = {name: (for_code(code), *message) for name, code, *message in answer.topic_errors if code}
    problems = [
        f"{name}: cannot be created: {(message and message[0]) or error.__name__}"
        for name, (error, *message) in told.items()
        if error is not TopicAlreadyExistsError
    ]
    if problems:
        raise TopicsError(problems)
    return [topic for topic in topics if topic.name not in told]


async def _align(client: AIOKafkaAdminClient, found: Mapping[str, Found], settings: Settings) -> None:
    wrong = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, config_of(topic, settings))
        for topic in registered()
        if topic.name in found
        and any(not _suits(n, found[topic.name].config.get(n, ""), v) for n, v in config_of(topic, settings).items())
    ]
    if wrong:
        await client.alter_configs(wrong)


async def _writable(topics: list[Topic], settings: Settings) -> None:
    """A new partition has a leader in the metadata before that leader knows: its end offset is the proof."""
    asker = consumer(settings.kafka)
    await asker.start()
    try:
        places = [TopicPartition(t.name, n) for t in topics for n in range(partitions_of(t, settings))]
        await asker.end_offsets(places)
    finally:
        await asker.stop()
