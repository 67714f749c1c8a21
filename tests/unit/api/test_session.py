"""The page's session: what its cookie may do, and what it may not (DESIGN §8, P8)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from sendledger.config import Settings
from sendledger.domain.ended_sessions import LIFETIME, EndedSessions
from sendledger.edges.api.auth import Scope, Tokens
from sendledger.edges.api.session import Session, Sessions
from sendledger.edges.topics import config_of
from sendledger_schemas.states import EndedSession
from sendledger_schemas.topics import SESSIONS, TOPICS
from tests.support.api import ADMIN, READ, SEND, Answer
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench
from tests.unit.api.filled import Filled

WRITE = {"x-sendledger": "1"}
COOKIE = "sendledger_8080"


@pytest.fixture(autouse=True)
def told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions of whose end the log was told."""
    names: list[str] = []

    async def write(session: str, ends: int) -> int:
        assert ends > 0
        names.append(session)
        return len(names)

    monkeypatch.setattr(bench.desk.orders, "end_session", write)
    return names


def tokens(*given: tuple[Any, str]) -> Tokens:
    """Some tokens."""
    return Tokens(given or (("read", READ), ("send", SEND), ("admin", ADMIN)))


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def session_for(token: str, sessions: Sessions, known: Tokens) -> tuple[str, Session]:
    """A cookie's value for a token, and the session that it is."""
    caller = known.caller(token)
    assert caller is not None
    value = sessions.open(caller)
    session = sessions.known(value)
    assert session is not None
    assert session.caller == caller
    return value, session


async def signed_in(bench: Bench, token: str) -> dict[str, str]:
    """The header of the cookie that a token was traded for."""
    answer = await ask(bench.app, "POST", "/v1/session", token=token)
    assert answer.status == 204
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == COOKIE
    return {"cookie": f"{COOKIE}={rest.partition(';')[0]}"}


async def test_a_token_is_traded_for_a_cookie(bench: Bench) -> None:
    """The cookie is HttpOnly and SameSite=Strict, goes to the API alone, and holds nothing of the token."""
    answer = await ask(bench.app, "POST", "/v1/session", token=ADMIN)
    cookie = answer.headers["set-cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/v1", f"max-age={LIFETIME}"} <= attributes
    assert ADMIN not in cookie
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", [None, "wrong-token-AAAAAAAAAAAAAAAAAA"])
async def test_no_token_no_cookie(bench: Bench, token: str | None) -> None:
    """A stranger gets 401 and nothing else."""
    answer = await ask(bench.app, "POST", "/v1/session", token=token)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


async def test_the_cookie_reads_as_its_token_does(bench: Bench) -> None:
    """Who signed in is told, with the same name as in the events and the same scope."""
    cookie = await signed_in(bench, SEND)
    by_token = (await ask(bench.app, "GET", "/v1/session", token=SEND)).json
    by_cookie = (await ask(bench.app, "GET", "/v1/session", headers=cookie)).json
    assert {**by_cookie, "ends": None} == by_token
    assert by_token["scope"] == "send"
    assert by_cookie["ends"] > 0
    assert (await ask(bench.app, "GET", "/v1/campaigns", headers=cookie)).status == 200


WRITES = [
    ("POST", "/v1/campaigns/x/pause", b""),
    ("POST", "/v1/campaigns/x/messages", b"{}"),
    ("POST", "/v1/suppressions", b'{"to": "hello"}'),
    ("DELETE", "/v1/suppressions", b'{"to": "hello"}'),
    ("POST", "/v1/account/rate", b"{}"),
    ("POST", "/v1/messages/x/resolve", b'{"as": "sent"}'),
    ("DELETE", "/v1/session", b""),
    ("PUT", "/v1/campaigns", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
@pytest.mark.parametrize(
    "header", [{}, {"x-sendledger": "0"}, {"x-sendledger": ""}, {"origin": "http://127.0.0.1:8080"}]
)
async def test_a_write_by_cookie_needs_the_header(
    bench: Bench, *, method: str, path: str, body: bytes, header: dict[str, str]
) -> None:
    """What another site could make a browser send, a form with the cookie, is refused before anything is looked at."""
    cookie = await signed_in(bench, ADMIN)
    answer = await ask(bench.app, method, path, body=body, headers={**cookie, **header})
    assert (answer.status, answer.kind) == (403, "header-needed")
    headers = {**cookie, **WRITE, "content-type": "application/json"}
    assert (await ask(bench.app, method, path, body=body, headers=headers)).status in {204, 404, 405, 422}


async def test_the_cookie_may_no_more_than_its_token(bench: Bench) -> None:
    """A reader's cookie pauses nothing."""
    answer = await ask(bench.app, "POST", "/v1/account/pause", headers={**await signed_in(bench, READ), **WRITE})
    assert (answer.status, answer.kind) == (403, "forbidden")


async def test_a_wrong_token_is_not_saved_by_a_cookie(bench: Bench) -> None:
    """Whoever names a token is judged by it alone."""
    cookie = await signed_in(bench, ADMIN)
    assert (await ask(bench.app, "GET", "/v1/campaigns", token="wrong", headers=cookie)).status == 401


async def test_a_session_does_not_prolong_itself(bench: Bench) -> None:
    """A stolen cookie cannot be traded for a fresh one."""
    answer = await ask(bench.app, "POST", "/v1/session", headers={**await signed_in(bench, ADMIN), **WRITE})
    assert (answer.status, answer.kind) == (403, "token-needed")


async def test_signing_out_ends_the_session(bench: Bench, told: list[str]) -> None:
    """The cookie is taken back, and a copy of it is worth nothing any more; the log is told; other sessions stay."""
    cookie, other = await signed_in(bench, ADMIN), await signed_in(bench, ADMIN)
    answer = await ask(bench.app, "DELETE", "/v1/session", headers={**cookie, **WRITE})
    assert answer.status == 204
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await ask(bench.app, "GET", "/v1/campaigns", headers=cookie)).status == 401
    assert (await ask(bench.app, "GET", "/v1/campaigns", headers=other)).status == 200
    assert len(told) == 1
    assert not [part for part in cookie["cookie"].split(".") if part in told[0] or told[0] in part]


async def test_signing_out_while_kafka_is_away_is_not_called_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cookie is taken back and worth nothing here; that others may not know is said."""

    async def away(_session: str, _ends: int) -> int:
        raise KafkaConnectionError

    monkeypatch.setattr(bench.desk.orders, "end_session", away)
    cookie = await signed_in(bench, ADMIN)
    answer = await ask(bench.app, "DELETE", "/v1/session", headers={**cookie, **WRITE})
    assert (answer.status, answer.kind) == (503, "log-away")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await ask(bench.app, "GET", "/v1/campaigns", headers=cookie)).status == 401


async def test_what_was_signed_out_elsewhere_is_out_here(bench: Bench) -> None:
    """Another process's record ends the cookie; one that nobody can read ends none."""
    cookie = await signed_in(bench, READ)
    session = bench.app.state.sessions.known(cookie["cookie"].partition("=")[2])
    filled = Filled(bench)
    await filled.raw(SESSIONS, b"{}")
    await filled.raw(SESSIONS, None)
    assert (await ask(bench.app, "GET", "/v1/session", headers=cookie)).status == 200
    await filled.raw(SESSIONS, EndedSession(session=session.name, ends=session.ends).model_dump_json().encode())
    assert (await ask(bench.app, "GET", "/v1/session", headers=cookie)).status == 401


def test_what_is_over_anyway_is_forgotten() -> None:
    """However many sign out, only those are kept whose cookies might still be good."""
    ended = EndedSessions()
    for number in range(50_000):
        ended.add(f"s{number}", LIFETIME + number * 60)
        assert f"s{number}" in ended
    assert len(ended) < LIFETIME / 60 + 1_000
    ended.add("late", LIFETIME)  # in whatever order they are read
    assert "s49999" in ended


def test_the_log_keeps_the_end_of_a_session_for_as_long_as_its_cookie() -> None:
    """What retention deletes is over by itself."""
    assert int(config_of(TOPICS[SESSIONS], Settings())["retention.ms"]) > LIFETIME * 1000


def test_a_session_ends_by_itself() -> None:
    """After its time it is over; signed out, at once."""
    clock, known = Clock(), tokens()
    sessions = Sessions(known.keys, EndedSessions(), clock)
    value, session = session_for(ADMIN, sessions, known)
    sessions.end(session)
    assert sessions.known(value) is None
    value, session = session_for(ADMIN, sessions, known)
    clock.now += LIFETIME - 1
    assert sessions.known(value) is not None
    clock.now += 1
    assert sessions.known(value) is None


def test_a_session_outlives_a_restart_and_not_its_token() -> None:
    """Another process with the same token knows the cookie; one without it does not, nor one where it may less."""
    value, _ = session_for(SEND, Sessions(tokens().keys, EndedSessions()), tokens())
    assert Sessions(tokens().keys, EndedSessions()).known(value) is not None
    assert Sessions(tokens(("admin", ADMIN)).keys, EndedSessions()).known(value) is None
    assert Sessions(tokens(("read", SEND)).keys, EndedSessions()).known(value) is None


def test_a_cookie_cannot_be_made_up() -> None:
    """Each changed part of it, and what is no cookie at all, is refused."""
    known = tokens()
    sessions = Sessions(known.keys, EndedSessions())
    value, session = session_for(READ, sessions, known)
    fingerprint, ends, nonce, signature = value.split(".")
    admin = session_for(ADMIN, sessions, known)[0].split(".")[0]
    forged = [
        "",
        ".",
        "...",
        "a.b.c.d",
        f"{value}.x",
        f"{value}x",
        value[:-1],
        "\u00fc.1.\u00fc.\u00fc",
        f"{admin}.{ends}.{nonce}.{signature}",
        f"{fingerprint}.{session.ends + 1}.{nonce}.{signature}",
        f"{fingerprint}.{'9' * 400}.{nonce}.{signature}",
        f"{fingerprint}.-1.{nonce}.{signature}",
        f"{fingerprint}.{ends}.{nonce}x.{signature}",
        f"{fingerprint}.{ends}.{nonce}.",
        f"{fingerprint}.{ends}.{nonce}.{signature[::-1]}",
    ]
    assert [each for each in forged if sessions.known(each) is not None] == []
    assert READ not in f"{sessions!r}{value}{vars(sessions)}"


async def test_two_cookies_are_none(bench: Bench) -> None:
    """A request with two cookie headers says nothing."""
    cookie = await signed_in(bench, ADMIN)

    async def twice(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"].append((b"cookie", cookie["cookie"].encode()))
        await bench.app(scope, receive, send)

    answer: Answer = await ask(twice, "GET", "/v1/campaigns", headers=cookie)
    assert answer.status == 401


def test_a_token_that_is_made_while_the_api_runs_has_its_cookies() -> None:
    """`sendledger token` adds to a file that is read again: its cookies are good at once, and end with it."""
    added: list[tuple[Scope, bytes]] = []
    known = Tokens([], more=lambda: added)
    sessions = Sessions(known.keys, EndedSessions())
    added.append(("send", hashlib.sha256(SEND.encode()).digest()))
    caller = known.caller(SEND)
    assert caller is not None
    value = sessions.open(caller)
    assert sessions.known(value) is not None
    added.clear()
    assert sessions.known(value) is None
