"""The provider over HTTP: every path but two is the API, as POST with the field `xml` or as GET.

Order for one call, because tests rely on it: decide → ledger → disk → early postbacks → latency → answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from sendledger.simulator.answers import give
from sendledger.simulator.control import STATUS_PATH, SWITCH_PATH, answer_json, read_switch, switched
from sendledger.simulator.desk import Call, Decision, Desk
from sendledger.simulator.entries import Started, Switched
from sendledger.simulator.ledger import Ledger
from sendledger.simulator.options import Options
from sendledger.simulator.postbacks import Postman
from sendledger.simulator.posting import Poster
from sendledger.simulator.profile import as_json
from sendledger.wire.provider_side import decode_form, decode_query

_MAX_BODY = 64 * 1024
_BACKLOG = 1024


class Simulator:
    """One running provider. `async with Simulator(options) as simulator:` then `simulator.url`.

    Raises:
        OSError: the ledger cannot be opened or the port not be had.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._ledger = Ledger(options.ledger, sync=options.sync)
        self._desk = Desk(options.rules, options.profile, time.monotonic())
        poster = Poster(options.callback_url) if options.callback_url else None
        self._postman = Postman(poster, options.rule, options.rules.scale, self._ledger)
        self._stopping = asyncio.Event()
        self._stack = AsyncExitStack()
        self._outcomes: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._answering = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            # Closed in the opposite order: no new calls, then no more postbacks, then the ledger's last lines.
            await stack.enter_async_context(self._ledger)
            self._ledger.append(
                [
                    Started(
                        mono=time.monotonic(),
                        wall=time.time(),
                        seed=self._options.rules.seed,
                        profile=as_json(self._options.profile),
                    )
                ]
            )
            posting = asyncio.create_task(self._postman.run())
            stack.push_async_callback(self._stop_posting, posting)
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.callback(self._stopping.set)
            site = web.TCPSite(runner, self._options.host, self._options.port, backlog=_BACKLOG)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def failed(self) -> None:
        """Waits; raises LedgerFailed as soon as the disk refuses the ledger."""
        await self._ledger.failed()

    async def _stop_posting(self, posting: asyncio.Task[None]) -> None:
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        await self._postman.stop()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.path == STATUS_PATH:
            return answer_json(self.status())
        if http.path == SWITCH_PATH:
            return await self._switch(http)
        if http.method not in {"GET", "POST"}:
            return web.Response(status=405, headers={"Allow": "GET, POST"})
        body = await http.read() if http.method == "POST" else b""
        if len(body) > _MAX_BODY:
            return web.Response(status=413)
        request = decode_form(body) if http.method == "POST" else decode_query(http.query)
        decision = self._desk.decide(Call(request, http.method, http.path, time.monotonic(), time.time()))
        profile = self._desk.profile
        self._answering += 1
        try:
            await self._settle(decision)
            await asyncio.sleep(decision.plan.latency)
        finally:
            self._answering -= 1
        return await give(http, decision, profile, self._stopping)

    async def _settle(self, decision: Decision) -> None:
        """Ledger, disk, early postbacks; and the other postbacks are scheduled."""
        submission = decision.submission
        self._outcomes[submission.outcome] += 1
        if submission.code is not None:
            self._codes[submission.code] += 1
        self._postman.hold(decision.deliveries)
        self._ledger.append([submission, *(delivery.entry for delivery in decision.deliveries)])
        await self._ledger.durable()
        for delivery in decision.deliveries:
            if delivery.entry.early:
                await self._postman.deliver_early(delivery)
            else:
                self._postman.schedule(delivery, delivery.entry.due)

    async def _switch(self, http: web.BaseRequest) -> web.Response:
        asked = await read_switch(http, self._desk.profile)
        if isinstance(asked, web.Response):
            return asked
        now = time.monotonic()
        self._desk.switch(asked, now)
        self._ledger.append([Switched(mono=now, wall=time.time(), profile=as_json(asked))])
        await self._ledger.durable()
        return switched(asked)

    def status(self) -> dict[str, Any]:
        """What `GET /status` shows: counts and the profile; no numbers, keys or addresses."""
        counts, pending = self._postman.counts, self._postman.pending
        return {
            "seed": self._options.rules.seed,
            "time_scale": self._options.rules.scale,
            "submissions": {"total": sum(self._outcomes.values()), **_named(self._outcomes, _OUTCOMES)},
            "codes": dict(self._codes),
            "postbacks": {"pending": pending, **_named(counts, _POSTBACK_COUNTS)},
            "answering": self._answering,
            "quiet": pending == 0 and self._answering == 0,
            "profile": as_json(self._desk.profile),
        }


_OUTCOMES = ("accepted", "rejected", "throttled", "dropped")
_POSTBACK_COUNTS = ("planned", "delivered", "given_up", "no_callback", "tries")


def _named(counts: Counter[str], names: tuple[str, ...]) -> dict[str, int]:
    return {name: counts[name] for name in names}
