"""Forms and files from anybody: an answer to whatever comes, never a 500 (ISSUE: bad input)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import NUMBER, SEND, Answer
from tests.unit.api.asgi import ask
from tests.unit.api.conftest import Bench

DRY = "/v1/campaigns/spring/messages?dry_run=true"
FORM = {"content-type": "multipart/form-data; boundary=x"}
ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = {"sender": "60856", "text": "Hello"}


def part(name: str, content: bytes, more: str = "") -> bytes:
    """One part of a form."""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def form(file: bytes, fields: dict[str, str] | None = None) -> bytes:
    """A form with a file, as browsers and curl send it."""
    parts = [part(name, value.encode()) for name, value in (fields or GOOD).items()]
    return b"".join([*parts, part("file", file, '; filename="people.csv"'), b"--x--\r\n"])


async def post(bench: Bench, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    """A dry run of the form."""
    return await ask(bench.app, "POST", DRY, token=SEND, body=body, headers=headers or FORM)


async def test_a_form_is_read_in_pieces(bench: Bench) -> None:
    """However the network cuts the body, it is the same form."""
    body = form(f"to\n{NUMBER}\nhello\n".encode())
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    answer = await ask(bench.app, "POST", DRY, token=SEND, body=pieces, headers=FORM)
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    assert answer.json["refused"] == [{"row": 2, "field": "to", "reason": "not a phone number"}]


async def test_a_file_without_a_name_is_a_file_too(bench: Bench) -> None:
    """`file` as a plain field, as some clients send it, is read as CSV."""
    body = b"".join(part(name, value.encode()) for name, value in GOOD.items())
    body += part("file", f"to\n{NUMBER}\n".encode()) + b"--x--\r\n"
    assert (await post(bench, body)).json["accepted"] == 1


WRONG = [
    (form(b"to\n1\n", {**GOOD, "not_befor": "2026-11-23T10:00:00Z"}), "body", "unknown field"),
    (form(b"to\n1\n", {"text": "Hello"}), "sender", "missing"),
    (form(b"to\n1\n", {**GOOD, "expires_at": "soon"}), "expires_at", "not a time like 2026-01-31T09:30:00+01:00"),
    (form(b"number\n1\n"), "file", "the header row has no column 'to'"),
    (part("sender", b"1") + form(b"to\n1\n"), "body", "a field comes twice"),
    (part("sender", b"1") + b"--x--\r\n", "file", "missing"),
]


@pytest.mark.parametrize(("body", "field", "reason"), WRONG)
async def test_a_wrong_form_is_told_by_field(bench: Bench, body: bytes, field: str, reason: str) -> None:
    """What is wrong for all rows is refused as a whole, with the field and the reason."""
    answer = await post(bench, body)
    assert (answer.status, answer.kind) == (422, "invalid")
    assert answer.json["errors"] == [{"field": field, "reason": reason}]


async def test_two_files_are_not_one(bench: Bench) -> None:
    """Of two files nobody could say which rows are meant."""
    body = part("file", b"to\n1\n", '; filename="a"') + form(b"to\n1\n")
    assert (await post(bench, body)).status in {400, 422}


@ANY
@given(st.binary(max_size=300))
async def test_any_file_gets_an_answer(bench: Bench, file: bytes) -> None:
    """Whatever bytes the file holds: rows or a reason."""
    if b"\r\n--x" not in file:
        assert (await post(bench, form(file))).status in {200, 422}


@ANY
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"--x", b"\r\n", b"--x--", part("file", b"to"), b": "])))
async def test_any_form_gets_an_answer(bench: Bench, parts: list[bytes]) -> None:
    """Whatever the body says of itself: a problem, never a 500."""
    assert (await post(bench, b"".join(parts))).status in {200, 400, 422}


@ANY
@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40))
async def test_any_content_type_gets_an_answer(bench: Bench, kind: str) -> None:
    """Whatever the header says: read as told, or 415."""
    for value in (kind, f"multipart/form-data; {kind}", f"multipart/form-data; boundary=x; charset={kind}"):
        answer = await post(bench, form(b"to\n1\n"), {"content-type": value})
        assert answer.status in {200, 400, 415, 422}


@ANY
@given(st.binary(max_size=300))
async def test_any_json_gets_an_answer(bench: Bench, body: bytes) -> None:
    """Whatever the body: a problem, never a 500."""
    assert (await post(bench, body, {"content-type": "application/json"})).status == 422
