"""JSON bodies and forms as submissions: everything is read or refused, nothing personal is shown (DESIGN §8, P7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.submission import Faults, Order, Refused, Row, Submission, from_form, from_json

PEPPER = b"pepper"
BODY: dict[str, Any] = {"sender": "60856", "text": "Hello", "recipients": ["15551234888"]}


def read(**over: Any) -> Submission | Faults:
    """The JSON body with some fields replaced."""
    return from_json("spring", json.dumps({**BODY, **over}).encode())


def good(**over: Any) -> Submission:
    """As `read`, of a body that can be used."""
    found = read(**over)
    assert isinstance(found, Submission), found
    return found


def test_a_json_body_is_read() -> None:
    """All fields of the design arrive, recipients as texts or as objects."""
    found = good(
        recipients=["15551234888", {"to": "15551234889", "text": "Hi", "operator_id": "77"}],
        campaign_ref="77676",
        operator_id="5",
        not_before="2026-11-23T10:00:00+01:00",
        expires_at="2026-11-24T10:00:00Z",
    )
    assert found.rows == (Row(1, "15551234888"), Row(2, "15551234889", "Hi", "77"))
    assert found.order == Order(
        sender="60856",
        text="Hello",
        campaign_ref="77676",
        operator_id="5",
        not_before="2026-11-23T09:00:00+00:00",  # type: ignore[arg-type]  # read from text only
        expires_at="2026-11-24T10:00:00+00:00",  # type: ignore[arg-type]
    )


REFUSED_ROWS: list[tuple[object, str, str]] = [
    (15551234888, "to", "must be a string"),
    (None, "to", "must be a string"),
    (["15551234888"], "to", "must be a string"),
    ({"to": 1}, "to", "must be a string"),
    ({}, "to", "must be a string"),
    ({"to": "1", "text": 5}, "text", "must be a string"),
    ({"to": "1", "operator_id": 5}, "operator_id", "must be a string"),
    ({"to": "1", "15551234888": "x"}, "row", "unknown field"),
]


@pytest.mark.parametrize(("item", "field", "reason"), REFUSED_ROWS)
def test_a_recipient_of_another_shape_is_refused_alone(item: object, field: str, reason: str) -> None:
    """A recipient that is no text and no object of ours is refused with its row; the others are read."""
    assert good(recipients=["1", item, "2"]).rows == (Row(1, "1"), Refused(2, field, reason), Row(3, "2"))


def test_an_operator_of_blanks_is_none() -> None:
    """Blanks around an operator are not part of it, and blanks alone are no operator: SPID must not be empty."""
    rows = good(recipients=[{"to": "1", "operator_id": " \u00a0"}, {"to": "2", "operator_id": " 77 "}]).rows
    assert rows == (Row(1, "1"), Row(2, "2", None, "77"))


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"sender": None}, "sender", "Input should be a valid string"),
    ({"text": 5}, "text", "Input should be a valid string"),
    ({"recipients": "15551234888"}, "recipients", "Input should be a valid list"),
    ({"recipients": []}, "recipients", "none"),
    ({"not_befor": "2026-11-23T10:00:00Z"}, "body", "unknown field"),
    ({"not_before": "2026-11-23T10:00:00"}, "not_before", "a time needs its offset from UTC"),
    ({"not_before": 1795000000}, "not_before", "a time is written as text"),
    ({"not_before": "0001-01-01T00:00:00+14:00"}, "not_before", "out of range"),
    ({"not_before": "9999-12-31T23:00:00-14:00"}, "not_before", "out of range"),
    ({"expires_at": "tomorrow"}, "expires_at", "not a time like 2026-01-31T09:30:00+01:00"),
]


@pytest.mark.parametrize(("over", "field", "reason"), FAULTS)
def test_a_wrong_field_refuses_the_whole(over: dict[str, Any], field: str, reason: str) -> None:
    """A field that all rows share is wrong for all: one fault names it."""
    found = read(**over)
    assert isinstance(found, Faults)
    assert [(fault.field, fault.reason) for fault in found.items] == [(field, reason)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"1e999", b"NaN", b"\xff", b"[" * 100_000, b'"\\ud800"'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """A body that is no JSON object is one fault, however broken it is."""
    found = from_json("spring", body)
    assert isinstance(found, Faults)
    assert found.items[0].field == "body"


@given(st.binary())
def test_any_bytes_get_an_answer(body: bytes) -> None:
    """Whatever the body: a submission or faults, never an exception."""
    from_json("spring", body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*BODY, "not_before", "expires_at", "campaign_ref", "operator_id"]), JSON))
def test_any_json_gets_an_answer(fields: dict[str, Any]) -> None:
    """Fields of any type: a submission or faults, never an exception."""
    from_json("spring", json.dumps(fields).encode())


def test_an_empty_form_field_is_an_absent_one() -> None:
    """A form sends empty fields for what nobody filled in."""
    found = from_form("spring", {"sender": " 60856 ", "text": "Hello", "campaign_ref": "", "not_before": " "}, ())
    assert isinstance(found, Submission)
    assert found.order == Order(sender="60856", text="Hello")


def test_the_same_content_has_the_same_digest() -> None:
    """JSON and form, blanks around fields and other ways to write a time do not make another submission."""
    when = "2026-11-23T10:00:00Z"
    as_json = good(not_before=when)
    fields = {"sender": "60856", "text": "Hello", "not_before": "2026-11-23T11:00:00+01:00"}
    as_form = from_form("spring", fields, (Row(1, "15551234888"),))
    assert isinstance(as_form, Submission)
    assert as_json.digest(PEPPER) == as_form.digest(PEPPER)
    assert as_json.order.not_before == datetime(2026, 11, 23, 10, tzinfo=UTC)


CHANGES: list[dict[str, Any]] = [
    {"sender": "60857"},
    {"text": "Hallo"},
    {"text": None},
    {"campaign_ref": "1"},
    {"operator_id": "1"},
    {"not_before": "2026-11-23T10:00:00Z"},
    {"expires_at": "2026-11-23T10:00:00Z"},
    {"recipients": ["15551234889"]},
    {"recipients": ["15551234888", "15551234889"]},
    {"recipients": [{"to": "15551234888", "text": "Hello"}]},
    {"recipients": [{"to": "15551234888", "operator_id": "1"}]},
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_has_another_digest(change: dict[str, Any]) -> None:
    """Each field counts: the same key with anything else in the body is found out."""
    assert good(**change).digest(PEPPER) != good().digest(PEPPER)


def test_the_digest_needs_the_pepper() -> None:
    """Without the pepper nobody can try numbers until one fits the digest on the log (P7)."""
    assert good().digest(b"one") != good().digest(b"other")


def test_another_campaign_is_another_submission() -> None:
    """The same key and body for another campaign is a mistake that has to be found."""
    here, there = good(), from_json("autumn", json.dumps(BODY).encode())
    assert isinstance(there, Submission)
    assert here.digest(PEPPER) != there.digest(PEPPER)


def test_no_number_and_no_text_in_a_repr() -> None:
    """Whoever logs a submission by accident logs nothing personal (P7)."""
    found = good(recipients=["15551234888", {"to": "15551234889", "text": "Secret"}])
    shown = repr(found) + repr(found.rows) + repr(found.order)
    assert not any(secret in shown for secret in ("1555", "Hello", "Secret"))


@given(st.text(alphabet="0123456789", min_size=7, max_size=15))
def test_no_fault_quotes_a_number(number: str) -> None:
    """A number in a wrong place, as a name or as a value, is not in the faults (P7)."""
    for over in (
        {number: "x"},
        {"not_before": number + "x"},
        {"text": int(number)},
        {"sender": [number]},
        {"recipients": {number: 1}},
    ):
        found = read(**over)
        assert isinstance(found, Faults)
        assert number not in repr(found)
