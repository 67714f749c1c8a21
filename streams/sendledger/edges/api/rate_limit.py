"""So many requests a second of one token: one careless program must not take the API from all others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from sendledger.edges.api.problems import Problem

_SAVED = 2.0  # seconds of requests that a quiet token may make at once
_STREAMS = "/v1/stream"


class RateLimit:
    """ASGI, behind Authentication: 429 with `Retry-After` above `per_second` (0 = no limit). Streams are not counted.

    A token bucket each: it holds what two quiet seconds saved. `clock`: seconds that only grow.
    """

    def __init__(self, app: ASGIApp, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._per_second, self._clock = app, per_second, clock
        self._most = max(1.0, per_second * _SAVED)
        self._buckets: dict[str, tuple[float, float]] = {}  # of each token what is left, and when that was so

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or say when to come again."""
        caller = scope.get("state", {}).get("caller")
        if self._per_second and caller is not None and scope["path"] != _STREAMS:
            wait = self._wait(caller.by)
            if wait > 0:
                detail = f"at most {self._per_second:g} requests a second with one token"
                headers = {"Retry-After": str(math.ceil(wait))}
                await Problem(429, "too-many-requests", detail, headers=headers).answer()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wait(self, by: str) -> float:
        """Take one; if there is none, the seconds until there is."""
        now = self._clock()
        left, at = self._buckets.get(by, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        if left < 1:
            self._buckets[by] = (left, now)
            return (1 - left) / self._per_second
        self._buckets[by] = (left - 1, now)
        return 0.0
