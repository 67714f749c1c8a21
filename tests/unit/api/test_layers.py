"""What stands around every route: 304 for who polls, compression, limits on requests, bodies that stop (DESIGN §8)."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from sendledger.edges.api import guard
from sendledger.edges.api.app import application
from sendledger.edges.api.auth import Tokens
from sendledger.edges.api.rate_limit import RateLimit
from sendledger_schemas.campaigns import CampaignPaused
from tests.support.api import ADMIN, READ, TOKENS
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench
from tests.unit.api.filled import Filled

OWN = ("/v1/session",)
"""What every token may do with itself."""
POLLED = [
    "/v1/campaigns",
    "/v1/campaigns?state=running&sort=name&limit=1",
    "/v1/campaigns/spring",
    "/v1/campaigns/spring/messages",
    "/v1/audit",
    "/v1/suppressions",
]


@pytest.mark.parametrize("path", POLLED)
async def test_who_polls_gets_304_while_nothing_changes(filled: Filled, path: str) -> None:
    """The same tag and no body for the same answer, by weak and strong tag, in a list, or by *."""
    await filled.registered("spring")
    await filled.messages("a")
    first = await filled.get(path)
    tag = first.headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await filled.get(path, if_none_match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert {"content-type", "content-length"}.isdisjoint(again.headers)
        assert again.headers["cache-control"] == "no-store"
    other = await filled.get(path, if_none_match='"other"')
    assert (other.status, other.body) == (200, first.body)


async def test_the_tag_changes_with_what_is_shown(filled: Filled) -> None:
    """Numbers, orders, messages: each gives its readers another tag and the new answer, and nobody else."""
    await filled.registered("spring", "autumn")
    await filled.messages("a", bucket="sent", final=False)

    async def tags() -> dict[str, str]:
        paths = [*POLLED, "/v1/campaigns/autumn"]
        return {path: (await filled.get(path)).headers["etag"] for path in paths}

    async def changed(before: dict[str, str]) -> set[str]:
        now = await tags()
        for path, tag in before.items():
            answer = await filled.get(path, if_none_match=tag)
            assert answer.status == (304 if now[path] == tag else 200)
        return {path for path, tag in before.items() if now[path] != tag}

    before = await tags()
    await filled.numbers("spring", 5)
    assert await changed(before) == {"/v1/campaigns", "/v1/campaigns/spring"}
    before = await tags()
    await filled.messages("a", version=2)
    assert await changed(before) == {"/v1/campaigns/spring/messages"}
    before = await tags()
    await filled.ordered(CampaignPaused(campaign_id="autumn", by="x"))
    assert await changed(before) == {"/v1/campaigns", POLLED[1], "/v1/campaigns/autumn", "/v1/audit"}


async def test_errors_and_exports_have_no_tag(filled: Filled) -> None:
    """Only what comes in one piece and is right can be known already."""
    await filled.registered("spring")
    for path in ("/v1/campaigns/nobody", "/v1/campaigns/spring/export", "/livez"):
        assert "etag" not in (await filled.get(path, if_none_match="*")).headers


async def test_large_answers_are_compressed_for_who_takes_that(filled: Filled) -> None:
    """The content is the same; small answers, and clients that do not ask for it, get it plain."""
    await filled.registered(*(f"campaign-{number}" for number in range(100)))
    plain = await filled.get("/v1/campaigns")
    packed = await filled.get("/v1/campaigns", accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert len(packed.body) < len(plain.body) / 10
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] == plain.headers["etag"]
    small = await filled.get("/v1/suppressions", accept_encoding="gzip")
    assert "content-encoding" not in small.headers
    same = await filled.get("/v1/campaigns", accept_encoding="gzip", if_none_match=packed.headers["etag"])
    assert (same.status, same.body) == (304, b"")


def limited(bench: Bench, per_second: float) -> FastAPI:
    """The same application with a limit, and metrics of its own."""
    bench.desk.life.registry.__init__()  # type: ignore[misc]  # an application registers its metrics once
    return application(
        bench.desk, Tokens((each.scope, each.token.get_secret_value()) for each in TOKENS), per_second=per_second
    )


async def test_a_token_that_asks_too_often_is_told_when_to_come_again(bench: Bench) -> None:
    """429 with Retry-After in whole seconds; other tokens, strangers and probes are not held up by it."""
    app = limited(bench, 0.5)
    first = [await ask(app, "GET", "/v1/campaigns", token=READ) for _ in range(4)]
    assert [answer.status for answer in first] == [200, 429, 429, 429]
    assert (first[1].kind, first[1].headers["retry-after"]) == ("too-many-requests", "2")
    assert (await ask(app, "GET", "/v1/campaigns", token=ADMIN)).status == 200
    assert (await ask(app, "GET", "/v1/campaigns", token="nobody")).status == 401
    assert (await ask(app, "GET", "/livez", token=READ)).status == 200
    # a stream of a campaign that is not there: the answer is the route's own, not the limit's
    assert (await ask(app, "GET", "/v1/stream?campaign=nobody", token=READ)).status == 404


async def test_the_limit_is_a_rate() -> None:
    """Two seconds may be saved up; then it is so many a second, whatever the pattern; a token's bucket is its own."""
    now = 0.0
    answered: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answered.append(scope["state"]["caller"].by)

    async def quiet(_message: Message) -> None:
        return

    limit = RateLimit(app, 10, lambda: now)
    caller = Tokens([("read", READ)]).caller(READ)

    async def call(times: int) -> int:
        before = len(answered)
        for _ in range(times):
            scope = {"type": "http", "method": "GET", "path": "/v1/campaigns", "state": {"caller": caller}}
            await limit(scope, receive_nothing, quiet)
        return len(answered) - before

    assert await call(100) == 20
    now += 1
    assert await call(100) == 10
    now += 0.25
    assert await call(100) == 2
    now += 60
    assert await call(100) == 20


async def receive_nothing() -> Message:
    """A client without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_a_body_that_stops_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is not used again: what comes late must not be read as the next request."""
    monkeypatch.setattr(guard, "BODY_PAUSE", 0.05)
    got: list[Message] = []
    pieces: list[Message] = [{"type": "http.request", "body": b'{"to": "1555', "more_body": True}]

    async def receive() -> Message:
        return pieces.pop() if pieces else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Message) -> None:
        got.append(message)

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/suppressions", "raw_path": b"/v1/suppressions", "query_string": b"", "root_path": "",
        "headers": [(b"authorization", f"Bearer {ADMIN}".encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    await bench.app(scope, receive, send)
    headers = dict(got[0]["headers"])
    assert (got[0]["status"], headers[b"connection"]) == (408, b"close")
    assert json.loads(got[1]["body"])["type"].endswith(":request-timeout")


async def test_every_route_of_the_document_asks_who_calls(bench: Bench) -> None:
    """Whatever is described under /v1/ is closed to strangers, and to a scope below its own: none was forgotten."""
    document = bench.app.openapi()
    reads = {"get"}
    asked = 0
    for path, operations in document["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for method in operations:
            url = path.replace("{campaign_id}", "x").replace("{message_id}", "x")
            url += "?campaign=x" if path == "/v1/stream" else ""  # nobody knows it: the stream has an end
            assert (await ask(bench.app, method.upper(), url)).status == 401, (method, path)
            answer = await ask(bench.app, method.upper(), url, token=READ)
            closed = answer.status == 403
            assert closed == (method not in reads and path not in OWN), (method, path, answer)
            asked += 1
    assert asked >= 15
