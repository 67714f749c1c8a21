"""How many postbacks a second one receiver takes, each parsed and durable on a real broker, over real HTTP.

`python -m tests.bench.bench_receiver [--seconds 8] [--connections 64] [--rounds 3]` prints one line of JSON. Rounds
alternate between the receiver (`ours`) and the same server with an empty bare handler (`empty`); medians count.
Each round checks that the topic holds exactly as many records as there were answers of 200, and no spool was used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from aiokafka import TopicPartition
from pydantic import SecretStr

from sendledger.config import Settings
from sendledger.edges import receiver_http
from sendledger.edges.kafka import consumer
from sendledger.edges.receiver import serve
from sendledger.life import Life
from sendledger_schemas.topics import POSTBACKS
from tests.support.kafka import system
from tests.support.receiver import TOKEN, free_port, receipt

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

_WARM_SECONDS = 1.5
_PREPARED = 60_000
_OK = b"HTTP/1.1 200 "


@dataclass(frozen=True)
class Result:
    """One round of the load generator. Latencies in milliseconds, from each request's sending."""

    per_second: float
    answered: int
    refused: int
    p50_ms: float
    p99_ms: float


class _Client(asyncio.Protocol):
    """One kept connection that posts as soon as it was answered."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        # Answers have no body, so the end of the head is the end of the answer.
        if data.endswith(b"\r\n\r\n"):
            self._load.answered(self._sent, ok=data.startswith(_OK))
            self._next()

    def _next(self) -> None:
        if (request := self._load.next()) is None:
            self._transport.close()
            self.ended.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


class _Load:
    def __init__(self, first: int, seconds: float) -> None:
        self._requests = [_request(number) for number in range(first, first + _PREPARED)]
        self._position = 0
        self._warm = time.perf_counter() + _WARM_SECONDS
        self._end = self._warm + seconds
        self.latencies: list[float] = []
        self.all_ok = self.refused = 0

    def next(self) -> bytes | None:
        if time.perf_counter() > self._end:
            return None
        self._position += 1
        return self._requests[self._position % _PREPARED]

    def answered(self, sent: float, *, ok: bool) -> None:
        self.all_ok += ok
        self.refused += not ok
        now = time.perf_counter()
        if self._warm < now < self._end:
            self.latencies.append(now - sent)


def _request(number: int) -> bytes:
    body = receipt(number, to=f"1555{number:07d}")
    head = f"POST /postbacks/{TOKEN} HTTP/1.1\r\nHost: receiver\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _post_all(port: int, first: int, connections: int, seconds: float) -> Result:
    load = _Load(first, seconds)
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(lambda: _Client(load), "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.gather(*(client.ended for client in clients))
    ordered = sorted(load.latencies)
    return Result(
        per_second=len(ordered) / seconds,
        answered=load.all_ok,
        refused=load.refused,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1000,
    )


def _generator(result: Connection, *arguments: object) -> None:
    result.send(uvloop.run(_post_all(*arguments)))  # type: ignore[arg-type]


async def _empty(_scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await receive()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")], "trailers": False}
    )
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _serve_empty(settings: Settings, life: Life) -> None:
    server = receiver_http.make_server(_empty)
    sockets = [receiver_http.bind(settings.receiver_host or settings.host, settings.receiver_port)]
    running = asyncio.create_task(server.serve(sockets=sockets))
    await server.listening.wait()
    life.ready.set()
    await life.stop.wait()
    server.should_exit = True
    await running


async def _round(settings: Settings, what: str, arguments: tuple[int, int, float]) -> Result:
    life = Life()
    serving = asyncio.create_task(serve(settings, life) if what == "ours" else _serve_empty(settings, life))
    await asyncio.wait_for(life.ready.wait(), 20)
    if what == "ours":
        await _until_direct(life)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(
        target=_generator, args=(theirs, settings.receiver_port, *arguments)
    )
    child.start()
    result: Result = await asyncio.to_thread(ours.recv)
    child.join()
    spooled = life.registry.get_sample_value("sendledger_receiver_postbacks_total", {"outcome": "spool"})
    life.stop.set()
    await serving
    if what == "ours" and spooled:
        raise AssertionError(f"{spooled:.0f} postbacks went into the spool: this is no measure of the broker's way")
    return result


async def _until_direct(life: Life) -> None:
    async with asyncio.timeout(20):
        while True:
            if life.registry.get_sample_value("sendledger_receiver_kafka_up"):
                return
            await asyncio.sleep(0.05)


async def _on_topic(settings: Settings) -> int:
    async with consumer(settings.kafka) as reader:
        places = [TopicPartition(POSTBACKS, number) for number in range(settings.partitions)]
        return sum((await reader.end_offsets(places)).values())


async def measure(*, seconds: float, connections: int, rounds: int) -> dict[str, float]:
    """The bench's result."""
    results: dict[str, list[Result]] = {"ours": [], "empty": []}
    with tempfile.TemporaryDirectory() as directory:
        async with system(Path(directory), postback_tokens=(SecretStr(TOKEN),), receiver_port=free_port()) as settings:
            for number in range(rounds):
                for what, made in results.items():
                    before = await _on_topic(settings)
                    made.append(await _round(settings, what, (number * _PREPARED, connections, seconds)))
                    written = await _on_topic(settings) - before
                    if what == "ours" and written != made[-1].answered:
                        raise AssertionError(f"{made[-1].answered} answers of 200, but {written} records")
    ours = statistics.median(result.per_second for result in results["ours"])
    empty = statistics.median(result.per_second for result in results["empty"])
    return {
        "receiver_per_s": round(ours),
        "empty_per_s": round(empty),
        "ratio": round(ours / empty, 3),
        "p50_ms": round(statistics.median(result.p50_ms for result in results["ours"]), 1),
        "p99_ms": round(statistics.median(result.p99_ms for result in results["ours"]), 1),
        "refused": sum(result.refused for result in results["ours"]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(measure(seconds=asked.seconds, connections=asked.connections, rounds=asked.rounds))))


if __name__ == "__main__":
    main()
