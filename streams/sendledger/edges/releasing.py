"""A consumer that gives back at once what it has fetched and nobody reads to its end, and stops as it is told.

aiokafka's `PartitionRecords` and the generator that it reads from refer to each other. A seek or another assignment
drops one half read, and the bytes of the whole fetch then stay until Python's garbage collector comes by: a reader that
seeks a lot had 170 MB of such fetches (DECISIONS 61).
"""

# ruff: noqa: SLF001 — leans on the inside of aiokafka's fetcher, as agents/fetched.py does; the version is pinned

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords


class ReleasedRecords:
    """Stands in for the `PartitionRecords` of one fetch result, which goes when this goes."""

    def __init__(self, stock: PartitionRecords) -> None:
        self._stock = stock

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return self._stock  # type: ignore[no-any-return]  # aiokafka has no types

    def __next__(self) -> ConsumerRecord:
        return next(self._stock)

    @property
    def next_fetch_offset(self) -> int:
        """Where reading goes on behind what was taken."""
        return self._stock.next_fetch_offset  # type: ignore[no-any-return]  # as above

    def __del__(self) -> None:
        self._stock._records_iterator = None  # the cycle ends here


class _ReleasingFetcher(Fetcher):  # type: ignore[misc]  # as above
    """Takes in hand what each fetch brings. A class, for a function put in would keep every stopped consumer."""

    async def _proc_fetch_request(self, *given: Any) -> bool:  # the only place where results of fetches come from
        woken: bool = await super()._proc_fetch_request(*given)
        for result in self._records.values():
            if type(result) is FetchResult and type(result._partition_records) is PartitionRecords:
                result._partition_records = ReleasedRecords(result._partition_records)
        return woken


class ReleasingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # as above
    """Keeps no fetch that has been dropped, nor, once it is stopped and gone, any other."""

    async def start(self) -> None:
        """As aiokafka starts; the first fetch may be on its way, and is taken in hand along with the next."""
        await super().start()
        self._fetcher.__class__ = _ReleasingFetcher

    async def stop(self) -> None:
        """As aiokafka stops, but for cancellations: it may swallow that of its caller, and raise one of its own tasks.

        It awaits tasks that it has cancelled, and takes any CancelledError for theirs, or none.
        """
        caller = asyncio.current_task()
        assert caller is not None  # noqa: S101 — a coroutine runs in a task
        asked = caller.cancelling()
        try:
            await super().stop()
        except asyncio.CancelledError:
            await self._client.close()  # the rest of the stop that was cut short
        if caller.cancelling() > asked:
            raise asyncio.CancelledError
