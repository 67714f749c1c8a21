"""Strangers at full speed and clients that never finish: the receiver goes on, in bounded memory, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sendledger.config import Settings
from tests.support.kafka import eventually
from tests.support.outages import clients_of, own_broker, stopped, without_kafka
from tests.support.postback_checker import judge
from tests.support.receiver import TOKEN, parse, post, raw, receipt, request, settings_for
from tests.support.receiver_process import ReceiverProcess, receiver_process

IDLE = 5_000
MOST_MB = 120  # that a flood may add; 64 MB of it are what may wait for Kafka
FLOOD = """
local good, body = wrk.path, string.rep("x", 300)
function request()
  local path = math.random() < 0.95 and "/postbacks/" .. math.random(1, 1e9) or good .. "x"
  return wrk.format("POST", path, nil, body)
end
"""


@asynccontextmanager
async def flood(directory: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """256 connections with wrong tokens, as fast as they are answered."""
    script = directory / "flood.lua"
    script.write_text(FLOOD, encoding="ascii")
    url = f"http://127.0.0.1:{port}/postbacks/{TOKEN}"
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", "-c256", "-d60s", "-s", str(script), url), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="NOT TESTED, a flood: wrk is missing")
async def test_a_flood_of_wrong_tokens_while_kafka_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among 256 strangers at full speed, with Kafka stopped and back, valid postbacks get 200 or 503; none is lost."""
    async with own_broker(tmp_path, monkeypatch) as (kafka, settings), receiver_process(settings) as receiver:
        await receiver.reaches_kafka()
        clients = clients_of(settings)
        await clients.some(100)
        before = receiver.memory_mb()
        async with flood(tmp_path, settings.receiver_port):
            refused = 'sendledger_receiver_postbacks_total{outcome="not_found"}'

            async def many() -> bool:
                return await receiver.metric(refused) > 5_000

            await clients.until(many, "the flood is there")
            with stopped(kafka):
                await clients.until(lambda: "spooling" in receiver.told(), "the spool takes over")
                await clients.some(300)
                during = receiver.memory_mb()
            await clients.some(100)
        await receiver.reaches_kafka()
        after = receiver.memory_mb()
        assert await receiver.stop() == 0
        assert set(clients.answers.statuses) <= {200, 503}
        assert clients.answers.broken == 0
        verdict = await judge(clients.answers, settings.kafka.bootstrap_servers)
        assert (verdict.missing, verdict.two_ids) == ([], 0)
    print(f"memory: {before:.0f} MB before, {during:.0f} in the flood, {after:.0f} after")  # noqa: T201
    assert max(during, after) - before < MOST_MB


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[ReceiverProcess, Settings]]:
    """A receiver whose Kafka is away."""
    settings = without_kafka(settings_for(tmp_path))
    async with receiver_process(settings) as receiver:
        yield receiver, settings


async def test_five_thousand_idle_connections(alone: tuple[ReceiverProcess, Settings]) -> None:
    """They cost little memory, hold up nobody, and are closed once they owe a request for too long."""
    receiver, settings = alone
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE:
        pytest.skip(f"NOT TESTED, {IDLE} connections: a process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = receiver.memory_mb()
    idle: list[asyncio.StreamWriter] = []
    try:
        while len(idle) < IDLE:
            opened = [asyncio.open_connection("127.0.0.1", settings.receiver_port) for _ in range(500)]
            idle += [writer for _, writer in await asyncio.gather(*opened)]
        for number in range(20):
            assert (await post(settings.receiver_port, receipt(number))).status == 200
        assert receiver.memory_mb() - before < MOST_MB

        async def closed() -> bool:
            return await receiver.metric("sendledger_receiver_late_requests_total") >= IDLE

        await eventually(closed, what="the idle ones are closed")
        assert (await post(settings.receiver_port, receipt(99))).status == 200
    finally:
        for writer in idle:
            writer.close()


async def test_a_body_without_end_is_refused_in_time_and_memory(alone: tuple[ReceiverProcess, Settings]) -> None:
    """Chunks for ever, with a valid token and with a wrong one: refused once they are too many, and not gathered."""
    receiver, settings = alone
    before = receiver.memory_mb()
    for path, status in ((f"/postbacks/{TOKEN}", 413), ("/postbacks/wrong", 404)):
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.receiver_port)
        writer.write(request(b"", path, Transfer_Encoding="chunked", Content_Length="", Connection="keep-alive"))
        sent, chunk = 0, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            while sent < 2_000 and not reader.at_eof():
                writer.write(chunk)
                await writer.drain()
                sent += 1
        assert sent < 2_000, "64 MB of chunks were taken"
        with contextlib.suppress(ConnectionError):
            assert parse(await reader.read()).status == status
        writer.close()
    assert receiver.memory_mb() - before < 30
    assert (await post(settings.receiver_port, receipt(1))).status == 200


async def test_a_thousand_requests_in_one_write(alone: tuple[ReceiverProcess, Settings]) -> None:
    """Pipelined without waiting, good and wrong ones mixed: each has its answer, in order."""
    _, settings = alone
    good, wrong = (
        request(receipt(1), path, method, Connection="keep-alive")
        for path, method in ((f"/postbacks/{TOKEN}", "POST"), (f"/postbacks/{TOKEN}", "DELETE"))
    )
    sent = (good + wrong) * 500 + request(receipt(2))
    answers = (await raw(settings.receiver_port, sent, seconds=30)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"404"] * 500 + [b"200"]
