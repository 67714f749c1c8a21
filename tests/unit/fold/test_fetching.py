"""Fetching takes what has come as soon as it is wanted, and never what would be dropped."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import TopicAuthorizationFailedError

from sendledger.agents.fetched import Packed, fetch
from tests.unit.fold.test_fetched import PLACE, fetched, log

LONG = 30.0  # seconds: what ends sooner did not wait for this


class Consumer:
    """aiokafka's consumer with a fetcher that holds `come`, by partition; `ask` fetches from it."""

    def __init__(self) -> None:
        self._records: dict[Any, Any] = {}
        self._closed = False
        self._subscriptions = SimpleNamespace(reassignment_in_progress=False)
        self._fetcher = self
        self.waiters: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self.come: dict[str, list[Any]] = {}
        self.wanted: tuple[set[str], bool] | None = ({"a", "b"}, True)
        self.asked: list[set[str]] = []

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.put_nowait(waiter)
        return waiter

    async def _stock(self, places: set[str]) -> dict[str, list[Any]]:
        self.asked.append(places)
        return {place: self.come.pop(place) for place in places if place in self.come}

    async def ask(self, timeout: float = LONG, *, packed: bool = False) -> dict[str, list[Any]]:
        """What is fetched; fails if that waits for all of `LONG`."""
        asking = fetch(self, self._stock, lambda: self.wanted, timeout, packed=packed)
        return await asyncio.wait_for(asking, LONG / 10)


async def test_what_has_come_is_given_at_once() -> None:
    """Without waiting, and without what is not wanted."""
    consumer = Consumer()
    consumer.come, consumer.wanted = {"a": [1], "c": [2]}, ({"a"}, False)
    assert await consumer.ask() == {"a": [1]}
    assert consumer.waiters.empty()


async def test_what_comes_in_time_is_given_when_it_comes() -> None:
    """Who waits is told when something has come, also if it is nothing that is wanted."""
    consumer = Consumer()
    asking = asyncio.create_task(consumer.ask())
    (await consumer.waiters.get()).set_result(None)
    waiter = await consumer.waiters.get()
    consumer.come = {"b": [1]}
    waiter.set_result(None)
    assert await asking == {"b": [1]}


async def test_nothing_in_time_is_nothing() -> None:
    """At the end of the time, and at once without any; nothing is left waiting."""
    consumer = Consumer()
    assert await consumer.ask(0.01) == {}
    assert await consumer.ask(0) == {}
    assert consumer.waiters.qsize() == 1
    assert consumer.waiters.get_nowait().cancelled()


async def test_what_came_while_it_was_full_is_given_when_there_is_room() -> None:
    """Nobody tells of it a second time: the fetch has to look by itself, or it would wait for another partition."""
    consumer = Consumer()
    consumer.come, consumer.wanted = {"a": [1]}, ({"b"}, False)
    asking = asyncio.create_task(consumer.ask())
    await consumer.waiters.get()
    consumer.wanted = {"a", "b"}, True
    assert await asking == {"a": [1]}
    consumer = Consumer()
    consumer.come, consumer.wanted = {"a": [2]}, (set(), False)
    asking = asyncio.create_task(consumer.ask())
    await consumer.waiters.get()
    assert set() not in consumer.asked
    consumer.wanted = {"a"}, True
    assert await asking == {"a": [2]}


async def test_a_stopped_flow_ends_the_waiting() -> None:
    """What would be dropped is left where it is, and who waits can go on as soon as the flow does."""
    consumer = Consumer()
    asking = asyncio.create_task(consumer.ask())
    waiter = await consumer.waiters.get()
    consumer.come, consumer.wanted = {"a": [1]}, None
    waiter.set_result(None)
    assert await asking == {}
    assert consumer.come == {"a": [1]}


async def test_nothing_is_taken_while_partitions_change_hands() -> None:
    """It would wait until they have, and give what came meanwhile as it is, not packed."""
    consumer = Consumer()
    consumer.come, consumer._subscriptions.reassignment_in_progress = {"a": [1]}, True
    assert await consumer.ask(0.01) == {}
    assert (consumer.asked, consumer.come) == ([], {"a": [1]})


async def test_a_closed_consumer_ends_the_waiting() -> None:
    """Nothing will come any more."""
    consumer = Consumer()
    asking = asyncio.create_task(consumer.ask())
    waiter = await consumer.waiters.get()
    consumer._closed = True
    waiter.set_result(None)
    assert await asking == {}


async def test_what_the_broker_refuses_is_an_error() -> None:
    """Who waits is told that too."""
    consumer = Consumer()
    asking = asyncio.create_task(consumer.ask())
    (await consumer.waiters.get()).set_exception(TopicAuthorizationFailedError("t"))
    with pytest.raises(TopicAuthorizationFailedError):
        await asking


@pytest.mark.parametrize("packed", [True, False])
async def test_records_are_packed_before_they_are_taken(packed: bool) -> None:  # noqa: FBT001 — a parameter
    """What aiokafka holds is replaced once, and only for who wants it so."""
    consumer = Consumer()
    result = FetchResult(PLACE, assignment=None, partition_records=fetched(log(2, 1)), backoff=0)
    consumer._records = {PLACE: result, "an error": object()}
    assert await consumer.ask(0, packed=packed) == {}
    assert await consumer.ask(0, packed=packed) == {}
    assert [type(record) is Packed for record in result._partition_records] == ([True] * 2 if packed else [False] * 3)
