"""The OpenAPI document, completed by what no single route says: problems, tags, when to try again."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sendledger.edges.api.problems import ProblemBody, also

Json = dict[str, Any]

_PREFIX = "/v1/"
_WITH_A_BODY = also(408, 413, 415)
_TAG: Json = {"description": "A hash of the answer; give it back as If-None-Match", "schema": {"type": "string"}}
_RETRY: Json = {"description": "Seconds after which it may be tried again", "schema": {"type": "integer", "minimum": 1}}
_IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags that the client knows: 304 without a body if the answer would be one of them",
    "schema": {"type": "string"},
}
_NOT_MODIFIED: Json = {"description": "The answer is the one whose ETag was given", "headers": {"ETag": _TAG}}


def complete(app: FastAPI) -> None:
    """Serve the completed document at /openapi.json."""

    def document() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(
                get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the framework's own way to change it


def _completed(document: Json) -> Json:
    schemas: Json = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update({**problem.pop("$defs"), "ProblemBody": problem})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith(_PREFIX):
                _complete(operation, method)
    return document


def _complete(operation: Json, method: str) -> None:
    responses: Json = operation["responses"]
    if "requestBody" in operation:
        responses.update({str(status): told for status, told in _WITH_A_BODY.items() if str(status) not in responses})
    for status in ("429", "503"):
        if status in responses:
            responses[status] = {**responses[status], "headers": {"Retry-After": _RETRY}}
    if method == "get" and "application/json" in responses.get("200", {}).get("content", {}):
        responses["200"].setdefault("headers", {})["ETag"] = _TAG
        responses["304"] = _NOT_MODIFIED
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    operation["responses"] = dict(sorted(responses.items()))
