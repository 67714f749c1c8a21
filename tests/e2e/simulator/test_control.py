from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from sendledger.simulator.control import is_loopback
from sendledger.simulator.profile import PRESETS, as_json
from sendledger.wire.sendsms import Failed, decode_response
from tests.support.simulation import TO, quiet, simulator, submit


async def switch(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST to /switch."""
    async with aiohttp.ClientSession() as session, session.post(url + "switch", data=body) as answer:
        return answer.status, orjson.loads(await answer.read())


async def status(url: str) -> dict[str, Any]:
    """The JSON of /status."""
    async with aiohttp.ClientSession() as session, session.get(url + "status") as answer:
        document: dict[str, Any] = orjson.loads(await answer.read())
        return document


async def test_the_status_says_when_it_is_quiet(tmp_path: Path) -> None:
    """Counts of submissions and postbacks, by outcome; quiet once nothing is pending."""
    async with simulator(tmp_path, errors={}) as it:
        assert (await status(it.url))["quiet"]
        await submit(it.url)
        await switch(it.url, b'{"errors": {"E110": 1}}')
        await submit(it.url)
        await quiet(it)
        shown = await status(it.url)
    assert shown["submissions"] == {"total": 2, "accepted": 1, "rejected": 1, "throttled": 0, "dropped": 0}
    assert shown["codes"] == {"E110": 1}
    assert shown["postbacks"] == {
        "pending": 0,
        "planned": 2,
        "delivered": 0,
        "given_up": 0,
        "no_callback": 2,
        "tries": 0,
    }
    assert (shown["seed"], shown["answering"], shown["quiet"]) == (1, 0, True)


async def test_the_status_has_no_secrets_and_no_numbers(tmp_path: Path) -> None:
    """Neither TO nor the address of the receiver is shown."""
    async with simulator(tmp_path, callback_url="http://127.0.0.1:9/canary-token", no_receipt=1) as it:
        await submit(it.url)
        await quiet(it)
        shown = orjson.dumps(await status(it.url)).decode()
    assert "canary" not in shown
    assert TO not in shown


async def test_a_switch_changes_the_behaviour_while_it_runs(tmp_path: Path) -> None:
    """Billing problem from now on; the answer is the whole profile, and the ledger has the switch."""
    async with simulator(tmp_path) as it:
        code, profile = await switch(it.url, b'{"errors": {"E713": 1}, "form": "v2"}')
        answer = decode_response((await submit(it.url)).body, TO)
    assert (code, profile["errors"], profile["form"]) == (200, {"E713": 1.0}, "v2")
    assert isinstance(answer, Failed)
    assert answer.error_code == "E713"
    assert '"kind":"switch"' in (tmp_path / "ledger.jsonl").read_text()


async def test_a_status_can_be_given_back(tmp_path: Path) -> None:
    """The profile of any preset passes through /switch and /status unchanged."""
    async with simulator(tmp_path) as it:
        for preset in PRESETS.values():
            assert (await switch(it.url, orjson.dumps(as_json(preset))))[0] == 200
            assert (await status(it.url))["profile"] == orjson.loads(orjson.dumps(as_json(preset)))


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"early": 2}', b'{"unheard": 1}', b'{"rate": "fast"}'])
async def test_an_impossible_switch_changes_nothing(tmp_path: Path, body: bytes) -> None:
    """400 with the reason, and the profile stays."""
    async with simulator(tmp_path) as it:
        before = (await status(it.url))["profile"]
        code, refusal = await switch(it.url, body)
        assert (code, bool(refusal["error"])) == (400, True)
        assert (await status(it.url))["profile"] == before


async def test_a_switch_is_a_post(tmp_path: Path) -> None:
    """A GET on /switch changes nothing."""
    async with (
        simulator(tmp_path) as it,
        aiohttp.ClientSession() as session,
        session.get(it.url + "switch") as answer,
    ):
        assert answer.status == 405


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_may_switch(address: str) -> None:
    """Loopback is this machine."""
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["192.0.2.1", "::", "0.0.0.0", None, "example.org"])  # noqa: S104  # refused
def test_nobody_else_may_switch(address: str | None) -> None:
    """Everything else, also what is no address, is not."""
    assert not is_loopback(address)
