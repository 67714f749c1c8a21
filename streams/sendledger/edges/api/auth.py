"""Who calls, and what they may do: bearer tokens, kept as hashes only, compared in constant time (DESIGN §8).

A request without a token may have the page's cookie instead (session.py).

`admin` includes `send`, `send` includes `read`. In events a caller appears as the fingerprint of the token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from sendledger.edges.api.problems import Problem
from sendledger.setting_types import HASHED

Scope = Literal["read", "send", "admin"]
_RANK: dict[str, int] = {"read": 0, "send": 1, "admin": 2}
_PREFIX = "/v1/"
_FINGERPRINT_BYTES = 5


@dataclass(frozen=True)
class Caller:
    """Someone with a valid token."""

    by: str
    scope: Scope


class Tokens:
    """The tokens that are valid: (scope, token) pairs, of which only the SHA-256 is kept; a token may be its hash.

    `more`: others, by their hashes, as they are when somebody calls.
    """

    def __init__(
        self, tokens: Iterable[tuple[Scope, str]], more: Callable[[], Iterable[tuple[Scope, bytes]]] = tuple
    ) -> None:
        self._callers = [_caller(scope, _kept(token)) for scope, token in tokens]
        self._more = more

    def __repr__(self) -> str:
        return f"<{len(self._callers)} tokens>"

    def caller(self, token: str) -> Caller | None:
        """Whose token this is. Every one is compared, so that the time tells nothing."""
        digest, found = _digest(token), None
        for known, caller in self._all():
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def keys(self) -> list[tuple[Caller, bytes]]:
        """Each caller with the hash of its token, from which the page's cookies are signed."""
        return [(caller, digest) for digest, caller in self._all()]

    def _all(self) -> list[tuple[bytes, Caller]]:
        return [*self._callers, *(_caller(scope, kept) for scope, kept in self._more())]


def fingerprint(token: str) -> str:
    """8 characters that name a token in events without giving it away."""
    return _named(_digest(token))


def _named(digest: bytes) -> str:
    return base64.b32encode(digest[:_FINGERPRINT_BYTES]).decode().lower()


def _caller(scope: Scope, digest: bytes) -> tuple[bytes, Caller]:
    return digest, Caller(f"token:{_named(digest)}", scope)


def _kept(token: str) -> bytes:
    return bytes.fromhex(token.removeprefix(HASHED)) if token.startswith(HASHED) else _digest(token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Authentication:
    """ASGI: nobody without a valid token gets past here to anything under /v1/, not even to its errors."""

    def __init__(self, app: ASGIApp, tokens: Tokens, by_cookie: Callable[[AsgiScope], Caller | None]) -> None:
        self._app = app
        self._tokens = tokens
        self._by_cookie = by_cookie

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let the request through with its caller, or answer 401."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        caller = self._tokens.caller(_bearer(scope))
        if caller is None and not any(name == b"authorization" for name, _ in scope["headers"]):
            try:
                caller = self._by_cookie(scope)
            except Problem as problem:
                await problem.answer()(scope, receive, send)
                return
        if caller is None:
            detail, headers = "a valid token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
            await Problem(401, "unauthenticated", detail, headers=headers).answer()(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _bearer(scope: AsgiScope) -> str:
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    kind, _, token = headers[0].decode("latin-1").partition(" ") if len(headers) == 1 else ("", "", "")
    return token.strip() if kind.lower() == "bearer" else ""


_scheme = HTTPBearer(auto_error=False, description="A token of SENDLEDGER_API_TOKENS")


def _needs(scope: Scope) -> Callable[..., Caller]:
    def check(request: Request, _bearer: Annotated[object, Depends(_scheme)]) -> Caller:
        caller: Caller = request.state.caller
        if _RANK[caller.scope] < _RANK[scope]:
            raise Problem(403, "forbidden", f"this needs a token with the scope {scope}")
        return caller

    return check


Reader = Annotated[Caller, Depends(_needs("read"))]
Submitter = Annotated[Caller, Depends(_needs("send"))]
Admin = Annotated[Caller, Depends(_needs("admin"))]
