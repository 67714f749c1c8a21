"""Every error as `application/problem+json` (RFC 9457). No problem quotes what was sent: it may be personal (P7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

MEDIA_TYPE = "application/problem+json"
_URN = "urn:sendledger:problem:"


class FieldFault(BaseModel):
    """One field and what is wrong with it."""

    field: str
    reason: str


class ProblemBody(BaseModel):
    """A problem as it is answered; `type` tells kinds apart, `detail` is for people."""

    type: str = Field(examples=[f"{_URN}invalid"])
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldFault] | None = None


class Problem(Exception):
    """Ends the handling of a request with this answer. `kind`: the last part of the problem's type."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = [{"field": field, "reason": reason} for field, reason in errors]
        self.headers = headers
        self.more = more or {}

    def answer(self) -> Response:
        """The response."""
        body: dict[str, Any] = {
            "type": _URN + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"errors": self.errors} if self.errors else {}),
            **self.more,
        }
        return Response(orjson.dumps(body), self.status, self.headers, MEDIA_TYPE)


def also(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about these statuses of a route: each is a problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


PROBLEM_SCHEMA = "#/components/schemas/ProblemBody"
RESPONSES = also(401, 403, 422, 429, 500, 503)
"""Of every route under /v1/; `also` adds what is a route's own, `description` what goes with a body."""


def not_found(what: str) -> Problem:
    """404 for a campaign, a message, … that nobody knows."""
    return Problem(404, "not-found", f"there is no such {what}")


def log_away(**more: str) -> Problem:
    """503: nobody knows how much of the request was written. All our writes may be repeated."""
    detail = "Kafka does not answer: perhaps it is written, perhaps not; the same request may be repeated"
    return Problem(503, "log-away", detail, headers={"Retry-After": "5"}, more=more)


def install(app: FastAPI) -> None:
    """Answer the framework's own errors, and Kafka's, as problems too."""

    async def problem(request: Request, error: Exception) -> Response:
        return _as_problem(request, error).answer()

    for kind in (Problem, HTTPException, RequestValidationError, KafkaError, TimeoutError):
        app.add_exception_handler(kind, problem)


def _as_problem(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            if _other_media_type(request, error):
                return Problem(415, "unsupported-media-type", "send application/json")
            return Problem(422, "invalid", "the request does not fit", errors=map(_fault, error.errors()))
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            allow = {"Allow": ", ".join(sorted(_allowed(request, (error.headers or {}).get("Allow", ""))))}
            return Problem(405, "method-not-allowed", "this path has other methods: see Allow", headers=allow)
        case HTTPException(status_code=HTTPStatus.BAD_REQUEST):  # the framework's word for a body that is not UTF-8
            return Problem(422, "invalid", "the request does not fit", errors=[("body", "it is not JSON")])
        case HTTPException(status_code=status):
            kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
            headers = dict(error.headers) if error.headers else None
            return Problem(status, kind, HTTPStatus(status).description or kind, headers=headers)
        case _ if request.method == "GET":  # KafkaError, TimeoutError
            return Problem(503, "log-away", "Kafka does not answer in time", headers={"Retry-After": "5"})
        case _:
            return log_away()


def _other_media_type(request: Request, error: RequestValidationError) -> bool:
    """Whether the fault is a body that says to be something else than JSON, or does not say what it is."""
    if not any(fault["loc"][:1] == ("body",) for fault in error.errors()):
        return False
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return has_body and kind != "application/json" and not kind.endswith("+json")


def _allowed(request: Request, told: str) -> set[str]:
    """The methods of all routes with this path: the framework names (`told`) those of the first one only."""
    paths: dict[str, Any] = request.app.openapi()["paths"]
    found = [methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path)]
    documented = {method.upper() for methods in found for method in methods}
    return documented | {method.strip() for method in told.split(",") if method.strip()}


def _fault(item: dict[str, Any]) -> tuple[str, str]:
    place = [str(part) for part in item["loc"] if not isinstance(part, int)]
    if item["type"] == "extra_forbidden":  # its name is the caller's own and may hold anything
        return place[0], "unknown field"
    return ".".join(place[1:]) or place[0], str(item["msg"]).removeprefix("Value error, ")
