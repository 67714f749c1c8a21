"""The merge's three rules, step by step, with a producer that only writes down what it is given."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from prometheus_client import CollectorRegistry

from sendledger.agents.driver import LogRange
from sendledger.agents.merge import Merge
from sendledger.agents.merge_metrics import MergeMetrics
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE
from tests.support.partials import record

IDS = {"t": "id-1"}
NOTHING = LogRange(0, 0)


@dataclass
class _Written:
    offset: int


@dataclass
class Paper:
    """Takes records as a producer does; the topic that it writes begins at offset 100."""

    states: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, _topic: str, value: bytes, _key: bytes, _partition: int) -> asyncio.Future[_Written]:
        """Write it down."""
        done: asyncio.Future[_Written] = asyncio.get_running_loop().create_future()
        done.set_result(_Written(100 + len(self.states)))
        self.states.append(json.loads(value))
        return done

    @property
    def versions(self) -> list[int]:
        """Of what was written."""
        return [state["version"] for state in self.states]


@pytest.fixture
def paper() -> Paper:
    """Nothing written."""
    return Paper()


@pytest.fixture
def registry() -> CollectorRegistry:
    """Where the merge tells of itself."""
    return CollectorRegistry()


@pytest.fixture
def merge(paper: Paper, registry: CollectorRegistry) -> Merge:
    """A merge that writes on paper."""
    return Merge(cast("AIOKafkaProducer", paper), MergeMetrics(registry), IDS)


def read(topic: str, offset: int, value: bytes, key: bytes = b"c1") -> dict[str, list[ConsumerRecord[Any, Any]]]:
    """One record, as a batch."""
    return {topic: [ConsumerRecord(topic, 0, offset, 0, 1, key, value, None, 2, len(value), ())]}


def partial(offset: int, version: int, count: int = 1, partition: int = 0) -> dict[str, list[ConsumerRecord[Any, Any]]]:
    """A partial at an offset of its topic."""
    counters, to = {"requested": count, "b:queued": count}, (version - 1, -1, -1, -1, -1)
    return read(CAMPAIGN_PARTIALS, offset, record("c1", Origin(partition, 0, NOTHING_READ, IDS), None, counters, to))


def said(offset: int, version: int, ids: dict[str, str] = IDS) -> dict[str, list[ConsumerRecord[Any, Any]]]:
    """A state on the merge's own topic."""
    state = {"version": version, "orphans": 0, "topic_ids": ids}
    return read(CAMPAIGN_STATE, offset, json.dumps(state).encode())


async def test_nothing_before_the_ends(merge: Merge, paper: Paper) -> None:
    """Rule 1: not a word until the partials and its own topic are read to the ends that they had at the assignment."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: LogRange(3, 6), CAMPAIGN_STATE: LogRange(0, 2)})
    await merge.batch(0, partial(3, 10))
    await merge.publish()
    await merge.batch(0, partial(5, 20, partition=1))
    await merge.publish()
    assert (paper.versions, merge.caught_up) == ([], False)
    await merge.batch(0, said(1, 5))
    await merge.publish()
    assert (paper.versions, merge.caught_up) == ([30], True)
    assert paper.states[0]["counters"] == {"requested": 2, "b:queued": 2}


async def test_no_version_below_one_that_stands(merge: Merge, paper: Paper) -> None:
    """Rule 2: what it knows less of than its own topic it keeps to itself; states of another log count not."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: NOTHING, CAMPAIGN_STATE: NOTHING})
    await merge.batch(0, said(7, 25))
    await merge.batch(0, said(8, 99, ids={"t": "id-0"}))
    await merge.batch(0, partial(0, 10))
    await merge.publish()
    assert paper.versions == []
    await merge.batch(0, partial(1, 15, partition=1))
    await merge.publish()
    assert paper.versions == [25]


async def test_a_lesser_word_behind_its_own_is_answered(merge: Merge, paper: Paper) -> None:
    """Rule 3: a lesser state at a later offset is answered once; its own echo and older records are not."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: NOTHING, CAMPAIGN_STATE: NOTHING})
    await merge.batch(0, partial(0, 10))
    await merge.publish()
    await merge.batch(0, said(99, 3))  # before its own word at 100
    await merge.batch(0, said(100, 10))  # its own echo
    await merge.publish()
    assert paper.versions == [10]
    await merge.batch(0, said(101, 3))
    await merge.publish()
    await merge.publish()
    assert paper.versions == [10, 10]


async def test_what_is_gone_is_forgotten(merge: Merge, paper: Paper) -> None:
    """A revoked partition is not published any more, and a new assignment begins from nothing."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: NOTHING, CAMPAIGN_STATE: NOTHING})
    await merge.batch(0, partial(0, 10))
    await merge.revoked([0])
    await merge.publish()
    assert paper.versions == []
    await merge.assigned(0, {CAMPAIGN_PARTIALS: LogRange(0, 1), CAMPAIGN_STATE: NOTHING})
    await merge.publish()
    await merge.batch(0, partial(0, 10))
    await merge.publish()
    assert paper.versions == [10]


async def test_unreadable_records_are_passed_over(merge: Merge, paper: Paper) -> None:
    """Garbage on a compacted topic is counted and stops nothing."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: NOTHING, CAMPAIGN_STATE: NOTHING})
    await merge.batch(0, read(CAMPAIGN_PARTIALS, 0, b"garbage"))
    await merge.batch(0, read(CAMPAIGN_STATE, 0, b"garbage", b"\xff"))
    await merge.batch(0, partial(1, 10))
    await merge.publish()
    assert paper.versions == [10]


async def test_freshness_is_that_of_the_oldest_new_fact(merge: Merge, registry: CollectorRegistry) -> None:
    """From its place in the log to the acknowledged numbers; what stood there before this merge is not measured."""

    def dated(offset: int, version: int, since: bytes) -> dict[str, list[ConsumerRecord[Any, Any]]]:
        (one,) = partial(offset, version)[CAMPAIGN_PARTIALS]
        return {CAMPAIGN_PARTIALS: [replace(one, headers=(("since", since),))]}

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"sendledger_merge_freshness_seconds_{name}")

    now = int(time.time() * 1000)
    await merge.assigned(0, {CAMPAIGN_PARTIALS: LogRange(0, 1), CAMPAIGN_STATE: NOTHING})
    await merge.batch(0, dated(0, 10, b"1"))
    await merge.publish()
    assert value("count") == 0
    await merge.batch(0, dated(1, 11, str(now - 7_000_000).encode()))
    await merge.batch(0, dated(2, 12, str(now).encode()))
    await merge.publish()
    assert value("count") == 1
    assert 7_000 <= (value("sum") or 0) < 8_000
    await merge.batch(0, dated(3, 13, b"yesterday"))
    await merge.batch(0, partial(4, 14))
    await merge.publish()
    assert value("count") == 1


async def test_an_imbalance_is_told_until_it_is_gone(merge: Merge, registry: CollectorRegistry) -> None:
    """P6 as a metric: by campaign and in all; 0 again with right numbers, or when the campaign is somebody else's."""
    await merge.assigned(0, {CAMPAIGN_PARTIALS: NOTHING, CAMPAIGN_STATE: NOTHING})

    async def told(counters: dict[str, int], name: str, reach: int = 1) -> tuple[float | None, float | None]:
        value = record(name, Origin(0, 0, NOTHING_READ, IDS), None, counters, (reach, -1, -1, -1, -1))
        await merge.batch(0, read(CAMPAIGN_PARTIALS, 0, value))
        await merge.publish()
        one = registry.get_sample_value("sendledger_campaign_imbalance", {"campaign": name})
        return one, registry.get_sample_value("sendledger_merge_imbalance")

    assert await told({"requested": 3, "b:queued": 3}, "c1") == (0, 0)
    assert await told({"requested": 3, "b:queued": 1}, "c2") == (2, 2)
    assert await told({"requested": 1, "b:sent": 1, "b:queued": 1}, "c3") == (-1, 3)
    assert await told({"requested": 3, "b:queued": 3}, "c2", 2) == (0, 1)
    await merge.revoked([0])
    assert registry.get_sample_value("sendledger_merge_imbalance") == 0
    assert registry.get_sample_value("sendledger_campaign_imbalance", {"campaign": "c3"}) is None
