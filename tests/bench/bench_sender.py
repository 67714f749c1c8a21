"""How many messages a second one sender gets accepted, claims and responses durable; real Kafka, a provider beside it.

`python -m tests.bench.bench_sender [--messages 20000] [--broker host:port]` prints JSON: `sender_per_s`, and
`bare_per_s` of the same client calling the same provider with no journal at all, at the same concurrency.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from sendledger.agents.sender import serve
from sendledger.config import Settings
from sendledger.domain.call_ends import Taken
from sendledger.edges import system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.kafka import producer
from sendledger.edges.provider import Call, Provider
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.life import Life
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.ids import partition_of
from sendledger_schemas.topics import SEND_REQUESTS
from tests.support.kafka import settings_on
from tests.support.sender import request

_KEY = SecretStr("benchmark-key-of-no-account")
_RATE = 10_000.0
_AT_ONCE = 5_000


def _answer(body: bytes) -> bytes:
    at = body.find(b"%3CTO%3E") + len("%3CTO%3E")
    to = body[at : body.find(b"%3C%2FTO", at)]
    return b"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>SMS_%b</TRACKINGID><TO>%b</TO></RESPONSE>" % (to, to)


async def _provide() -> None:
    """The provider, in a process of its own: answers Success to whatever it is asked."""

    async def handle(http: web.BaseRequest) -> web.Response:
        return web.Response(body=_answer(await http.read()), content_type="application/xml")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextlib.asynccontextmanager
async def _provider() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.bench_sender", "--provide"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/"
    finally:
        process.stdin.close()
        await process.wait()


async def _post(settings: Settings, first: int, count: int) -> None:
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        for start in range(first, first + count, _AT_ONCE):
            await publish(out, (_outgoing(settings, row) for row in range(start, min(start + _AT_ONCE, first + count))))


def _outgoing(settings: Settings, row: int) -> Outgoing:
    data = request(row, campaign=f"c{row % 3}")
    value = encode(event(data, id=data.message_id, source="bench", time=_now()))
    partition = partition_of(data.recipient_id, settings.partitions)
    return Outgoing(SEND_REQUESTS, partition, data.recipient_id.encode(), value, HEADERS)


def _now() -> datetime:
    return datetime.now(UTC)


async def _bare(settings: Settings, url: str, count: int) -> float:
    """The same client, the same concurrency, and nothing else."""
    concurrency = settings.sender_concurrency
    async with Provider(url, _KEY, timeout=30, concurrency=concurrency) as provider:
        call = provider.prepare(request(1))
        assert isinstance(call, Call)

        async def some(number: int) -> None:
            for _ in range(number):
                outcome = await provider.call(call)
                assert isinstance(outcome, Taken), outcome

        await asyncio.gather(*(some(1) for _ in range(concurrency)))
        began = time.perf_counter()
        await asyncio.gather(*(some(count // concurrency) for _ in range(concurrency)))
        return count // concurrency * concurrency / (time.perf_counter() - began)


def _accepted(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("sendledger_sender_calls_total", {"outcome": "accepted"}) or 0.0


async def _sent(settings: Settings, count: int) -> float:
    """From the first accepted message to the last one whose response is on the log."""
    await _post(settings, 0, count)
    life = Life()
    task = asyncio.create_task(serve(settings, life))
    began = first = 0.0
    while (done := _accepted(life.registry)) < count and not task.done():
        if done and not first:
            began, first = time.perf_counter(), done
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    life.stop.set()
    await task
    return (count - first) / seconds


async def _measure(count: int, bootstrap_servers: str | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        async with contextlib.AsyncExitStack() as stack:
            if bootstrap_servers is None:
                broker = await stack.enter_async_context(EmbeddedKafka(Path(directory)))
                bootstrap_servers = broker.bootstrap_servers
            url = await stack.enter_async_context(_provider())
            over = {"provider_url": url, "provider_api_key": _KEY, "send_rate": _RATE}
            settings = settings_on(bootstrap_servers, Path(directory), **over)
            await topics.create(settings)
            await system_record.confirm(settings)
            bare = await _bare(settings, url, count // 4)
            ours = await _sent(settings, count)
    return {"sender_per_s": round(ours), "bare_per_s": round(bare), "ratio": round(ours / bare, 3)}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--broker")
    parser.add_argument("--provide", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.provide:
        uvloop.run(_provide())
        return
    print(json.dumps(uvloop.run(_measure(given.messages, given.broker))))


if __name__ == "__main__":
    main()
