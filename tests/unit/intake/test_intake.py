"""Which rows become messages, and what the messages are (DESIGN §8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.intake import (
    DEFAULT_EXPIRY,
    Checked,
    campaign_id_fault,
    campaign_ref,
    check,
    requests,
    text_fault,
)
from sendledger.domain.parts import Bill
from sendledger.domain.submission import Faults, Submission, from_json
from sendledger.wire import sendsms
from sendledger_schemas.ids import message_id, recipient_id
from sendledger_schemas.requests import SendRequested

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PEPPER = b"a pepper"
A, B, C = "15551234888", "15551234889", "15551234890"


def submitted(campaign_id: str = "spring", **over: Any) -> Submission:
    """A submission with some fields replaced; None leaves a field out."""
    fields = {"sender": "60856", "text": "Hello", "recipients": [A], **over}
    found = from_json(campaign_id, json.dumps({k: v for k, v in fields.items() if v is not None}).encode())
    assert isinstance(found, Submission), found
    return found


def checked(submission: Submission, region: str | None = None) -> Checked:
    """What `check` says of a submission that is not refused as a whole."""
    found = check(submission, region=region, now=NOW)
    assert isinstance(found, Checked), found
    return found


def made(submission: Submission, region: str | None = None) -> list[SendRequested]:
    """The requests of a submission."""
    found = checked(submission, region)
    return list(requests(submission, found, batch="b", pepper=PEPPER, now=NOW))


ROWS: list[tuple[object, tuple[str, str] | None]] = [
    # recipient, (field, reason) or None = it goes
    (B, None),
    (f"+{B}", None),
    (f" 00{B} ", None),
    ({"to": B, "text": "x" * 160}, None),
    ({"to": B, "text": "zwei\nZeilen – ✓ 😀"}, None),
    (A, ("to", "duplicate")),
    (f"+{A}", ("to", "duplicate")),
    ({"to": f"00{A}", "text": "Other"}, ("to", "duplicate")),
    ("hello", ("to", "not a phone number")),
    ("", ("to", "not a phone number")),
    ("1555", ("to", "too short")),
    ("0151234567", ("to", "national number, but no default region is set")),
    ({"to": B, "text": "x" * 161}, ("text", "161 characters, at most 160")),
    ({"to": B, "text": "   "}, ("text", "empty")),
    ({"to": B, "text": " " + "x" * 160 + " \n"}, None),  # readers of the provider's API trim
    ({"to": B, "text": "a\x00b"}, ("text", "character 2 cannot be sent: U+0000 control character")),
    ({"to": B, "text": "a\ufffeb"}, ("text", "character 2 cannot be sent: U+FFFE not assigned")),
    ({"to": B, "text": "ab\x1f"}, ("text", "character 3 cannot be sent: U+001F control character")),
    ({"to": B, "text": "a\x7f"}, ("text", "character 2 cannot be sent: U+007F control character")),
    ({"to": B, "text": " a\x85b"}, ("text", "character 3 cannot be sent: U+0085 control character")),
    ({"to": B, "text": "a\rb\r\nc\td"}, None),
    ({"to": B, "operator_id": " 77 "}, None),
    ({"to": B, "operator_id": "  "}, None),
    ({"to": B, "operator_id": "x" * 65}, ("operator_id", "65 characters, at most 64")),
    ({"to": B, "operator_id": "a\nb"}, ("operator_id", "character 2 cannot be sent: U+000A control character")),
]


@pytest.mark.parametrize(("recipient", "refusal"), ROWS)
def test_rows_that_go_and_rows_that_do_not(recipient: object, refusal: tuple[str, str] | None) -> None:
    """A bad row is refused with row, field and reason; the good rows before and after it still go."""
    found = checked(submitted(recipients=[A, recipient, C]))
    refused = [(row.row, row.field, row.reason) for row in found.refused]
    assert refused == ([] if refusal is None else [(2, *refusal)])
    assert [row.row for row in found.accepted] == ([1, 2, 3] if refusal is None else [1, 3])


def test_the_region_serves_numbers_with_a_leading_zero() -> None:
    """With a default region a national number goes, and is the same recipient as its international form."""
    found = checked(submitted(recipients=["0151 23456789", "+49 151 23456789"]), region="DE")
    assert [row.to for row in found.accepted] == ["4915123456789"]
    assert [row.reason for row in found.refused] == ["duplicate"]


def test_a_refused_row_does_not_take_its_number_away() -> None:
    """A number whose first row was refused for its text is no duplicate in its second row."""
    found = checked(submitted(recipients=[{"to": A, "text": "x" * 200}, A]))
    assert [row.row for row in found.accepted] == [2]


ORDERS: list[tuple[dict[str, Any], str, str]] = [
    ({"sender": ""}, "sender", "empty"),
    ({"sender": "x" * 21}, "sender", "21 characters, at most 20"),
    ({"sender": "a\nb"}, "sender", "character 2 cannot be sent: U+000A control character"),
    ({"sender": "a\rb"}, "sender", "character 2 cannot be sent: U+000D control character"),
    ({"sender": "\x00"}, "sender", "character 1 cannot be sent: U+0000 control character"),
    ({"sender": "ab\x9b"}, "sender", "character 3 cannot be sent: U+009B control character"),
    ({"campaign_ref": "x" * 65}, "campaign_ref", "65 characters, at most 64"),
    ({"operator_id": "\x01"}, "operator_id", "character 1 cannot be sent: U+0001 control character"),
    ({"text": "x" * 161}, "text", "161 characters, at most 160"),
    ({"text": " "}, "text", "empty"),
    ({"text": "\x0b"}, "text", "empty"),
    ({"text": "a\x0b"}, "text", "character 2 cannot be sent: U+000B control character"),
    ({"text": None}, "text", "missing"),
    ({"expires_at": "2026-11-22T12:00:00Z"}, "expires_at", "is in the past"),
    (
        {"not_before": "2026-11-24T12:00:00Z", "expires_at": "2026-11-24T12:00:00Z"},
        "expires_at",
        "is not later than not_before",
    ),
]


@pytest.mark.parametrize(("over", "field", "reason"), ORDERS)
def test_a_wrong_order_is_refused_as_a_whole(over: dict[str, Any], field: str, reason: str) -> None:
    """What all rows share is judged once, and nothing goes if it is wrong."""
    found = check(submitted(**over), region=None, now=NOW)
    assert isinstance(found, Faults)
    assert [(fault.field, fault.reason) for fault in found.items] == [(field, reason)]


def test_texts_of_their_own_need_no_common_text() -> None:
    """Without a common text the rows with a text go, and the others are refused."""
    found = checked(submitted(text=None, recipients=[{"to": A, "text": "Hi"}, B]))
    assert [row.row for row in found.accepted] == [1]
    assert [(row.field, row.reason) for row in found.refused] == [("text", "missing")]


IDS = [("spring", True), ("77676", True), ("a.b-c_D9", True), ("x" * 128, True), ("", False), ("x" * 129, False),
       ("*", False), ("_system", False), ("_none", False), ("a/b", False), ("a b", False), ("-a", False),
       (".", False), ("é", False), ("a\n", False), ("٣", False)]  # fmt: skip


@pytest.mark.parametrize(("campaign_id", "usable"), IDS)
def test_ids_of_campaigns(campaign_id: str, usable: bool) -> None:  # noqa: FBT001 — a table's column
    """Reserved names, and whatever would part a partial's key, are no campaign's id."""
    assert (campaign_id_fault(campaign_id) is None) is usable
    assert isinstance(check(submitted(campaign_id), region=None, now=NOW), Checked) is usable


REFS = [("77676", None, "77676"), ("77676", "5", "5"), ("spring", None, None), ("spring", "5", "5"),
        ("77676a", None, None)]  # fmt: skip


@pytest.mark.parametrize(("campaign_id", "given_ref", "expected"), REFS)
def test_the_campaign_ref(campaign_id: str, given_ref: str | None, expected: str | None) -> None:
    """CAMPAIGNREF is the given one, else the campaign's id if it is all digits, else left out."""
    submission = submitted(campaign_id, campaign_ref=given_ref)
    assert campaign_ref(submission) == expected
    assert made(submission)[0].campaign_ref == expected


def test_what_a_request_is_made_of() -> None:
    """Each accepted row becomes one request with derived ids, and its own text and operator before the common ones."""
    submission = submitted(operator_id="5", recipients=[A, {"to": B, "text": "Hi", "operator_id": "6"}])
    first, second = made(submission)
    assert first.message_id == message_id("spring", "b", 1)
    assert first.recipient_id == recipient_id(PEPPER, A)
    assert (first.to, first.text, first.operator_id, first.sender) == (A, "Hello", "5", "60856")
    assert (second.to, second.text, second.operator_id) == (B, "Hi", "6")
    assert first.expires_at == NOW + DEFAULT_EXPIRY


def test_a_scheduled_message_has_its_week_from_its_start() -> None:
    """A message that may go out only in ten days does not expire before that."""
    start = NOW + timedelta(days=10)
    (request,) = made(submitted(not_before=start.isoformat()))
    assert request.not_before == start
    assert request.expires_at == start + DEFAULT_EXPIRY


def test_the_same_submission_makes_the_same_requests() -> None:
    """A POST that comes again after a crash gives the very same messages: ids, times, everything."""
    recipients = [A, "bad", B, C]
    assert made(submitted(recipients=recipients)) == made(submitted(recipients=recipients))


@given(st.lists(st.sampled_from([A, f"+{A}", B, f"00{B}", C, "bad", "", "1555"]), min_size=1, max_size=30))
def test_every_row_is_accepted_or_refused_once(recipients: list[str]) -> None:
    """Each row is in exactly one of the two lists, and no number is accepted twice."""
    found = checked(submitted(recipients=recipients))
    rows = sorted([row.row for row in found.accepted] + [row.row for row in found.refused])
    assert rows == list(range(1, len(recipients) + 1))
    numbers = [row.to for row in found.accepted]
    assert len(set(numbers)) == len(numbers)


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    """A text without a fault has 1 to 160 characters without the blanks around it, and the provider's call takes it."""
    fault = text_fault(text)
    if fault is None:
        (request,) = made(submitted(text=text))
        assert request.text == text.strip()
        assert 1 <= len(request.text) <= 160
        assert sendsms.text_fault(request.text) is None
    else:
        assert fault.isprintable()


def test_blanks_around_a_text_are_neither_sent_nor_counted() -> None:
    """What readers trim is trimmed before it is counted: the parts are those of what arrives."""
    submission = submitted(text=" \n" + "x" * 160 + " ", recipients=[A, {"to": B, "text": "\u2028Hi\u00a0"}])
    assert [request.text for request in made(submission)] == ["x" * 160, "Hi"]
    assert checked(submission).bill == Bill("GSM-7", ((1, 2),), 2)


def test_the_parts_are_those_of_the_rows_that_go() -> None:
    """Own texts before the common one, refused rows not counted, and no bill where nothing goes."""
    rows = [A, {"to": B, "text": "ą" * 71}, {"to": C, "text": "x" * 161}, "bad"]
    assert checked(submitted(text="x" * 160, recipients=rows)).bill == Bill("mixed", ((1, 1), (2, 1)), 3, ("ą",))
    assert checked(submitted(recipients=["bad"])).bill is None
