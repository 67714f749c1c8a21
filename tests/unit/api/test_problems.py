"""Every error is a problem document that quotes nothing of what was sent (DESIGN §8, P7)."""

from __future__ import annotations

import pytest
import structlog

from sendledger.edges.api.guard import LARGEST_ORDER, LARGEST_SUBMISSION
from tests.support.api import ADMIN, READ
from tests.support.states import campaign_state
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

CANARY = "15551234888"
JSON = {"content-type": "application/json"}
POST = "/v1/campaigns/spring/messages"


PROBLEMS = [
    # method, path, headers, body, status, kind
    ("GET", "/no-such-route", {}, b"", 404, "not-found"),
    ("GET", "/v1/no-such-route", {}, b"", 404, "not-found"),
    ("GET", f"/v1/campaigns/{CANARY}", {}, b"", 404, "not-found"),
    ("GET", f"/v1/campaigns/{CANARY}/messages", {}, b"", 404, "not-found"),
    ("POST", f"/v1/campaigns/{CANARY}/pause", {}, b"", 404, "not-found"),
    ("GET", f"/v1/messages/{CANARY}", {}, b"", 404, "not-found"),
    ("GET", f"/v1/stream?campaign={CANARY}", {}, b"", 404, "not-found"),
    ("PUT", "/v1/campaigns", {}, b"", 405, "method-not-allowed"),
    ("GET", f"/v1/campaigns?limit={CANARY}", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns?limit=0", {}, b"", 422, "invalid"),
    ("GET", f"/v1/campaigns?cursor={CANARY}", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns?cursor=W10", {}, b"", 422, "invalid"),
    ("GET", "/v1/suppressions?cursor=%FF", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns?cursor=WyJvbGRlc3QiLCAxLCAiYSJd", {}, b"", 422, "invalid"),  # of another sort
    ("GET", f"/v1/campaigns?state={CANARY}", {}, b"", 422, "invalid"),
    ("GET", f"/v1/campaigns?sort={CANARY}", {}, b"", 422, "invalid"),
    ("GET", f"/v1/campaigns/_none?at={CANARY}", {}, b"", 422, "invalid"),
    ("GET", f"/v1/campaigns/_none?at=-1h&clock={CANARY}", {}, b"", 422, "invalid"),
    ("GET", f"/v1/campaigns/_none?policy={CANARY}", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns/_none?clock=log", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns/_none?at=2999-01-01", {}, b"", 422, "invalid"),
    ("GET", "/v1/campaigns/_none?at=-1h", {}, b"", 404, "not-found"),
    ("GET", f"/v1/campaigns/{CANARY}?at=-1h", {}, b"", 404, "not-found"),
    ("GET", f"/v1/campaigns/_none/messages?policy={CANARY}", {}, b"", 422, "invalid"),
    ("POST", POST, {}, CANARY.encode(), 415, "unsupported-media-type"),
    ("POST", POST, {"content-type": "text/csv"}, CANARY.encode(), 415, "unsupported-media-type"),
    ("POST", POST, JSON, b"{" + CANARY.encode(), 422, "invalid"),
    ("POST", POST, JSON, b'{"sender": "1", "%s": 1, "recipients": []}' % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/campaigns/_none/messages", JSON, b"{}", 422, "invalid"),
    ("POST", POST, {**JSON, "idempotency-key": "x" * 256}, b"{}", 422, "invalid"),
    ("POST", POST, {"content-type": "multipart/form-data"}, CANARY.encode(), 400, "unreadable-form"),
    ("POST", POST, {"content-type": "multipart/form-data; boundary=x"}, CANARY.encode(), 400, "unreadable-form"),
    ("POST", POST, {"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422, "invalid"),
    ("POST", "/v1/suppressions", {}, b'{"to": "%s"}' % CANARY.encode(), 415, "unsupported-media-type"),
    ("POST", "/v1/account/pause", {"content-type": "text/plain"}, CANARY.encode(), 415, "unsupported-media-type"),
    ("POST", "/v1/suppressions", JSON, b'{"to": "%sx"}' % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/suppressions", JSON, b'{"to": %s}' % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/suppressions", JSON, b'{"%s": 1, "to": "1"}' % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/suppressions", JSON, b"%s{" % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/suppressions", JSON, b"\xff" + CANARY.encode(), 422, "invalid"),
    ("DELETE", "/v1/suppressions", JSON, b'{"to": "%s"}' % CANARY.encode(), 404, "not-found"),
    ("DELETE", "/v1/suppressions", JSON, b"{}", 422, "invalid"),
    ("POST", "/v1/account/rate", JSON, b'{"per_second": 0}', 422, "invalid"),
    ("POST", "/v1/account/rate", JSON, b'{"per_second": 1e999}', 422, "invalid"),
    ("POST", "/v1/account/rate", JSON, b'{"per_second": "%s"}' % CANARY.encode(), 422, "invalid"),
    ("POST", "/v1/messages/x/resolve", JSON, b'{"as": "%s"}' % CANARY.encode(), 422, "invalid"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status", "kind"), PROBLEMS)
async def test_each_error_is_a_problem(
    bench: Bench, *, method: str, path: str, headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    """Status, kind and media type are as promised, and the canary number is not in the answer."""
    bench.desk.view.states["_none"] = campaign_state("_none")
    answer = await ask(bench.app, method, path, token=ADMIN, headers=headers, body=body)
    assert (answer.status, answer.kind) == (status, kind), answer
    assert answer.json["status"] == status
    assert CANARY.encode() not in answer.body


async def test_a_method_that_is_not_allowed_tells_which_are(bench: Bench) -> None:
    """405 comes with Allow, as HTTP demands."""
    for path, allowed in (("/v1/campaigns", "GET"), ("/v1/suppressions", "DELETE, GET, POST")):
        assert (await ask(bench.app, "PUT", path, token=READ)).headers["allow"] == allowed


TOO_LARGE = [(POST, LARGEST_SUBMISSION), ("/v1/suppressions", LARGEST_ORDER), ("/v1/account/pause", LARGEST_ORDER)]


@pytest.mark.parametrize(("path", "limit"), TOO_LARGE)
async def test_a_body_is_limited_before_it_is_read(bench: Bench, path: str, limit: int) -> None:
    """A length above the limit is refused at the head; nothing of the body is asked for."""
    answer = await ask(bench.app, "POST", path, token=ADMIN, headers={**JSON, "content-length": str(limit + 1)})
    assert (answer.status, answer.kind) == (413, "content-too-large")


@pytest.mark.parametrize(("path", "limit"), TOO_LARGE[1:])
async def test_a_body_without_a_length_is_limited_while_it_comes(bench: Bench, path: str, limit: int) -> None:
    """Chunks that add up to too much are refused as well."""
    chunks = [b" " * 16_384] * (limit // 16_384 + 1)
    answer = await ask(bench.app, "POST", path, token=ADMIN, headers=JSON, body=chunks)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_error_of_our_own_gives_nothing_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is a 500 without details; the log gets its type and place, not its text (P7)."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot handle {CANARY}")

    monkeypatch.setattr("sendledger.edges.api.board.whole_view", broken)
    monkeypatch.setattr(bench.desk.view, "states", {"spring": campaign_state("spring")})
    with structlog.testing.capture_logs() as logged:
        answer = await ask(bench.app, "GET", "/v1/campaigns/spring", token=READ)
    assert (answer.status, answer.kind) == (500, "internal")
    assert CANARY.encode() not in answer.body
    assert CANARY not in str(logged)
    assert [(entry["event"], entry["error"]) for entry in logged] == [("request failed", "RuntimeError")]


async def test_every_answer_has_the_safe_headers(bench: Bench) -> None:
    """Answers are not stored, not sniffed, not framed; also errors."""
    for path in ("/v1/campaigns", "/no-such-route", "/livez"):
        headers = (await ask(bench.app, "GET", path, token=READ)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_metrics_count_by_route_not_by_url(bench: Bench) -> None:
    """A number or an id in a URL never becomes a label (P7), and labels stay few."""
    await ask(bench.app, "GET", f"/v1/campaigns/{CANARY}", token=READ)
    await ask(bench.app, "GET", f"/{CANARY}", token=READ)
    await ask(bench.app, f"X{CANARY}", "/v1/campaigns", token=READ)
    text = (await ask(bench.app, "GET", "/metrics")).body.decode()
    assert 'route="/v1/campaigns/{campaign_id}",status="404"' in text
    assert 'route="unmatched",status="404"' in text
    assert CANARY not in text
