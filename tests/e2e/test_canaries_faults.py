"""P7 and P8 when calls go wrong: providers that echo key, number and text in every place where an answer has room."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import parse_qs, quote
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from sendledger.config import Settings
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import API_RESPONSES, CAMPAIGNS, SEND_ATTEMPTS, SEND_REQUESTS
from tests.support import certificates
from tests.support.api import records
from tests.support.canaries import Found, files
from tests.support.instance import Program, environment, running
from tests.support.kafka import PEPPER, eventually
from tests.support.raw_provider import Server, answer, hang, reset, serving
from tests.support.sender import Line, answered, journal, post, request

KEY = "provider-key-canary-70218"
WORD = "marble-ibis"  # in each text

FAULTS = {
    # what the provider answers, with ECHO in its place → how the call ends
    "refused": ("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n", "ERRORINFO", "send-rejected"),
    "throttled once": ("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n", "THROTTLED", "send-accepted"),
    "html": ("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n", "<html>ECHO</html>", "unreadable"),
    "another TO": ("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n", "OTHER", "unreadable"),
    "broken XML": ("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n", "<RESPONSE><ECHO>ECHO", "unreadable"),
    "100 MB": ("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", "FLOOD", "unreadable"),
    "301": (
        "HTTP/1.1 301 Moved ECHO\r\nLocation: http://127.0.0.1:9/?ECHO\r\nContent-Length: 0\r\n\r\n",
        "",
        "unreadable",
    ),
    "500": ("HTTP/1.1 500 ECHO\r\nContent-Length: LENGTH\r\n\r\n", "ECHO", "http_5xx"),
    "status line": ("HTTP/1.1 ECHO\r\n\r\n", "", "unreadable"),
    "no HTTP": ("ECHO\r\n\r\n", "", "unreadable"),
    "header": ("HTTP/1.1 200 OK\r\nX ECHO\r\nContent-Length: 0\r\n\r\n", "", "unreadable"),
    "length": ("HTTP/1.1 200 OK\r\nContent-Length: ECHO\r\n\r\n", "", "unreadable"),
    "chunk": ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "ECHO\r\nx\r\n0\r\n\r\n", "unreadable"),
    "cookie": (
        "HTTP/1.1 200 OK\r\nSet-Cookie: a;ECHO[]=ECHO; Expires=ECHO\r\nContent-Length: 0\r\n\r\n",
        "",
        "unreadable",
    ),
    "encoding": ("HTTP/1.1 200 OK\r\nContent-Encoding: ECHO\r\nContent-Length: LENGTH\r\n\r\n", "ECHO", "unreadable"),
    "short": ("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", "SHORT", "unreadable"),
    "reset": ("", "RESET", "reset"),
    "unanswered": ("", "HANG", "timeout"),
}
REQUESTS = {name: request(row, campaign=f"c{row}") for row, name in enumerate(FAULTS)}
SECURE = [request(row, campaign="tls") for row in range(100, 104)]


def marked(row: SendRequested) -> SendRequested:
    """The request with a canary in its text."""
    return row.model_copy(update={"text": f"{WORD}-{row.to[-3:]}"})


def document(root: str, **fields: str) -> str:
    """An answer of the provider's."""
    return f"<{root}>{''.join(f'<{name}>{value}</{name}>' for name, value in fields.items())}</{root}>"


async def misbehave(server: Server, writer: asyncio.StreamWriter) -> None:
    """Answer the request that came last in the way of its number."""
    form = parse_qs(server.requests[-1].rpartition(b"\r\n\r\n")[2].decode())
    sms = ET.fromstring(form["xml"][0])  # noqa: S314 — our own request
    to, text = sms.findtext("TO") or "", sms.findtext("TEXT") or ""
    name = next(name for name, row in REQUESTS.items() if row.to == to)
    head, body, _ = FAULTS[name]
    echo = f"{KEY} {to} {text} +{to} {quote(text)}"
    again = sum(f"{to}%3C%2FTO".encode() in one for one in server.requests) > 1
    match body:
        case "ERRORINFO":
            body = document("RESPONSE", STATUS="Failure", ERRORCODE="E110", ERRORINFO=echo, TO=to)
        case "THROTTLED" if again:
            body = document("RESPONSE", STATUS="Success", TRACKINGID="SMS_1", TO=to)
        case "THROTTLED":
            body = document("RESPONSE", STATUS="Failure", ERRORCODE="E120", ERRORINFO=echo, TO=to)
        case "OTHER":
            body = document("RESPONSE", STATUS="Success", TRACKINGID=echo, TO=to[:-1] + "x")
        case "FLOOD":
            body = echo + " " * 200_000
        case "HANG":
            await hang(writer)
        case "RESET":
            return await reset(writer)
        case _:
            pass
    body = body.replace("ECHO", echo)
    whole = head.replace("LENGTH", str(len(body))).replace("ECHO", echo) + body
    writer.write(whole.replace("SHORT", echo).encode())
    await writer.drain()
    if body.startswith("SHORT") or not body:
        writer.close()
    return None


def variables(settings: Settings, directory: Path, url: str, **over: str) -> dict[str, str]:
    """The environment of a sender at DEBUG."""
    ours = {
        "PROVIDER_URL": url,
        "PROVIDER_API_KEY": KEY,
        "PROVIDER_TIMEOUT": "5",
        "RECIPIENT_PEPPER": PEPPER,
        "LOG_LEVEL": "DEBUG",
        "SEND_RATE": "1000",
    }
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": str(settings.kafka.bootstrap_servers)}
    return environment(directory / "data", **ours) | kafka | over


def run_sender(name: str, env: dict[str, str], directory: Path) -> AbstractAsyncContextManager[Program]:
    """`sendledger run sender`; its output goes to files of that name."""
    return running(name, "run", "sender", env=env, directory=directory)


async def metrics(env: dict[str, str]) -> bytes:
    """What the sender tells of itself."""
    url = f"http://127.0.0.1:{env['SENDLEDGER_METRICS_PORT']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answered_:
        assert answered_.status == 200
        return await answered_.read()


async def log_of(settings: Settings) -> dict[str, bytes]:
    """Keys, values and headers of what the sender writes."""
    return {
        topic: b"".join(
            (one.key or b"") + (one.value or b"") + b"".join(value for _, value in one.headers)
            for one in await records(settings, topic)
        )
        for topic in (SEND_ATTEMPTS, API_RESPONSES, CAMPAIGNS)
    }


def end_of(line: Line) -> str:
    """The reason of an answer that is none, else the kind of the answer."""
    return str(getattr(line.data, "reason", line.kind))


async def test_no_fault_of_the_provider_brings_a_canary_out(shared_kafka: Settings, tmp_path: Path) -> None:
    """Neither key nor number nor text of any answer is in the sender's output, metrics, store or records, at DEBUG."""
    held: list[Server] = []
    await post(shared_kafka, [marked(row) for row in REQUESTS.values()])
    async with serving(lambda writer: misbehave(held[0], writer)) as server:
        held.append(server)
        env = variables(shared_kafka, tmp_path, server.url)
        async with run_sender("faults", env, tmp_path) as program:
            lines = await answered(shared_kafka, len(FAULTS) + 1)
            told = await metrics(env)
    ends = {line.data.message_id: end_of(line) for line in lines if line.kind != "send-throttled"}
    assert {name: ends.get(row.message_id) for name, row in REQUESTS.items()} == {
        name: end for name, (_, _, end) in FAULTS.items()
    }
    assert len(server.requests) == len(FAULTS) + 1
    places = {"output": (program.out + program.err).encode(), "metrics": told}
    found = Found({**places, **await log_of(shared_kafka), **files(tmp_path / "data")})
    assert any("(store)" in place for place in found.texts)
    assert '"DEBUG"' in program.err, "the sender tells its settings, the level among them"
    for canary in (KEY, PEPPER, WORD, *(row.to for row in REQUESTS.values())):
        assert found.places_of(canary) == set(), canary
    on_log = b"".join([one.value for one in await records(shared_kafka, SEND_REQUESTS)])
    assert WORD.encode() in on_log, "the canaries never flew"


async def test_nobody_without_the_right_certificate_gets_the_key(shared_kafka: Settings, tmp_path: Path) -> None:
    """An unknown authority: nothing sent, nothing told. The same server, once its authority is known: sent over TLS."""
    made = certificates.make(tmp_path / "ca")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server)
    await post(shared_kafka, [marked(row) for row in SECURE])

    async def accept(writer: asyncio.StreamWriter) -> None:
        to = server.requests[-1].split(b"%3CTO%3E")[1].split(b"%3C")[0].decode()
        await answer(document("RESPONSE", STATUS="Success", TRACKINGID=f"SMS_{to[-2:]}", TO=to))(writer)

    async with serving(accept, tls=context) as server:
        env = variables(shared_kafka, tmp_path, server.url)
        async with run_sender("untrusted", env, tmp_path) as untrusted:
            lines = await answered(shared_kafka, 1)
        assert {(line.kind, line.data.reason) for line in lines} == {("send-not-sent", "tls")}
        assert server.requests == []
        trusting = {**env, "SSL_CERT_FILE": str(made.ca)}
        async with run_sender("trusted", trusting, tmp_path) as trusted:

            async def all_accepted() -> bool:
                return sum(line.kind == "send-accepted" for line in await journal(shared_kafka)) == len(SECURE)

            await eventually(all_accepted, what="all are accepted over TLS")
    assert len(server.requests) == len(SECURE)
    assert Counter(KEY.encode() in one.partition(b"\r\n\r\n")[0] for one in server.requests) == {False: len(SECURE)}
    output = {program.name: (program.out + program.err).encode() for program in (untrusted, trusted)}
    found = Found({**output, **await log_of(shared_kafka), **files(tmp_path / "data")})
    for canary in (KEY, PEPPER, WORD, *(row.to for row in SECURE)):
        assert found.places_of(canary) == set(), canary


@pytest.mark.parametrize("url", ["http://203.0.113.9/", f"https://203.0.113.9/?api_key={KEY}"])
async def test_a_sender_does_not_start_with_an_address_that_gives_the_key_away(url: str, tmp_path: Path) -> None:
    """Plain http to another machine, or the key in the address: one line, exit code 2, and the key is not in it."""
    env = environment(tmp_path / "data", PROVIDER_URL=url, PROVIDER_API_KEY=KEY)
    async with running("refused", "run", "sender", env=env, directory=tmp_path) as program:
        assert await asyncio.wait_for(program.process.wait(), 60) == 2
    assert program.err.startswith("sendledger: SENDLEDGER_PROVIDER_URL: must ")
    assert KEY not in program.err + program.out
