"""Who may do what: the table of routes, scopes and answers (DESIGN §8, P8)."""

from __future__ import annotations

import pytest

from sendledger.edges.api.auth import Tokens, fingerprint
from tests.support.api import ADMIN, READ, SEND
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

JSON = {"content-type": "application/json"}

ROUTES = [
    # method, path, the least scope
    ("GET", "/v1/campaigns", "read"),
    ("GET", "/v1/campaigns/x", "read"),
    ("GET", "/v1/campaigns/x/messages", "read"),
    ("GET", "/v1/campaigns/x/export", "read"),
    ("GET", "/v1/messages/x", "read"),
    ("GET", "/v1/suppressions", "read"),
    ("GET", "/v1/audit", "read"),
    ("GET", "/v1/stream?campaign=x", "read"),
    ("GET", "/v1/campaigns/x/latency", "read"),
    ("GET", "/v1/account", "read"),
    ("GET", "/v1/glossary", "read"),
    ("GET", "/v1/session", "read"),
    ("POST", "/v1/session", "read"),
    ("DELETE", "/v1/session", "read"),
    ("POST", "/v1/campaigns/_x/messages", "send"),
    ("POST", "/v1/campaigns/x/pause", "send"),
    ("POST", "/v1/campaigns/x/resume", "send"),
    ("POST", "/v1/campaigns/x/cancel", "send"),
    ("POST", "/v1/messages/x/resolve", "send"),
    ("POST", "/v1/suppressions", "send"),
    ("DELETE", "/v1/suppressions", "send"),
    ("POST", "/v1/account/rate", "admin"),
]
TOKEN = {"read": READ, "send": SEND, "admin": ADMIN}
RANK = ["read", "send", "admin"]
# A body that is right where a wrong one would be told before the scope, and that reaches no Kafka.
BODIES = {
    "/v1/messages/x/resolve": b'{"as": "sent"}',
    "/v1/suppressions": b'{"to": "hello"}',
}
ALLOWED_BUT = {200, 204, 404, 415, 422}


@pytest.mark.parametrize(("method", "path", "least"), ROUTES)
@pytest.mark.parametrize("scope", RANK)
async def test_each_scope_opens_its_routes_and_no_other(
    bench: Bench, method: str, path: str, least: str, scope: str
) -> None:
    """A token opens what its scope includes, and gets 403 everywhere else."""
    body = BODIES.get(path, b"{}" if path == "/v1/campaigns/_x/messages" else b'{"per_second": "x"}')
    answer = await ask(bench.app, method, path, token=TOKEN[scope], body=body, headers=JSON)
    if RANK.index(scope) >= RANK.index(least):
        assert answer.status in ALLOWED_BUT, answer
    elif path != "/v1/account/rate":  # its body is judged first
        assert (answer.status, answer.kind) == (403, "forbidden")


@pytest.mark.parametrize("path", ["/v1/account/pause", "/v1/account/resume"])
@pytest.mark.parametrize("token", [READ, SEND])
async def test_the_account_is_the_administrators(bench: Bench, path: str, token: str) -> None:
    """Nobody but an administrator stops or starts the whole account."""
    answer = await ask(bench.app, "POST", path, token=token)
    assert (answer.status, answer.kind) == (403, "forbidden")


STRANGERS = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Bearer wrong-token-AAAAAAAAAAAAAAAAAA"},
    {"authorization": f"Bearer {READ[:-1]}"},
    {"authorization": f"Bearer {READ}x"},
    {"authorization": f"Basic {READ}"},
    {"authorization": READ},
    {"authorization": "Bearer \u00fc\u00e4"},
    {"cookie": f"token={READ}"},
]


@pytest.mark.parametrize("headers", STRANGERS)
@pytest.mark.parametrize(
    ("method", "path", "_least"), [*ROUTES, ("GET", "/v1/no-such-route", ""), ("PUT", "/v1/audit", "")]
)
async def test_a_stranger_learns_nothing(
    bench: Bench,
    method: str,
    path: str,
    _least: str,
    headers: dict[str, str],
) -> None:
    """Without a valid token everything under /v1 is the same 401, also what does not exist."""
    answer = await ask(bench.app, method, path, headers=headers, body=b"{")
    assert (answer.status, answer.kind) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers_are_none(bench: Bench) -> None:
    """A request that says two things about who it is says nothing."""

    async def twice(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        scope["headers"].append((b"authorization", b"Bearer other"))
        await bench.app(scope, receive, send)  # type: ignore[arg-type]

    answer = await ask(twice, "GET", "/v1/campaigns", token=READ)
    assert answer.status == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json"])
async def test_machines_need_no_token(bench: Bench, path: str) -> None:
    """Probes, metrics and the API's description are open; they hold nothing of anybody."""
    assert (await ask(bench.app, "GET", path)).status == 200


def test_tokens_are_kept_as_hashes_only() -> None:
    """Whoever dumps the table of tokens finds no token in it (P8)."""
    tokens = Tokens([("read", READ), ("admin", ADMIN)])
    assert not any(token in f"{tokens!r}{vars(tokens)}" for token in (READ, ADMIN))
    caller = tokens.caller(ADMIN)
    assert caller is not None
    assert (caller.scope, caller.by) == ("admin", f"token:{fingerprint(ADMIN)}")
    assert fingerprint(ADMIN) not in ADMIN


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer takes the same work whichever token fits, so that its time tells nothing."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("sendledger.edges.api.auth.hmac.compare_digest", compare)
    tokens = Tokens([("read", READ), ("send", SEND), ("admin", ADMIN)])
    for token in (READ, ADMIN, "nobody"):
        compared.clear()
        tokens.caller(token)
        assert len(compared) == 3


async def test_nothing_under_v1_before_the_log_was_read(bench: Bench) -> None:
    """While the view is not caught up the API says 503 instead of numbers that are not yet true."""
    bench.desk.life.ready.clear()
    answer = await ask(bench.app, "GET", "/v1/campaigns", token=READ)
    assert (answer.status, answer.kind) == (503, "not-ready")
    ready = await ask(bench.app, "GET", "/readyz")
    assert (ready.status, ready.json["waiting_for"]) == (503, ["api"])
    assert (await ask(bench.app, "GET", "/livez")).status == 200
