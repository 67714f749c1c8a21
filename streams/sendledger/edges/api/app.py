"""The application: its routes, and the layers around them from the outside in: Guard, Authentication, BodyLimit."""

from __future__ import annotations

from fastapi import FastAPI

from sendledger.edges.api import (
    campaigns,
    exports,
    messages,
    probes,
    problems,
    stream,
    submissions,
    suppressions,
    trail,
)
from sendledger.edges.api.auth import Authentication, Tokens
from sendledger.edges.api.desk import Desk
from sendledger.edges.api.guard import BodyLimit, Guard

_DESCRIPTION = """Send requests in, states and numbers out. All writes become events on Kafka before they are answered.
Numbers are shown masked to their last three digits. Times are UTC. Lists are paged: pass `next_cursor` as `cursor`."""


def application(desk: Desk, tokens: Tokens) -> FastAPI:
    """The whole API. No page of documentation: those of the framework load code from foreign addresses."""
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
    problems.install(app)
    for part in (submissions, campaigns, messages, exports, suppressions, trail, stream, probes):
        app.include_router(part.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(Authentication, tokens=tokens)
    app.add_middleware(Guard, registry=desk.life.registry)
    return app
