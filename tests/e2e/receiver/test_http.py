"""The receiver's HTTP over real sockets, with no Kafka anywhere: who comes in, what each is answered, what is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from structlog.testing import CapturingLogger

from sendledger.edges import receiver_app, receiver_http
from sendledger.edges.receiver import SPOOL_FILE, SpoolNotEmpty
from sendledger.edges.receiver_app import MAX_BODY
from sendledger.edges.record import Record
from sendledger.edges.spool import Spool
from sendledger.wire.postbacks import ODDITIES, REASONS
from sendledger_schemas import ids
from sendledger_schemas.topics import POSTBACKS, dlq
from tests.support.receiver import (
    NUMBER,
    PEPPER,
    SAMPLES,
    SECOND_TOKEN,
    TOKEN,
    Running,
    parse,
    receipt,
    request,
    running,
    settings_for,
)


@pytest_asyncio.fixture
async def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A receiver whose Kafka is away for ever, and which looks for late requests often."""
    monkeypatch.setattr(receiver_http, "SWEEP_SECONDS", 0.05)
    async with running(settings_for(tmp_path)) as it:
        yield it


async def kept(receiver: Running) -> list[Record]:
    """Stop the receiver; what it kept, which without Kafka is what stands in its spool."""
    await receiver.stop()
    spool = Spool(receiver.settings.spool_dir / SPOOL_FILE, max_bytes=10**9)
    records = [record for _, record in spool.head(records=10_000, size=10**9)]
    spool.close()
    return records


async def test_each_of_two_tokens_lets_in(receiver: Running) -> None:
    """Both tokens of a rotation are valid at once, and what came with either is kept."""
    for number, token in enumerate((TOKEN, SECOND_TOKEN)):
        assert (await receiver.post(receipt(number), f"/postbacks/{token}")).status == 200
    assert len(await kept(receiver)) == 2


WRONG = {
    "no token": ("POST", "/postbacks/"),
    "another token": ("POST", "/postbacks/canary-token-CCCCCCCCCCCCCCCCCCCC"),
    "a part of a token": ("POST", f"/postbacks/{TOKEN[:-1]}"),
    "more than a token": ("POST", f"/postbacks/{TOKEN}/"),
    "another path": ("POST", f"/{TOKEN}"),
    "the root": ("POST", "/"),
    "GET with a valid token": ("GET", f"/postbacks/{TOKEN}"),
    "PUT with a valid token": ("PUT", f"/postbacks/{TOKEN}"),
    "OPTIONS with a valid token": ("OPTIONS", f"/postbacks/{TOKEN}"),
    "not UTF-8": ("POST", "/postbacks/%ff%fe"),
    "upper case": ("POST", f"/postbacks/{TOKEN.upper()}"),
}


async def test_whoever_may_not_in_sees_one_answer(receiver: Running) -> None:
    """Wrong path, method or token: status, headers and body are the same, so nothing can be learnt from them."""
    reference = parse(await receiver.raw(request(b"x" * 10, "/nothing/here")))
    assert (reference.status, reference.body) == (404, b"")
    for case, (method, path) in WRONG.items():
        answer = parse(await receiver.raw(request(b"x" * 10, path, method)))
        assert (answer.status, answer.body) == (404, reference.body), case
        assert {**answer.headers, "date": ""} == {**reference.headers, "date": ""}, case
    assert await kept(receiver) == []


async def test_receipt_is_kept_as_its_event_under_its_recipient(receiver: Running) -> None:
    """The record has the topic, key, partition, id and raw body that the design fixes."""
    body = receipt(7, f" +{NUMBER}")
    assert (await receiver.post(body)).status == 200
    (record,) = await kept(receiver)
    recipient = ids.recipient_id(PEPPER.encode(), NUMBER)
    assert (record.topic, record.key) == (POSTBACKS, recipient.encode())
    assert record.partition == ids.partition_of(recipient, receiver.settings.partitions)
    event = orjson.loads(record.value)
    assert event["id"] == ids.body_id(body)
    assert event["data"]["raw"] == body.decode()
    assert (event["data"]["claim"], event["data"]["tracking_id"]) == ("delivered", "SMS_7")


async def test_other_origin_is_kept_as_an_event_without_a_claim(receiver: Running) -> None:
    """An incoming text disturbs nothing: it is an event that says nothing about a message of ours."""
    assert (await receiver.post(receipt(1).replace(b"SMS_MT", b"SMS_MO"))).status == 200
    (record,) = await kept(receiver)
    event = orjson.loads(record.value)
    assert (event["data"]["origin"], event["data"].get("claim")) == ("SMS_MO", None)


async def test_content_type_is_not_relied_on(receiver: Running) -> None:
    """Each form is told by its bytes: a wrong Content-Type, or none, changes nothing (PROVIDER.md, Postbacks 3)."""
    forms = [
        (SAMPLES / name).read_bytes() for name in ("page/notification-receipt.xml", "1.3/sent.xml", "v2/sent.json")
    ]
    for number, kind in enumerate(
        ("application/json", "text/xml; charset=utf-16", "application/x-www-form-urlencoded", "")
    ):
        for body in forms:
            assert (await receiver.post(body + b" " * number, Content_Type=kind)).status == 200
    claims = [orjson.loads(record.value)["data"]["claim"] for record in await kept(receiver)]
    assert claims == ["delivered", "sent", "sent"] * 4


async def test_what_was_never_announced_is_counted_and_told_once(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown origin, code, text or number is data: kept as an event, counted by kind, and logged once a kind."""
    log = CapturingLogger()
    monkeypatch.setattr(receiver_app, "log", log)
    odd = ["1.3/unknown-origin.xml", "1.3/unknown-code.xml", "1.3/failed-unknown-text.xml", "page/receipt-no-byte.xml"]
    for name in [*odd, *odd, "1.3/sent.xml", "1.3/incoming-text.xml"]:
        assert (await receiver.post((SAMPLES / name).read_bytes())).status == 200
    counted = {what: receiver.metric("sendledger_receiver_unannounced_total", what=what) for what in ODDITIES}
    assert counted == dict.fromkeys(ODDITIES, 2)
    kinds = [call.kwargs for call in log.calls if call.args[0] == "postback with something unannounced"]
    assert [kind["code"] for kind in kinds] == ["N202", "E299", "E202", "N201"]
    assert {record.topic for record in await kept(receiver)} == {POSTBACKS}


NASTY = sorted([*SAMPLES.glob("hostile/*"), *SAMPLES.glob("broken/*")])
BODIES = {
    "nothing": b"",
    "one NUL": b"\0",
    "not UTF-8": b"\xff\xfe\xfa",
    "no TO": receipt(1).replace(b"<TO>15551234888</TO>", b""),
    "other origin without TO": receipt(1).replace(b"<TO>15551234888</TO>", b"").replace(b"SMS_MT", b"SUB"),
    "JSON": b"[]",
    "as much as may be": b"<" + b"a" * (MAX_BODY - 1),
    "control characters": b"\x01" * MAX_BODY,
}


async def test_nasty_bodies_are_200_and_kept_once(receiver: Running) -> None:
    """Whatever an authenticated body is, it is answered 200 and stands, whole, in an event or a dead letter."""
    bodies = BODIES | {str(path.relative_to(SAMPLES)): path.read_bytes() for path in NASTY}
    for name, body in bodies.items():
        assert (await receiver.post(body)).status == 200, name
    records = await kept(receiver)
    assert len(records) == len(bodies)
    for (name, body), record in zip(bodies.items(), records, strict=True):
        if record.topic == dlq(POSTBACKS):
            assert (record.value, record.key) == (body, None), name
            headers = dict(record.headers)
            assert headers["__streams.errors.topic"] == POSTBACKS.encode()
            assert headers["__streams.errors.message"] != b""
        else:
            assert orjson.loads(record.value)["data"]["raw"] == body.decode(), name


async def test_oversized_body_is_413_and_not_kept(receiver: Running) -> None:
    """One byte over the limit is refused, told by its length or found while reading."""
    body = b"x" * (MAX_BODY + 1)
    chunked = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    told = await receiver.post(body)
    found = parse(await receiver.raw(request(chunked, Transfer_Encoding="chunked", Content_Length="")))
    absurd = parse(await receiver.raw(request(b"", Content_Length="9" * 18)))
    assert [told.status, found.status, absurd.status] == [413, 413, 413]
    assert await kept(receiver) == []


async def test_packed_body_is_415_and_never_unpacked(receiver: Running) -> None:
    """A Content-Encoding is refused before anything is read; `identity` is none."""
    assert (await receiver.post(receipt(1), Content_Encoding="gzip")).status == 415
    assert (await receiver.post(receipt(1), Content_Encoding="identity")).status == 200
    assert len(await kept(receiver)) == 1


async def test_chunked_body_and_a_kept_connection(receiver: Running) -> None:
    """Chunked bodies are read, and several requests may follow on one connection, also all at once."""
    body = receipt(1)
    chunks = b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in (body[:50], body[50:])) + b"0\r\n\r\n"
    chunked = request(chunks, Transfer_Encoding="chunked", Content_Length="", Connection="keep-alive")
    plain = [request(receipt(number), Connection="keep-alive") for number in (2, 3)]
    answer = await receiver.raw(b"".join([chunked, *plain, request(receipt(4))]))
    assert answer.count(b"HTTP/1.1 200") == 4
    assert len(await kept(receiver)) == 4


BROKEN_HTTP = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "no version": b"POST /\r\n\r\n",
    "bad length": f"POST /postbacks/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n".encode(),
    "two lengths": f"POST /postbacks/{TOKEN} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".encode(),
    "bad chunk": f"POST /postbacks/{TOKEN} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n".encode(),
    "not ASCII": b"POST /postbacks/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an upgrade": request(b"", Connection="upgrade, close", Upgrade="websocket"),
    "CONNECT": b"CONNECT receiver:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN_HTTP)
async def test_broken_http_is_no_500_and_harms_nobody(
    receiver: Running, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no request never make a 500, and the next postback is taken as ever."""
    monkeypatch.setattr(receiver_http, "REQUEST_SECONDS", 0.2)
    answer = await receiver.raw(BROKEN_HTTP[case])
    assert b"HTTP/1.1 500" not in answer
    assert (await receiver.post(receipt(1))).status == 200


SLOW = {
    "nothing at all": b"",
    "half a head": b"POST /postbacks/",
    "half a body": request(receipt(1))[:-20],
    "blank lines": b"\r\n\r\n",
    "half a second request": request(receipt(1), Connection="keep-alive") + b"POST ",
    "body behind a 404": request(b"", "/other", Content_Length="50", Connection="keep-alive"),
}


@pytest.mark.parametrize("case", SLOW)
async def test_slow_request_is_cut_off(receiver: Running, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owes the rest of a request for too long loses the connection, and is counted."""
    monkeypatch.setattr(receiver_http, "REQUEST_SECONDS", 0.2)
    await receiver.raw(SLOW[case], seconds=10)
    assert receiver.metric("sendledger_receiver_late_requests_total") == 1
    assert (await receiver.post(receipt(2))).status == 200


async def test_endless_head_is_cut_off(receiver: Running) -> None:
    """A head beyond its limit ends the connection instead of filling the memory, also on a used connection."""
    flood = b"POST / HTTP/1.1\r\n" + b"X-Flood: yes\r\n" * 100_000
    assert b"HTTP/1.1" not in await receiver.raw(flood)
    refused = request(b"x", "/other", Connection="keep-alive")
    assert (await receiver.raw(refused + flood)).count(b"HTTP/1.1 ") <= 1


async def test_stop_leaves_no_slow_client_waiting_and_loses_nothing(receiver: Running) -> None:
    """The end waits for whole requests only; what was answered 200 is kept, and a full spool is an error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.settings.receiver_port)
    writer.write(request(receipt(1))[:-20])
    await writer.drain()
    assert (await receiver.post(receipt(2))).status == 200
    ended = await receiver.stop()
    assert isinstance(ended, SpoolNotEmpty)
    assert b"HTTP/1.1" not in await reader.read()
    writer.close()
    assert len(await kept(receiver)) == 1


async def test_spool_without_room_is_503(tmp_path: Path) -> None:
    """With Kafka away and the spool full the provider is told to try again, and not one 200 is false."""
    async with running(settings_for(tmp_path, spool_max_mb=1)) as receiver:
        large = [b"<x>%d" % number + b"x" * 60_000 for number in range(40)]
        answers = await asyncio.gather(*(receiver.post(body) for body in large))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        assert len(await kept(receiver)) == statuses.count(200)


async def test_no_log_line_holds_token_number_or_pepper(
    receiver: Running, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Good, wrong and broken requests leave nothing personal or secret in logs, output, metrics or errors (P7, P8)."""
    caplog.set_level(logging.DEBUG)
    for body in (receipt(1), b"<broken>" + NUMBER.encode(), b""):
        await receiver.post(body)
    await receiver.raw(request(receipt(1), f"/wrong/{TOKEN}", "GET"))
    await receiver.raw(BROKEN_HTTP["bad length"])
    ended = await receiver.stop()
    metrics = " ".join(str(sample) for family in receiver.registry.collect() for sample in family.samples)
    told = caplog.text + "".join(capfd.readouterr()) + metrics + repr(ended) + repr(receiver.settings)
    for secret in (TOKEN, SECOND_TOKEN, PEPPER, NUMBER):
        assert secret not in told


async def test_outcomes_are_counted(receiver: Running) -> None:
    """Each request is one count under its outcome, dead letters also under their reason, the spool by its size."""
    await receiver.post(receipt(1))
    await receiver.post(b"<x/>")
    await receiver.post(receipt(1), "/wrong")
    name = "sendledger_receiver_postbacks_total"
    assert (receiver.metric(name, outcome="spool"), receiver.metric(name, outcome="not_found")) == (2, 1)
    letters = "sendledger_receiver_dead_letters_total"
    assert receiver.metric(letters, reason="unknown_form") == 1
    # Every reason has its series from the start: of one that begins at 1 no alert would see the first.
    assert {receiver.registry.get_sample_value(letters, {"reason": reason}) for reason in REASONS} == {0.0, 1.0}
    assert receiver.metric("sendledger_receiver_seconds_count") == 2
    assert receiver.metric("sendledger_receiver_kafka_up") == 0
