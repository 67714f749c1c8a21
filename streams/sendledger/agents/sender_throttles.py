"""Slows this sender down when the provider told another one that we are too fast (DESIGN §6: the whole account slows).

Each sender meets the throttles of its own calls at once. Those of the others stand in the answers of their partitions,
which each sender follows from their ends on: an old throttle says nothing about now. A sender that owns everything
follows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from sendledger.agents.sender_kit import Kit
from sendledger.agents.sender_partition import Read
from sendledger.edges.clocks import steady
from sendledger_schemas.responses import SendThrottled
from sendledger_schemas.topics import API_RESPONSES

FROM_THE_END: dict[str, Any] = {"auto_offset_reset": "latest", "max_partition_fetch_bytes": 256 * 1024}
"""For the consumer."""

_POLL_MS = 200
_AT_ONCE = 1_000
_LOOK_EVERY = 0.2
_TYPE = SendThrottled.TYPE.encode()


class ThrottleWatch:
    """`consumer`: of its own, started, in no group. `ours`: the partitions that are this sender's."""

    def __init__(self, kit: Kit, consumer: AIOKafkaConsumer, ours: Collection[int]) -> None:
        self._kit, self._consumer, self._ours = kit, consumer, ours
        self._followed: set[int] = set()

    async def run(self) -> None:
        """Follow until cancelled; errors end it."""
        while True:
            self._follow(set(range(self._kit.settings.partitions)) - set(self._ours))
            if not self._followed:
                await asyncio.sleep(_LOOK_EVERY)
                continue
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            if any(_is_throttled(records) for records in fetched.values()):
                self._kit.pace.throttled(steady())

    def _follow(self, others: set[int]) -> None:
        if others == self._followed:
            return
        self._followed = others
        self._consumer.assign([TopicPartition(API_RESPONSES, number) for number in sorted(others)])


def _is_throttled(records: Sequence[Read]) -> bool:
    """Whether one of these answers is a throttle. They are not decoded: most of them are of no interest here."""
    return any(_TYPE in (record.value or b"") for record in records)
