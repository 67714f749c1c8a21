"""Postbacks as the receiver gets them, and the provider's rule for those that get no 200."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sendledger.simulator.ledger_reader import read_ledger
from sendledger.simulator.postbacks import Rule
from sendledger.simulator.truth import Message
from sendledger.wire.postbacks import Notification, decode_postback
from sendledger.wire.sendsms import Accepted, decode_response
from tests.support.processes import until
from tests.support.receiver import free_port
from tests.support.simulation import HANG_UP, SILENCE, TO, Sink, quiet, request, simulator, sink, submit


def said(body: bytes) -> Notification:
    """A body as the receiver reads it."""
    notification = decode_postback(body)
    assert isinstance(notification, Notification)
    return notification


def claims(it: Sink) -> list[str | None]:
    """The claims in the order in which they came."""
    return [said(body).claim for body in it.bodies]


def message(directory: Path) -> Message:
    """The one message in the ledger."""
    (only,) = read_ledger(directory / "ledger.jsonl").messages
    return only


@pytest.mark.parametrize(
    ("form", "kind"), [("page", "text/xml"), ("1.3", "application/xml"), ("v2", "application/json")]
)
async def test_a_message_is_notified_in_the_form_asked_for(tmp_path: Path, form: str, kind: str) -> None:
    """Sent, then delivered, for the TRACKINGID of the answer, in the configured form; the ledger says the same."""
    async with sink() as receiver, simulator(tmp_path, callback_url=receiver.url, form=form) as it:
        answer = decode_response((await submit(it.url)).body, TO)
        await quiet(it)
    assert answer == Accepted("SMS_1")
    assert claims(receiver) == ["sent", "delivered"]
    assert {(said(body).form, said(body).to, said(body).tracking_id) for body in receiver.bodies} == {
        (form, TO, "SMS_1")
    }
    assert set(receiver.types) == {kind}
    assert message(tmp_path).bucket == "delivered"
    assert [post.tries for post in message(tmp_path).postbacks] == [[200], [200]]


async def test_an_early_postback_comes_before_the_answer(tmp_path: Path) -> None:
    """The answer to the call is not given before the first postback was acknowledged."""
    async with (
        sink(gate_open=False) as receiver,
        simulator(tmp_path, callback_url=receiver.url, early=1) as it,
    ):
        call = asyncio.create_task(submit(it.url))
        await until(lambda: receiver.bodies, "the early postback came")
        assert not call.done()
        receiver.gate.set()
        assert (await call).status == 200
        await quiet(it)
    assert message(tmp_path).postbacks[0].entry.early


async def test_an_early_postback_that_nobody_takes_does_not_hold_the_answer(tmp_path: Path) -> None:
    """A receiver that is away costs the caller nothing."""
    gone = f"http://127.0.0.1:{free_port()}/"
    async with simulator(tmp_path, callback_url=gone, early=1) as it:
        assert (await submit(it.url)).status == 200


@pytest.mark.parametrize(
    ("answer", "result"),
    [(503, 503), (404, 404), (204, 204), (302, 302), (HANG_UP, None), (SILENCE, None)],
)
async def test_what_is_not_200_in_time_is_tried_again(tmp_path: Path, answer: int, result: int | None) -> None:
    """Any other status, a hang-up and silence beyond the deadline: the same bytes come again until there is a 200."""
    async with (
        sink(lambda n, _: answer if n <= 2 else 200) as receiver,
        simulator(tmp_path, callback_url=receiver.url, no_receipt=1, rule=Rule(deadline=0.3)) as it,
    ):
        await submit(it.url)
        await quiet(it)
    assert len(receiver.bodies) == 3
    assert len(set(receiver.bodies)) == 1
    (notified,) = message(tmp_path).postbacks
    assert notified.tries == [result, result, 200]


async def test_after_five_more_tries_the_postback_is_lost(tmp_path: Path) -> None:
    """Six tries in all; then the ledger says that it was given up, and the message stays `accepted` for us."""
    async with (
        sink(lambda *_: 500) as receiver,
        simulator(tmp_path, callback_url=receiver.url, no_receipt=1) as it,
    ):
        await submit(it.url)
        await quiet(it)
        assert it.status()["postbacks"]["given_up"] == 1
    assert len(receiver.bodies) == 6
    assert message(tmp_path).postbacks[0].tries == [500] * 6
    assert (message(tmp_path).bucket, message(tmp_path).uncertain) == ("accepted", True)
    assert b'"tries":6,"reason":"given_up"' in (tmp_path / "ledger.jsonl").read_bytes()


async def test_the_next_try_comes_five_scaled_minutes_later(tmp_path: Path) -> None:
    """At a scale of 0.002 the 300 s of the provider are at least 0.6 s by the ledger's clock."""
    async with (
        sink(lambda n, _: 500 if n == 1 else 200) as receiver,
        simulator(tmp_path, callback_url=receiver.url, no_receipt=1, scale=0.002) as it,
    ):
        await submit(it.url)
        await until(lambda: len(receiver.bodies) == 1, "the first try")
        await quiet(it)
    lines = [line for line in (tmp_path / "ledger.jsonl").read_text().splitlines() if '"kind":"try"' in line]
    first, second = (float(line.partition('"mono":')[2].partition(",")[0]) for line in lines)
    assert second - first >= 0.6


async def test_a_receiver_that_is_away(tmp_path: Path) -> None:
    """A refused connection is a try like any other, and the ledger has it without a status."""
    gone = f"http://127.0.0.1:{free_port()}/"
    async with simulator(tmp_path, callback_url=gone, no_receipt=1) as it:
        await submit(it.url)
        await quiet(it)
    assert message(tmp_path).postbacks[0].tries == [None] * 6
    assert (tmp_path / "ledger.jsonl").read_text().count('"error":"refused"') == 6


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"shuffle": 1.0}, ["delivered", "sent"]),
        ({"repeat": 1.0, "no_receipt": 1.0}, ["sent", "sent"]),
        ({"receipts": {70: 1.0}}, ["sent", "undelivered"]),
        ({"receipts": {48: 1.0}}, ["sent", "trying", "delivered"]),
        ({"submit_failed": 1.0, "form": "1.3"}, ["submit_failed"]),
        ({"conflict": 1.0}, ["sent", "delivered", "undelivered"]),
        ({"never_notified": 1.0}, []),
    ],
)
async def test_what_arrives(tmp_path: Path, profile: dict[str, Any], expected: list[str]) -> None:
    """Each switch of the behaviour, as it arrives at the receiver."""
    delays = {"sent_after": (0, 0), "receipt_after": (1, 1)}
    async with (
        sink() as receiver,
        simulator(
            tmp_path, callback_url=receiver.url, rule=Rule(concurrency=1), scale=0.01, **(delays | profile)
        ) as it,
    ):
        await submit(it.url)
        await quiet(it)
    assert claims(receiver) == expected


async def test_concurrency_is_bounded_and_connections_are_kept(tmp_path: Path) -> None:
    """No more postbacks at once than allowed, however many are due; all arrive."""
    async with (
        sink() as receiver,
        simulator(tmp_path, callback_url=receiver.url, rule=Rule(concurrency=3)) as it,
    ):
        await asyncio.gather(*(submit(it.url, request(f"1555000{number:04}")) for number in range(40)))
        await quiet(it)
    assert len(receiver.bodies) == 80
    assert receiver.most_at_once <= 3


async def test_without_an_address_postbacks_go_nowhere(tmp_path: Path) -> None:
    """They are in the ledger, and the simulator is quiet all the same."""
    async with simulator(tmp_path) as it:
        await submit(it.url)
        await quiet(it)
        assert it.status()["postbacks"]["no_callback"] == 2
    assert [post.tries for post in message(tmp_path).postbacks] == [[], []]


async def test_what_is_pending_at_the_end_is_in_the_ledger(tmp_path: Path) -> None:
    """A stop does not wait for postbacks, and does not forget them."""
    async with (
        sink(gate_open=False) as receiver,
        simulator(tmp_path, callback_url=receiver.url, receipt_after=(600, 600), scale=1) as it,
    ):
        await submit(it.url)
        await until(lambda: receiver.bodies, "the first postback is under way")
        assert it.status()["postbacks"]["pending"] == 2
        assert not it.status()["quiet"]
    ledger = (tmp_path / "ledger.jsonl").read_text()
    assert ledger.count('"kind":"undelivered"') == ledger.count('"reason":"shutdown"') == 2
