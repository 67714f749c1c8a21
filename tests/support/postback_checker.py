"""The independent judge of P3: clients that write down each answer, and a plain consumer that compares.

It shares no code with the receiver: bodies are made here, the topics are read with a bare consumer, and an event is
only JSON with the raw body in it. A 200 counts from the moment in which its client had it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.kafka import eventually

TOPIC, DEAD_LETTERS = "sms.postbacks.v1", "sms.postbacks.v1.dlq"
ANSWERED_WITHIN = 5.0
"""Seconds from a request to its 200: the provider gives up after 10."""

_numbers = itertools.count(1)


def postback(number: int, filling: str = "") -> bytes:
    """A receipt in the page's form; no two numbers have the same."""
    return (
        f'<NOTIFICATION ID="{number}" CREATED="2026-03-01 10:22:26.{number % 10**6:06d}-04">\n<ORIGIN>SMS_MT</ORIGIN>\n'
        f"<CODE>N201</CODE>\n<BODY>\n<HISTORYID>{number}</HISTORYID>\n<TO>1555{number:09d}</TO>\n"
        f'<TRACKINGID>SMS_{number}</TRACKINGID>\n<STATUS PROTOCOL="4" STATUS="0"/>\n<NOTE>{filling}</NOTE>\n'
        f"<TIMESTAMP>2026-03-01 10:22:25.262743-04</TIMESTAMP>\n</BODY>\n</NOTIFICATION>\n"
    ).encode()


@dataclass
class Answers:
    """What clients were answered. `kept`: each body that got a 200, in the order of the answers; with its client."""

    kept: dict[bytes, int] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0  # no answer: the connection ended, or nothing came for 20 s
    slowest: float = 0.0  # seconds to a 200

    def note(self, client: int, body: bytes, status: int, seconds: float) -> None:
        """One answer."""
        self.statuses[status] += 1
        if status == 200:
            self.kept[body] = client
            self.slowest = max(self.slowest, seconds)


class Clients:
    """Post receipts to one address, one after the other each, as fast as they are answered."""

    def __init__(self, url: str, *, clients: int = 16, filling: str = "") -> None:
        self._url, self._clients, self._filling = url, clients, filling
        self.answers = Answers()
        self._stopped = True

    async def _client(self, session: aiohttp.ClientSession, client: int) -> None:
        while not self._stopped:
            body, began = postback(next(_numbers), self._filling), time.monotonic()
            try:
                async with session.post(self._url, data=body) as answer:
                    await answer.read()
                    self.answers.note(client, body, answer.status, time.monotonic() - began)
                if answer.status != 200:
                    await asyncio.sleep(0.01)
            except (aiohttp.ClientError, TimeoutError):
                self.answers.broken += 1
                await asyncio.sleep(0.02)

    async def until(self, fact: Callable[[], object], what: str, *, timeout: float = 60.0) -> None:
        """Post until the fact holds (it may be awaitable)."""
        timeouts = aiohttp.ClientTimeout(total=20)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeouts, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            self._stopped = False
            for client in range(self._clients):
                group.create_task(self._client(session, client))
            try:
                await eventually(fact, timeout=timeout, what=what)
            finally:
                self._stopped = True

    async def some(self, more: int, *, timeout: float = 60.0) -> None:
        """Post until so many more got a 200."""
        wanted = len(self.answers.kept) + more
        await self.until(lambda: len(self.answers.kept) >= wanted, f"{more} more answers of 200", timeout=timeout)


@dataclass
class Verdict:
    """What the topics say about the answers. `places`: body → (partition, offset) of its first record."""

    missing: list[bytes]
    repeated: int
    two_ids: int  # bodies that came more than once, under different event ids
    places: dict[bytes, tuple[int, int]]

    def in_order(self, answers: Answers) -> bool:
        """Whether, within each partition, each client's postbacks stand in the order in which it got its answers."""
        last: defaultdict[tuple[int, int], int] = defaultdict(lambda: -1)
        for body, client in answers.kept.items():
            partition, offset = self.places[body]
            if offset < last[client, partition]:
                return False
            last[client, partition] = offset
        return True


async def _read(bootstrap_servers: str, partitions: int) -> list[tuple[int, int, str, bytes]]:
    """All records as (partition, offset, event id, raw body)."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await reader.start()
    found: list[tuple[int, int, str, bytes]] = []
    try:
        places = [*(TopicPartition(TOPIC, number) for number in range(partitions)), TopicPartition(DEAD_LETTERS, 0)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        while any([await reader.position(place) < ends[place] for place in places]):
            for place, records in (await reader.getmany(timeout_ms=200)).items():
                for record in records:
                    if place.topic == DEAD_LETTERS:
                        found.append((-1, record.offset, "", record.value))
                        continue
                    event = json.loads(record.value)
                    found.append((place.partition, record.offset, event["id"], event["data"]["raw"].encode()))
    finally:
        await reader.stop()
    return found


async def judge(answers: Answers, bootstrap_servers: str | None, partitions: int = 8) -> Verdict:
    """Compare every answered 200 with the topics."""
    places: dict[bytes, tuple[int, int]] = {}
    ids: defaultdict[bytes, set[str]] = defaultdict(set)
    records = await _read(bootstrap_servers or "", partitions)
    for partition, offset, event_id, body in records:
        places.setdefault(body, (partition, offset))
        ids[body].add(event_id)
    return Verdict(
        missing=[body for body in answers.kept if body not in places],
        repeated=len(records) - len(places),
        two_ids=sum(len(found) > 1 for found in ids.values()),
        places=places,
    )


async def scraped(port: int, name: str) -> float:
    """One metric of a process now, the sum of its samples; NaN if it cannot be had."""
    with suppress(aiohttp.ClientError, OSError):
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and not line.startswith("#"))
    return float("nan")
