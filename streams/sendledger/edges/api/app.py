"""The application: its routes, and the layers around them.

From the outside in: Guard (the last answer to any error), GZip, Revalidation (304), Authentication (401), RateLimit
(429), BodyLimit (413, 408).
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from sendledger.edges.api import (
    account,
    campaigns,
    description,
    exports,
    glossary,
    latency,
    messages,
    page,
    probes,
    problems,
    session,
    stream,
    submissions,
    suppressions,
    trail,
)
from sendledger.edges.api.auth import Authentication, Tokens
from sendledger.edges.api.desk import Desk
from sendledger.edges.api.guard import BodyLimit, Guard
from sendledger.edges.api.rate_limit import RateLimit
from sendledger.edges.api.revalidation import Revalidation

_DESCRIPTION = """Send requests in, states and numbers out. All writes become events on Kafka before they are answered.
Numbers are shown masked to their last three digits. Times are UTC. Lists are paged: pass `next_cursor` as `cursor`.
Who polls sends the `ETag` of the answer before as `If-None-Match` and gets 304 while nothing changed."""
_WORTH_IT = 1_024  # bytes from which an answer is compressed, if the client takes that
_EFFORT = 4


def application(desk: Desk, tokens: Tokens, *, per_second: float = 0.0) -> FastAPI:
    """The whole API; `per_second`: requests of one token, 0 = no limit.

    No page of documentation: those of the framework load code from foreign addresses.
    """
    app = FastAPI(
        title="Sendledger",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.desk = desk
    app.state.snapshots = stream.Snapshots(desk)
    app.state.page = page.read()
    app.state.sessions = sessions = session.Sessions(tokens.keys, desk.view.ended_sessions)
    problems.install(app)
    for part in (submissions, campaigns, messages, exports, suppressions, trail, stream, probes):
        app.include_router(part.router)
    for part in (account, latency, glossary, session, page):  # what the page needs besides
        app.include_router(part.router)
    description.complete(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(RateLimit, per_second=per_second)
    app.add_middleware(Authentication, tokens=tokens, by_cookie=sessions.caller)
    app.add_middleware(Revalidation)
    app.add_middleware(GZipMiddleware, minimum_size=_WORTH_IT, compresslevel=_EFFORT)  # never an event stream
    app.add_middleware(Guard, registry=desk.life.registry)
    return app
