"""Each misbehaviour as the bytes that a caller sees, and what the ledger says about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.simulator.ledger_reader import read_ledger
from sendledger.simulator.profile import Misbehaviour
from sendledger.simulator.truth import Message
from sendledger.wire.sendsms import Accepted, Failed, Throttled, Unreadable, decode_response
from tests.support.processes import until
from tests.support.simulation import TO, exchange, http_post, request, simulator, submit

AT_ONCE = {
    Misbehaviour.HTTP_500: (500, "html"),
    Misbehaviour.HTTP_502: (502, "html"),
    Misbehaviour.HTTP_503: (503, "html"),
    Misbehaviour.HTTP_429: (429, "empty"),
    Misbehaviour.HTTP_301: (301, "empty"),
    Misbehaviour.HTML: (200, "html"),
    Misbehaviour.TRUNCATED: (200, "broken"),
    Misbehaviour.BROKEN: (200, "broken"),
    Misbehaviour.EMPTY: (200, "empty"),
    Misbehaviour.NO_TRACKING_ID: (200, "no_tracking_id"),
    Misbehaviour.OTHER_TO: (200, "other_recipient"),
}


def message(directory: Path) -> Message:
    """The one message in the ledger."""
    (only,) = read_ledger(directory / "ledger.jsonl").messages
    return only


@pytest.mark.parametrize("kind", AT_ONCE, ids=str)
async def test_an_answer_that_says_nothing(tmp_path: Path, kind: Misbehaviour) -> None:
    """The status and the reason for which no reader can use the answer, and the ledger names the misbehaviour."""
    status, reason = AT_ONCE[kind]
    async with simulator(tmp_path, misbehave={kind: 1.0}) as it:
        seen = await submit(it.url)
    assert seen.status == status
    assert decode_response(seen.body, TO) == Unreadable(reason)  # type: ignore[arg-type]  # one of its reasons
    assert message(tmp_path).submissions[0].answer == kind.value


async def test_what_429_and_301_say_besides(tmp_path: Path) -> None:
    """429 has a Retry-After and 301 a Location; who follows it is found in the ledger by the path."""
    async with simulator(tmp_path, misbehave={Misbehaviour.HTTP_429: 1.0}, retry_after=7) as it:
        assert b"retry-after: 7" in (await submit(it.url)).head
        it_moved = await exchange(it.url, http_post(b"", path="/moved"))
    assert it_moved.status == 200
    assert [line.path for line in read_ledger(tmp_path / "ledger.jsonl").anonymous] == ["/moved"]
    (tmp_path / "301").mkdir()
    async with simulator(tmp_path / "301", misbehave={Misbehaviour.HTTP_301: 1.0}) as it:
        assert b"location: /moved" in (await submit(it.url)).head


async def test_an_unknown_code_is_a_failure_that_can_be_read(tmp_path: Path) -> None:
    """The provider invents an ERRORCODE: a Failure that is data, not an accident."""
    async with simulator(tmp_path, misbehave={Misbehaviour.UNKNOWN_CODE: 1.0}) as it:
        answer = decode_response((await submit(it.url)).body, TO)
    assert isinstance(answer, Failed)
    assert (answer.error_code, answer.error_class.name) == ("E999", "unknown")
    assert message(tmp_path).rejected_code == "E999"


@pytest.mark.parametrize(
    ("kind", "bucket"), [(Misbehaviour.RESET_BEFORE, "dropped"), (Misbehaviour.RESET_AFTER, "accepted")]
)
async def test_a_reset_is_a_reset(tmp_path: Path, kind: Misbehaviour, bucket: str) -> None:
    """The connection ends with RST and without a byte; the ledger knows whether the message was taken."""
    async with simulator(tmp_path, misbehave={kind: 1.0}) as it:
        seen = await submit(it.url)
    assert (seen.raw, seen.reset) == (b"", True)
    assert message(tmp_path).submissions[0].outcome == bucket


@pytest.mark.parametrize(
    ("kind", "bucket"), [(Misbehaviour.HANG_BEFORE, "dropped"), (Misbehaviour.HANG_AFTER, "accepted")]
)
async def test_a_hanging_call_gets_no_byte(tmp_path: Path, kind: Misbehaviour, bucket: str) -> None:
    """Silence for as long as it was told, while others are answered; then the connection is reset."""
    async with simulator(tmp_path, misbehave={kind: 1.0}, hang_seconds=600) as it:
        with pytest.raises(TimeoutError):
            await submit(it.url, seconds=0.3)
        assert message(tmp_path).submissions[0].outcome == bucket
        assert it.status()["answering"] == 0
    (tmp_path / "short").mkdir()
    async with simulator(tmp_path / "short", misbehave={kind: 1.0}, hang_seconds=0.05) as it:
        seen = await submit(it.url)
    assert (seen.raw, seen.reset) == (b"", True)


async def test_an_answer_that_is_cut_short(tmp_path: Path) -> None:
    """The head promises more bytes than come before the connection ends."""
    async with simulator(tmp_path, misbehave={Misbehaviour.CUT_SHORT: 1.0}) as it:
        seen = await submit(it.url)
    promised = int(seen.head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(seen.body) < promised
    assert message(tmp_path).submissions[0].outcome == "accepted"


async def test_a_huge_answer_is_huge(tmp_path: Path) -> None:
    """As many bytes as configured, and a right answer at their end: only a cap on the size protects a reader."""
    async with simulator(tmp_path, misbehave={Misbehaviour.HUGE: 1.0}, huge_bytes=8 * 2**20) as it:
        seen = await submit(it.url)
    assert len(seen.body) > 8 * 2**20
    assert b"<RESPONSE>" in seen.body[:64]
    assert b"</RESPONSE>" in seen.body[-64:]


async def test_a_reader_that_leaves_a_huge_answer_harms_nobody(tmp_path: Path) -> None:
    """Who hangs up in the middle of 100 MB leaves a simulator that goes on."""
    async with simulator(tmp_path, misbehave={Misbehaviour.HUGE: 1.0}) as it:
        with pytest.raises(TimeoutError):
            await submit(it.url, seconds=0.01)
        assert (await exchange(it.url, b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).status == 200


async def test_a_dripping_answer_comes_byte_by_byte(tmp_path: Path) -> None:
    """It begins at once, does not end in time, and is right in the end if one has the patience."""
    async with simulator(tmp_path, misbehave={Misbehaviour.DRIP: 1.0}, drip_seconds=60) as it:
        with pytest.raises(TimeoutError):
            await submit(it.url, seconds=0.3)
    (tmp_path / "quick").mkdir()
    async with simulator(tmp_path / "quick", misbehave={Misbehaviour.DRIP: 1.0}, drip_seconds=0.0) as it:
        seen = await submit(it.url)
    assert b"1\r\n<\r\n1\r\nR\r\n1\r\nE\r\n" in seen.body  # chunks of one byte
    assert b"".join(seen.body.split(b"\r\n")[1::2]).startswith(b"<RESPONSE>")


def test_every_misbehaviour_is_seen_here() -> None:
    """A new misbehaviour needs a test of its bytes."""
    others = {"unknown_code", "reset_before", "reset_after", "hang_before", "hang_after", "cut_short", "huge", "drip"}
    assert {*map(str, AT_ONCE), *others} == set(map(str, Misbehaviour))


async def test_the_pages_own_answer(tmp_path: Path) -> None:
    """Without misbehaviour: Success with SMS_1, SMS_2, … and the TO, and a Failure with its code and TO."""
    async with simulator(tmp_path, rate=0.0001, burst=2) as it:
        answers = [decode_response((await submit(it.url)).body, TO) for _ in range(3)]
    assert answers == [Accepted("SMS_1"), Accepted("SMS_2"), Throttled("E120")]


async def test_a_call_by_get(tmp_path: Path) -> None:
    """The same call as lower-case query parameters gives the same message."""
    query = f"action=sendsms&api_key=key&to={TO}&from=60856&campaignref=77676&text=Hello"
    async with simulator(tmp_path) as it:
        await submit(it.url, request())
        seen = await exchange(it.url, f"GET /?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert decode_response(seen.body, TO) == Accepted("SMS_2")
    by_post, by_get = message(tmp_path).submissions
    assert (by_post.method, by_get.method) == ("POST", "GET")
    assert (by_get.sender, by_get.campaign_ref, by_get.n) == ("60856", "77676", 2)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (http_post(b"x" * 70_000), 413),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (http_post(b"xml=%3CREQUEST"), 200),
        (http_post(b"\xff\xfe"), 200),
        (b"GET /?action=sendsms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    ],
)
async def test_nonsense_is_refused_and_takes_no_message(tmp_path: Path, sent: bytes, status: int) -> None:
    """Too large, another method, broken XML, no form, no key: a refusal each time, and no message."""
    async with simulator(tmp_path) as it:
        assert (await exchange(it.url, sent)).status == status
        await until(lambda: it.status()["quiet"], "quiet")
        assert it.status()["submissions"]["accepted"] == 0
