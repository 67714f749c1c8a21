"""The API's description: OpenAPI 3.1, complete, and the same at each start (DESIGN §8)."""

from __future__ import annotations

from typing import Any

import jsonschema

from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

PROMISED = {
    "/v1/campaigns": {"get"},
    "/v1/campaigns/{campaign_id}": {"get"},
    "/v1/campaigns/{campaign_id}/latency": {"get"},
    "/v1/campaigns/{campaign_id}/messages": {"get", "post"},
    "/v1/campaigns/{campaign_id}/export": {"get"},
    "/v1/export/campaigns": {"get"},
    "/v1/campaigns/{campaign_id}/pause": {"post"},
    "/v1/campaigns/{campaign_id}/resume": {"post"},
    "/v1/campaigns/{campaign_id}/cancel": {"post"},
    "/v1/messages/{message_id}": {"get"},
    "/v1/messages/{message_id}/resolve": {"post"},
    "/v1/account": {"get"},
    "/v1/account/pause": {"post"},
    "/v1/account/resume": {"post"},
    "/v1/account/rate": {"post"},
    "/v1/suppressions": {"get", "post", "delete"},
    "/v1/audit": {"get"},
    "/v1/stream": {"get"},
    "/v1/session": {"get", "post", "delete"},
    "/v1/glossary": {"get"},
    "/livez": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}


async def description(bench: Bench) -> Any:
    """What is served."""
    return (await ask(bench.app, "GET", "/openapi.json")).json


async def test_every_promised_route_is_there(bench: Bench) -> None:
    """The routes are those of the design, no more and no fewer."""
    found = await description(bench)
    assert found["openapi"].startswith("3.1")
    assert {path: set(methods) for path, methods in found["paths"].items()} == PROMISED


async def test_it_is_the_same_each_time(bench: Bench) -> None:
    """Two readings are equal, so that a client made from it does not change by itself."""
    assert await description(bench) == await description(bench)


async def test_the_body_of_a_submission_is_described(bench: Bench) -> None:
    """Its JSON Schema takes the design's example and refuses a misspelt field."""
    post = (await description(bench))["paths"]["/v1/campaigns/{campaign_id}/messages"]["post"]
    content = post["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    schema = content["application/json"]["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    good = {"sender": "60856", "text": "Hi", "recipients": ["15551234888", {"to": "15551234889", "text": "Yo"}]}
    jsonschema.validate(good, schema)
    wrong = jsonschema.Draft202012Validator(schema).iter_errors({**good, "not_befor": "x"})
    assert [error.validator for error in wrong] == ["additionalProperties"]
    assert {"202", "200"} <= set(post["responses"])


async def test_every_route_under_v1_needs_a_bearer_and_tells_of_problems(bench: Bench) -> None:
    """A generated client knows that it needs a token and what each error looks like."""
    document = await description(bench)
    assert "ProblemBody" in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        if path.startswith("/v1/"):
            for name, method in methods.items():
                assert method["security"] == [{"HTTPBearer": []}], path
                found = {int(status) for status in method["responses"] if int(status) >= 400}
                with_a_body = {408, 413, 415} if "requestBody" in method else set()
                assert found >= {401, 403, 422, 429, 500, 503} | with_a_body, (name, path)
                for status in found:
                    assert set(method["responses"][str(status)]["content"]) == {"application/problem+json"}, path
                assert "Retry-After" in method["responses"]["429"]["headers"]


async def test_what_can_be_polled_has_a_tag(bench: Bench) -> None:
    """Every GET of JSON tells its ETag, that it takes If-None-Match, and that 304 may come."""
    tagged = 0
    for path, methods in (await description(bench))["paths"].items():
        told = methods.get("get", {"responses": {}})
        if path.startswith("/v1/") and "application/json" in told["responses"].get("200", {}).get("content", {}):
            tagged += 1
            assert "304" in told["responses"], path
            assert "ETag" in told["responses"]["200"]["headers"], path
            assert [each["name"] for each in told["parameters"] if each["in"] == "header"] == ["If-None-Match"], path
    assert tagged >= 6
