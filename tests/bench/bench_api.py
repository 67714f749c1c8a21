"""Reading 10,000 campaigns: how long a page of the list takes, and what 200 open streams cost.

`make bench-api` or `python -m tests.bench.bench_api [--campaigns 10000] [--pages 600] [--streams 200] [--seconds 20]`.
A real broker with 10,000 campaigns registered and their numbers published, one API process, HTTP clients in this
process. All the while ten campaigns get new numbers each second.

The list is read by two clients over kept connections, page by page through all campaigns, and by every sort, state and
text; timed is each answer, compressed as the API compresses it. Then 200 streams are open, half of the list and half
of the ten campaigns, so that each gets a snapshot each second; the share of a core is the API process's processor time.
The last line is JSON: `list_p99_ms`, `streams_core_share`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import aiohttp
import uvloop

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import publish
from sendledger_schemas.states import CampaignState
from tests.bench import campaigns
from tests.bench.figures import percentile
from tests.bench.fleet import Fleet, cpu_seconds, fleet

TOKEN = "bench-token-0123456789abcdef"
CHANGING = 10
CLIENTS = 2
_EVERY = 1.0
_WARM = 3.0
_EVENT = b"\nevent: "


@dataclass
class Changes:
    """Ten campaigns that go on, a step each second. `steps`: how many were written."""

    settings: Settings
    templates: list[CampaignState]
    count: int
    steps: int = 0

    async def run(self) -> None:
        """Write until cancelled."""
        async with producer(self.settings.kafka) as out:
            while True:
                self.steps += 1
                latest = range(self.count - CHANGING, self.count)
                states = (campaigns.state(self.templates[n % len(self.templates)], n, n + self.steps) for n in latest)
                await publish(out, [campaigns.record(state, self.settings.partitions) for state in states])
                await asyncio.sleep(_EVERY)


def queries() -> Iterator[str]:
    """What readers ask for beside the plain pages."""
    while True:
        yield from ("?sort=failed", "?sort=delivery", "?state=running", "?q=99&sort=requested", "?sort=name&limit=50")


async def read_pages(url: str, count: int) -> tuple[list[float], set[str]]:
    """Milliseconds of each answer, and the campaigns that the plain pages showed."""
    took: list[float] = []
    met: set[str] = set()
    others, cursor = queries(), ""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers, trust_env=False) as session:
        for number in range(count):
            plain = number % 3 != 0
            query = (f"?cursor={cursor}" if cursor else "") if plain else next(others)
            began = time.perf_counter()
            async with session.get(f"{url}/v1/campaigns{query}") as answer:
                body = await answer.read()
            took.append(1000 * (time.perf_counter() - began))
            assert answer.status == 200, body
            if plain:
                page = json.loads(body)
                met.update(item["campaign_id"] for item in page["items"])
                cursor = page["next_cursor"] or ""
    return took, met


class Listener(asyncio.Protocol):
    """A client of the stream that counts events and does nothing else."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tail = b""
        self.events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        head = f"GET {self._path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        cast("asyncio.Transport", transport).write(head.encode())  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        """Count what came."""
        self._tail = self._tail[-len(_EVENT) + 1 :] + data
        self.events += self._tail.count(_EVENT)
        self._tail = self._tail[-len(_EVENT) + 1 :]


@contextlib.asynccontextmanager
async def listeners(port: int, count: int, last: int) -> AsyncIterator[list[Listener]]:
    """Open streams: every other one of the list, the rest of the campaigns that change."""
    loop, opened, found = asyncio.get_running_loop(), [], []
    for number in range(count):
        one = campaigns.name(last - CHANGING + number // 2 % CHANGING)
        path = "/v1/stream" if number % 2 else f"/v1/stream?campaign={one}"
        transport, listener = await loop.create_connection(lambda path=path: Listener(path), "127.0.0.1", port)  # type: ignore[misc]
        opened.append(transport)
        found.append(listener)
    try:
        yield found
    finally:
        for transport in opened:
            transport.close()


async def listen(stage: Fleet, count: int, last: int, seconds: float) -> dict[str, float]:
    """What the streams cost and brought."""
    pid = stage.programs["api"].process.pid
    async with listeners(stage.settings.api_port, count, last) as found:
        await asyncio.sleep(_WARM)
        before, had, began = cpu_seconds(pid), [each.events for each in found], time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        used = cpu_seconds(pid) - before
        got = [each.events - events for each, events in zip(found, had, strict=True)]
    assert min(got) >= seconds // 2, "a stream got too few snapshots to count as open"
    print(f"  {count} streams: {min(got) / took:.2f} to {max(got) / took:.2f} snapshots/s each")
    return {"streams_core_share": round(used / took, 3), "snapshots_per_s": round(sum(got) / len(got) / took, 2)}


async def measure(stage: Fleet, count: int, pages: int, streams: int, seconds: float) -> dict[str, float]:
    """Fill the topics, start the API, read."""
    began = time.monotonic()
    templates = await asyncio.to_thread(campaigns.templates)
    await campaigns.write(stage.settings, count, templates)
    print(f"  {count} campaigns written in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    await stage.start("api")
    print(f"  the API has read them after {time.monotonic() - began:.1f} s")
    changing = asyncio.create_task(Changes(stage.settings, templates, count).run())
    url = f"http://127.0.0.1:{stage.settings.api_port}"
    read = await asyncio.gather(*(read_pages(url, pages // CLIENTS) for _ in range(CLIENTS)))
    took = [each for times, _ in read for each in times]
    for _, met in read:
        assert len(met) == min(count, 100 * (pages // CLIENTS * 2 // 3)), len(met)
    told = await listen(stage, streams, count, seconds)
    changing.cancel()
    figures = {f"list_p{share}_ms": round(percentile(took, share / 100), 1) for share in (50, 99)}
    return {**figures, "list_max_ms": round(max(took), 1), **told, "campaigns": count, "streams": streams}


async def main(count: int, pages: int, streams: int, seconds: float) -> dict[str, float]:
    """Set the stage and measure."""
    with tempfile.TemporaryDirectory() as directory:
        async with fleet(Path(directory), API_TOKENS=f"read:{TOKEN}", API_RATE_LIMIT="0") as stage:
            return await measure(stage, count, pages, streams, seconds)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--campaigns", type=int, default=10_000)
    arguments.add_argument("--pages", type=int, default=600)
    arguments.add_argument("--streams", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=20.0)
    given = arguments.parse_args()
    print(json.dumps(uvloop.run(main(given.campaigns, given.pages, given.streams, given.seconds))))
