"""/livez, /readyz and /metrics of one role, on the loopback address or the one that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sendledger.life import Life


def application(role: str, life: Life) -> web.Application:
    """The three routes. `/livez` answers as long as the event loop turns; `/readyz` 200 or 503 as the role says."""

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"role": role, "live": True})

    async def readyz(_request: web.Request) -> web.Response:
        ready = life.ready.is_set() and not life.stop.is_set()
        return web.json_response({"role": role, "ready": ready}, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(life.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


@asynccontextmanager
async def serving(role: str, life: Life, *, host: str, port: int) -> AsyncIterator[None]:
    """Serve while the context lasts. Errors: OSError if the port is taken."""
    runner = web.AppRunner(application(role, life), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
