"""The API as a server: its start, its end, its stream, and what it must never give away (DESIGN §8, P7, P8)."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from pydantic import SecretStr

from sendledger.config import ConfigError, KafkaSettings, Settings
from sendledger.edges.api import serve
from sendledger.edges.kafka import producer
from sendledger.edges.logging import quieten_libraries
from sendledger.edges.system_record import OtherSystemError
from sendledger.life import Life
from sendledger_schemas.topics import CAMPAIGN_STATE, SEND_REQUESTS, TOPICS
from tests.support.api import ADMIN, NUMBER, READ, SEND, TEXT, TOKENS, RunningApi, records, running_api
from tests.support.kafka import PEPPER, eventually
from tests.support.receiver import free_port
from tests.support.states import campaign_state


async def test_numbers_arrive_as_server_sent_events(shared_kafka: Settings) -> None:
    """A snapshot comes at once, another when a number changed; a stream goes on where Last-Event-ID left it."""
    async with running_api(shared_kafka) as api, aiohttp.ClientSession() as session:
        await api.submit("spring", [NUMBER])
        headers = {"Authorization": f"Bearer {READ}"}
        async with session.get(f"{api.url}/v1/stream?campaign=spring", headers=headers) as stream:
            assert stream.content_type == "text/event-stream"
            first = await next_event(stream)
            assert (first["event"], first["data"]["counts"]["requested"]) == ("campaign", 0)
            async with producer(shared_kafka.kafka) as writer:
                state = campaign_state("spring", 7)
                await writer.send_and_wait(CAMPAIGN_STATE, state.model_dump_json().encode(), key=b"spring")
            second = await next_event(stream)
            assert second["data"]["counts"]["requested"] == 7
            assert second["id"] != first["id"]
        headers["Last-Event-ID"] = second["id"]
        async with session.get(f"{api.url}/v1/stream?campaign=spring", headers=headers) as stream:
            await api.post("/v1/campaigns/spring/pause")
            assert (await next_event(stream))["data"]["state"] == "paused"  # not the snapshot that was seen


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next event with data on the stream."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(20):
        while True:
            name, _, value = (await stream.content.readline()).decode().strip().partition(": ")
            if name:
                found[name] = json.loads(value) if name == "data" else value
            elif "data" in found:
                return found


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\r\n\r\n", b"GET /livez HTTP/9.9 x\r\n\r\n", b"GET\r\n\r\n"])
async def test_what_is_no_http_is_a_problem_too(shared_kafka: Settings, raw: bytes) -> None:
    """The server itself answers what no layer ever sees, in the same form, and closes."""
    async with running_api(shared_kafka) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.settings.api_port)
        writer.write(raw)
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == 400


async def test_streams_end_with_the_api(shared_kafka: Settings) -> None:
    """An open stream does not hold up the end of the role."""
    async with aiohttp.ClientSession() as session:
        async with running_api(shared_kafka) as api:
            stream = await session.get(f"{api.url}/v1/stream", headers={"Authorization": f"Bearer {READ}"})
            await next_event(stream)
        async with asyncio.timeout(20):
            await stream.content.read()
        stream.close()


async def test_nothing_secret_and_nothing_personal_gets_out(
    shared_kafka: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Canary numbers, texts and tokens are nowhere but in the requests: no topic, log, metric, file, answer."""
    quieten_libraries()  # as the program does
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        async with running_api(shared_kafka) as api:
            await api.submit("spring", [NUMBER, f"{NUMBER}0", f"+{NUMBER}"], key="k")
            await api.upload("spring", f"to,text\n{NUMBER},{TEXT}\n{NUMBER}x,{TEXT}\n".encode())
            await api.submit("spring", [NUMBER], key="k", text=TEXT[::-1])
            await api.post("/v1/campaigns/spring/pause", {"reason": f"stop {NUMBER}"})
            await api.post("/v1/suppressions", {"to": NUMBER, "reason": f"asked by {NUMBER}"})
            await api.call("GET", f"/v1/messages/{NUMBER}")
            await api.call("POST", "/v1/suppressions", data=f"{NUMBER}{TEXT}", token=ADMIN)
            await api.call("GET", "/v1/campaigns", token=f"{SEND}x")
            for path in ("/v1/campaigns/spring", "/v1/audit", "/v1/suppressions", "/metrics", "/openapi.json"):
                await api.get(path)
            files = [path.read_bytes() for path in (tmp_path / "api").rglob("*") if path.is_file()]
    secrets = [NUMBER, TEXT, TEXT[::-1], READ, SEND, ADMIN, PEPPER]
    topics = [topic for topic in TOPICS if topic != SEND_REQUESTS]
    on_the_log = [(r.key or b"") + (r.value or b"") for topic in topics for r in await records(shared_kafka, topic)]
    assert len(files) == 1
    for place, texts in {
        "answers": api.answers,
        "log": [str(logged).encode(), caplog.text.encode()],
        "topics": on_the_log,
        "files": files,
    }.items():
        found = [secret for secret in secrets for text in texts if secret.encode() in text]
        assert not found, place


async def test_an_api_that_cannot_be_started_says_why(shared_kafka: Settings) -> None:
    """No tokens, another pepper, a taken port: each ends the role at once with its own error."""
    given = shared_kafka.model_copy(update={"api_port": free_port()})
    with pytest.raises(ConfigError, match="SENDLEDGER_API_TOKENS"):
        await serve(given, Life())
    given = given.model_copy(update={"api_tokens": TOKENS})
    with pytest.raises(OtherSystemError):
        await serve(given.model_copy(update={"recipient_pepper": SecretStr("another-pepper-0123456789")}), Life())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", given.api_port))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await serve(given, Life())


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """Without Kafka the role neither crashes nor becomes ready, and ends when it is told to."""
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")
    given = Settings(kafka=nowhere, recipient_pepper=SecretStr(PEPPER), api_tokens=TOKENS, data_dir=tmp_path)
    life = Life()
    with structlog.testing.capture_logs() as logged:
        task = asyncio.create_task(serve(given, life))
        await eventually(lambda: any("away" in entry["event"] for entry in logged), what="it says that it waits")
        assert not life.ready.is_set()
        life.stop.set()
        async with asyncio.timeout(20):
            await task


async def test_ready_means_every_role_of_the_instance(shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside other roles /readyz names those that are not ready; alone the API answers for itself."""
    async with running_api(shared_kafka) as api:
        assert (await api.get("/readyz", token=None)).status == 200
        monkeypatch.setenv("SENDLEDGER_PARENT_ROLES", "sender,api,fold")
        answer = await api.get("/readyz", token=None)
        assert (answer.status, answer.json["waiting_for"]) == (503, ["sender", "fold"])


async def test_signing_out_holds_in_every_process(shared_kafka: Settings) -> None:
    """Whoever signs out of one API process is out of the others, and of one that starts later; others stay in."""

    async def signed_in(api: RunningApi) -> str:
        answer = await api.post("/v1/session", token=READ)
        assert answer.status == 204
        return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]

    async def status(api: RunningApi, cookie: str, method: str = "GET") -> int:
        # the name has the port in it; behind one address all processes have the same
        headers = {"Cookie": f"sendledger_{api.settings.api_port}={cookie}", "X-Sendledger": "1"}
        return (await api.call(method, "/v1/session", token=None, headers=headers)).status

    async with running_api(shared_kafka) as one, running_api(shared_kafka) as other:
        leaving, staying = await signed_in(one), await signed_in(one)
        assert [await status(other, each) for each in (leaving, staying)] == [200, 200]
        assert await status(one, leaving, "DELETE") == 204

        async def out() -> bool:
            return await status(other, leaving) == 401

        await eventually(out, what="the other process knows")
        assert await status(one, leaving) == 401
        async with running_api(shared_kafka) as later:
            assert await status(later, leaving) == 401
            assert [await status(api, staying) for api in (one, other, later)] == [200, 200, 200]
