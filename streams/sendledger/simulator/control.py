"""`GET /status` and `POST /switch`: what a demo or a test asks of a running simulator."""

from __future__ import annotations

import ipaddress
from typing import Any

import orjson
from aiohttp import web

from sendledger.simulator.profile import Profile, as_json, changed

STATUS_PATH = "/status"
SWITCH_PATH = "/switch"


def answer_json(document: dict[str, Any], status: int = 200) -> web.Response:
    """A JSON document as an answer."""
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")


async def read_switch(http: web.BaseRequest, profile: Profile) -> Profile | web.Response:
    """The profile that a `POST /switch` asks for, or the refusal: 403 from afar, 405, 400 with the reason."""
    if not is_loopback(http.remote):
        return answer_json({"error": "only from this machine"}, 403)
    if http.method != "POST":
        return answer_json({"error": "POST a JSON object with the fields to change"}, 405)
    try:
        changes = orjson.loads(await http.read())
    except orjson.JSONDecodeError:
        return answer_json({"error": "the body is no JSON"}, 400)
    if not isinstance(changes, dict):
        return answer_json({"error": "the body is no JSON object"}, 400)
    try:
        return changed(profile, changes)
    except ValueError as error:
        return answer_json({"error": str(error)}, 400)


def switched(profile: Profile) -> web.Response:
    """The answer to a switch that was made: the whole profile that holds now."""
    return answer_json(as_json(profile))


def is_loopback(address: str | None) -> bool:
    """Whether an address is this machine's own."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
