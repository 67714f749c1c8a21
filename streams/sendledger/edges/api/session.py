"""The page's session: a token is traded for a cookie, which does as much as the token for some hours (DESIGN §8).

The cookie does not hold the token, only its fingerprint, an end and a signature that needs the token's hash: it is
good at every API with the same tokens and after a restart, and ends with its token. Signing out is a record on
`sms.sessions.v1`, which each API process reads. Scripts cannot read the cookie
(HttpOnly), other sites cannot send it (SameSite=Strict), and a write by it needs the header `X-Sendledger`, which no
form and no link of another site can add.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request, Response
from starlette.types import Scope

from sendledger.domain.ended_sessions import LIFETIME, EndedSessions
from sendledger.edges.api.auth import Caller, Reader
from sendledger.edges.api.desk import Desk, json
from sendledger.edges.api.problems import RESPONSES, Problem

router = APIRouter(tags=["session"], responses=RESPONSES)

HEADER = b"x-sendledger"
_SAFE = frozenset({"GET", "HEAD"})
_PURPOSE = b"sendledger session 1"
_FIELDS = 4
_PATIENCE = 5.0  # seconds for the log to take the end of a session


@dataclass(frozen=True)
class Session:
    """A cookie that is valid: whose it is, until when (seconds since 1970), and which one."""

    caller: Caller
    ends: int
    nonce: str

    @property
    def name(self) -> str:
        """What it is called on the log: nothing that a cookie could be made of."""
        return hashlib.sha256(self.nonce.encode()).hexdigest()[:32]


class Sessions:
    """Makes cookies and knows them again. `keys`: (caller, hash of its token) of every token that is valid now.

    `ended`: those that were signed out, here and, as the log is read, elsewhere.
    """

    def __init__(
        self,
        keys: Callable[[], Iterable[tuple[Caller, bytes]]],
        ended: EndedSessions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = keys
        self._ended = ended
        self._clock = clock

    def _keys(self) -> list[tuple[Caller, bytes]]:
        return [(caller, hmac.digest(digest, _PURPOSE, hashlib.sha256)) for caller, digest in self._tokens()]

    def open(self, caller: Caller) -> str:
        """A new cookie's value for a caller with a token."""
        ends, nonce = int(self._clock()) + LIFETIME, secrets.token_urlsafe(12)
        key = next(key for known, key in self._keys() if known == caller)
        return ".".join((caller.by.removeprefix("token:"), str(ends), nonce, _signed(key, caller, ends, nonce)))

    def known(self, value: str) -> Session | None:
        """The session of a cookie's value; None if it is made up, over, or was signed out."""
        parts = value.split(".")
        if len(parts) != _FIELDS or not (
            parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) <= len("9" * 12)
        ):
            return None
        fingerprint, ends, nonce, signature = parts[0], int(parts[1]), parts[2], parts[3]
        found = None
        for caller, key in self._keys():
            right = hmac.compare_digest(_signed(key, caller, ends, nonce).encode(), signature.encode())
            if right and caller.by == f"token:{fingerprint}":
                found = caller
        if found is None or ends <= self._clock():
            return None
        session = Session(found, ends, nonce)
        return None if session.name in self._ended else session

    def end(self, session: Session) -> None:
        """The cookie is worth nothing any more in this process, also if somebody kept a copy."""
        self._ended.add(session.name, session.ends)

    def caller(self, scope: Scope) -> Caller | None:
        """Whose cookie a request has; its session is left in the request's state. Errors: 403 without the header."""
        values = [_cookie(value, cookie_name(scope)) for name, value in scope["headers"] if name == b"cookie"]
        session = self.known(values[0]) if len(values) == 1 and values[0] else None
        if session is None:
            return None
        if scope["method"] not in _SAFE and (HEADER, b"1") not in scope["headers"]:
            raise Problem(403, "header-needed", "a write by cookie needs the header X-Sendledger: 1")
        scope.setdefault("state", {})["session"] = session
        return session.caller


def cookie_name(scope: Scope) -> str:
    """With the port in it: browsers give the cookies of one port to all others of the same host."""
    server = scope.get("server") or ("", 0)
    return f"sendledger_{server[1]}"


def _signed(key: bytes, caller: Caller, ends: int, nonce: str) -> str:
    return hmac.new(key, f"{caller.by}|{caller.scope}|{ends}|{nonce}".encode(), hashlib.sha256).hexdigest()


def _cookie(header: bytes, name: str) -> str:
    try:
        found = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


@router.post("/v1/session", status_code=204)
async def sign_in(request: Request, caller: Reader) -> Response:
    """Trade the token of this request for a cookie (HttpOnly, SameSite=Strict) that is good for 12 hours.

    Requests with the cookie need no token; those that write need the header `X-Sendledger: 1` besides.
    """
    if getattr(request.state, "session", None) is not None:
        raise Problem(403, "token-needed", "a session is opened with a token, not prolonged by itself")
    sessions: Sessions = request.app.state.sessions
    answer = Response(status_code=204)
    _set(answer, request, sessions.open(caller), LIFETIME)
    return answer


@router.get("/v1/session")
async def who(request: Request, caller: Reader) -> Response:
    """Who calls, and what they may do; `ends`: seconds since 1970, null for a token itself."""
    session: Session | None = getattr(request.state, "session", None)
    return json({"by": caller.by, "scope": caller.scope, "ends": None if session is None else session.ends})


@router.delete("/v1/session", status_code=204)
async def sign_out(request: Request, _caller: Reader) -> Response:
    """End the session of this request's cookie at every API process, and take the cookie back.

    503: it has ended here, and the browser has no cookie any more; other processes may not have heard of it.
    """
    session: Session | None = getattr(request.state, "session", None)
    answer = Response(status_code=204)
    if session is not None:
        request.app.state.sessions.end(session)
        desk: Desk = request.app.state.desk
        try:
            async with asyncio.timeout(_PATIENCE):
                await desk.orders.end_session(session.name, session.ends)
        except (KafkaError, TimeoutError):
            answer = _half_signed_out().answer()
    _set(answer, request, "", 0)
    return answer


def _half_signed_out() -> Problem:
    detail = "the session has ended here; Kafka does not answer, so other API processes may take a copy of the cookie"
    return Problem(503, "log-away", detail)


def _set(answer: Response, request: Request, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(
        cookie_name(request.scope), value, max_age=seconds, path="/v1", secure=secure, httponly=True, samesite="strict"
    )
