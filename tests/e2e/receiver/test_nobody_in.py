"""Nobody in: over real sockets, whoever lacks anything sees one answer, and no log says what was tried."""

from __future__ import annotations

import io
import logging
from base64 import b64encode
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from pydantic import SecretStr

from sendledger.cli.context import secrets_of
from sendledger.config import Settings
from sendledger.edges import logging as our_logging
from tests.support.receiver import TOKEN, Running, parse, receipt, request, running, settings_for

PAIR = "provider:canary-password-1"
RETIRED = "canary-token-RRRRRRRRRRRRRRRRRRRR"
LOOPBACK, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")


def header(pair: str) -> dict[str, str]:
    """HTTP Basic."""
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


async def one_answer(receiver: Running, refused: list[bytes], admitted: list[bytes]) -> None:
    """All of the first get the same bytes (the clock's aside) as a path that is nowhere; all of the second get 200."""
    reference = parse(await receiver.raw(request(b"x" * 10, "/nothing/here")))
    assert (reference.status, reference.body, "www-authenticate" in reference.headers) == (404, b"", False)
    for number, sent in enumerate(refused):
        answer = parse(await receiver.raw(sent))
        assert {**answer.headers, "date": ""} == {**reference.headers, "date": ""}, number
        assert (answer.status, answer.body) == (404, b""), number
    for number, sent in enumerate(admitted):
        assert parse(await receiver.raw(sent)).status == 200, number
    outcomes = {
        name: receiver.metric("sendledger_receiver_postbacks_total", outcome=name) for name in ("not_found", "spool")
    }
    assert outcomes == {"not_found": len(refused) + 1, "spool": len(admitted)}


async def test_basic_is_asked_for_beside_the_token(tmp_path: Path) -> None:
    """With pairs set, a valid token without them is answered like a wrong path, and the pair without a token too."""
    async with running(settings_for(tmp_path, receiver_basic_auth=(SecretStr(PAIR),))) as receiver:
        body = receipt(1)
        await one_answer(
            receiver,
            [request(body), request(body, **header(PAIR + "2")), request(body, "/postbacks/x", **header(PAIR))],
            [request(body, **header(PAIR))],
        )


async def test_only_listed_addresses_come_in_and_no_header_helps(tmp_path: Path) -> None:
    """The peer's own address counts; a stranger's X-Forwarded-For is not looked at."""
    async with running(settings_for(tmp_path, receiver_allow_from=(ELSEWHERE,))) as receiver:
        spoofed = {"X_Forwarded_For": "192.0.2.7", "Forwarded": "for=192.0.2.7", "X_Real_IP": "192.0.2.7"}
        await one_answer(receiver, [request(receipt(1)), request(receipt(1), **spoofed)], [])
    async with running(settings_for(tmp_path, receiver_allow_from=(LOOPBACK,))) as receiver:
        await one_answer(receiver, [], [request(receipt(1)), request(receipt(1), X_Forwarded_For="192.0.2.7")])


async def test_a_configured_proxy_is_believed_as_far_as_it_saw(tmp_path: Path) -> None:
    """Behind our own proxy the last address that it did not add itself must be on the list."""
    settings = settings_for(tmp_path, receiver_allow_from=(ELSEWHERE,), receiver_proxies=(LOOPBACK,))
    body = receipt(1)
    async with running(settings) as receiver:
        await one_answer(
            receiver,
            [request(body), request(body, X_Forwarded_For="192.0.2.7, 203.0.113.5")],
            [
                request(body, X_Forwarded_For="192.0.2.7"),
                request(body, X_Forwarded_For="203.0.113.5, 192.0.2.7, 127.0.0.9"),
            ],
        )


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What a receiver logs at the most talkative level, through the program's own set-up."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def talkative(settings: Settings, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    """Log all that there is, uvicorn's access log and trace included, which the program leaves off."""
    quiet = uvicorn.Config

    def config(app: Any, **options: Any) -> uvicorn.Config:
        return quiet(app, **{**options, "access_log": True, "log_level": "trace"})

    monkeypatch.setattr("sendledger.edges.receiver_http.uvicorn.Config", config)
    monkeypatch.setattr(our_logging, "_QUIET", {})
    our_logging.configure(role="receiver", secrets=secrets_of(settings), level="DEBUG", stream=stream)
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error", "uvicorn.asgi", "asyncio"):
        logging.getLogger(name).setLevel(5)


async def test_no_token_and_no_pair_is_in_any_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: io.StringIO
) -> None:
    """Even with uvicorn's access and trace logs on: valid, retired, almost right tokens and pairs are not written."""
    settings = settings_for(tmp_path, receiver_basic_auth=(SecretStr(PAIR),))
    talkative(settings, monkeypatch, told)
    guesses = [f"/postbacks/{token}" for token in (TOKEN, RETIRED, TOKEN[:-1], TOKEN + "?debug=1", TOKEN[:9])]
    async with running(settings) as receiver:
        for path in guesses:
            await receiver.raw(request(receipt(1), path, **header(PAIR)))
            await receiver.raw(request(receipt(1), path, "GET", **header(PAIR + "-retired")))
        await receiver.raw(b"POST " + guesses[0].encode() + b" HTTP/1.1\r\nContent-Length: x\r\n\r\n")
    written = told.getvalue()
    assert written.count("/postbacks/***") >= len(guesses)  # the access log was on
    for secret in ("canary", TOKEN[:9], b64encode(PAIR.encode()).decode()[:12]):
        assert secret not in written


async def test_the_program_itself_writes_no_access_log(tmp_path: Path, told: io.StringIO) -> None:
    """At DEBUG, as an operator would set it, not even a path is written."""
    settings = settings_for(tmp_path)
    our_logging.configure(role="receiver", secrets=secrets_of(settings), level="DEBUG", stream=told)
    async with running(settings) as receiver:
        await receiver.post(receipt(1))
        await receiver.post(receipt(1), f"/postbacks/{RETIRED}")
    assert "receiver listens" in told.getvalue()
    assert "/postbacks" not in told.getvalue()
