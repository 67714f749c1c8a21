"""The API does what its OpenAPI document says, whatever it is sent: schemathesis on a real API and a real Kafka.

No 5xx, no status, media type, header or field that is not described, no answer of 2xx to what the document forbids,
nothing without a token. Every operation but the stream, which has no end (tests/unit/api/test_stream.py). With
`CHAOS=long` (`make chaos-workers`) more of it, and every boundary of every schema; `SCHEMA_SEED` gives another run.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger_schemas.topics import MESSAGE_STATE
from tests.support.api import ADMIN, NUMBER, RunningApi, running_api
from tests.support.kafka import eventually
from tests.support.schema_hooks import CAMPAIGN, DOUBTED, ENDED, SETTLED
from tests.support.states import NOW, message_state

OTHER = "15551234889"
SEED = int(os.environ.get("SCHEMA_SEED", "20261128"))
LONG = os.environ.get("CHAOS") == "long"
EXAMPLES = 100 if LONG else 15
PHASES = "examples,coverage,fuzzing" if LONG else "examples,fuzzing"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth",
)  # fmt: skip
_ROOT = Path(__file__).parents[2]
_CONFIG = """
hooks = "tests.support.schema_hooks"
headers = {{ Authorization = "Bearer {token}" }}
"""


async def filled(api: RunningApi) -> None:
    """Something of each kind to read, to change and to decide."""
    for campaign in (CAMPAIGN, ENDED):
        assert (await api.submit(campaign, [NUMBER, OTHER])).status == 202
    assert (await api.post(f"/v1/campaigns/{ENDED}/cancel")).status == 200
    assert (await api.post("/v1/suppressions", {"to": OTHER, "reason": "asked"})).status == 201
    states = [
        message_state(DOUBTED, bucket="in_doubt", final=False, doubt_reason="timeout", doubt_since=NOW),
        message_state(SETTLED, detail=None, operator_id="77", otherwise={"last-final": {"bucket": "undelivered"}}),
    ]
    async with producer(api.settings.kafka) as writer:
        for state in states:
            value = state.model_dump_json().encode()
            await writer.send_and_wait(MESSAGE_STATE, value, key=state.message_id.encode(), partition=0)

    async def there() -> bool:
        return len((await api.get(f"/v1/campaigns/{CAMPAIGN}/messages")).json["items"]) == len(states)

    await eventually(there, what="the messages are there")


async def schemathesis(url: str, directory: Path) -> tuple[int, str]:
    """Run it; its exit code and what it said."""
    config = directory / "schemathesis.toml"
    config.write_text(_CONFIG.format(token=ADMIN))  # not on a command line
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"),
        *("--seed", str(SEED), "--max-examples", str(EXAMPLES), "--phases", PHASES, "--checks", ",".join(CHECKS)),
        *("--exclude-path", "/v1/stream", "--request-timeout", "30", "--no-color", "--continue-on-failure"),
        *("--workers", "1", "--no-shrink", "--output-sanitize", "true", "--warnings", "off"),
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,  # it keeps what it found where it runs
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 600 if LONG else 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode()


async def test_the_api_is_as_it_is_described(shared_kafka: Settings, tmp_path: Path) -> None:
    """Seeded requests, right and wrong, to every operation: no server error, and nothing that is not described."""
    async with running_api(shared_kafka, api_rate_limit=0.0, default_region="DE") as api:
        await filled(api)
        described = len(re.findall(r'"operationId"', (await api.get("/openapi.json")).body.decode()))
        code, out = await schemathesis(api.url, tmp_path)
        sys.stdout.write(out)
        if code:
            pytest.fail(f"seed {SEED}:\n{out}", pytrace=False)
        selected = re.search(r"Selected: (\d+)/(\d+)", out)
        assert selected is not None, out
        assert (int(selected[1]), int(selected[2])) == (described - 1, described)
        assert (await api.get("/livez", token=None)).status == 200
