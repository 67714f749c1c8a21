"""Postbacks: three forms, one meaning."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.wire.postbacks import Form, Notification, Undecodable, decode_postback
from sendledger.wire.provider_side import (
    FLAT_STATUS,
    Notice,
    encode_notification,
    encode_postback13,
    encode_postback_v2,
)
from sendledger.wire.tpstatus import read_status
from sendledger.wire.xml import MAX_BYTES
from sendledger_schemas.postbacks import Claim
from tests.unit.wire.strategies import junk, notices, offsets

FINAL_DETAILS = {"failed", "expired", "not_supported", "rejected"}


def read(raw: bytes) -> Notification:
    """The notification, which it must be."""
    found = decode_postback(raw)
    assert isinstance(found, Notification), found
    return found


@given(notices(), offsets, st.booleans(), st.booleans(), st.none() | st.integers(0, 255))
def test_the_pages_form_comes_back(notice: Notice, offset: int, upper: bool, blanks: bool, status: int | None) -> None:  # noqa: FBT001  # drawn by name
    """What the provider writes in the page's form is read field by field, with either case of attributes and blanks."""
    sent = replace(notice, code="N201", status=status)
    found = read(encode_notification(sent, upper=upper, leading_blanks=blanks, offset_hours=offset))
    said = read_status("4", str(status)) if status is not None else None
    assert (found.form, found.origin, found.code, found.to) == ("page", "SMS_MT", "N201", sent.to)
    assert (found.tracking_id, found.history_id) == (sent.tracking_id, sent.history_id)
    assert found.notification_id == sent.notification_id
    assert (found.provider_time, found.provider_timestamp) == (sent.created, sent.timestamp)
    assert (found.claim, found.detail) == ((said.claim, said.detail) if said else ("sent", None))
    assert (found.protocol, found.status) == (("4", str(status)) if said else (None, None))


@given(notices(), offsets)
def test_the_flat_forms_say_the_same(notice: Notice, offset: int) -> None:
    """The forms of 1.3 and v2 give the same claim, detail, ids and times for the same notice."""
    old = read(encode_postback13(notice, offset_hours=offset))
    new = read(encode_postback_v2(notice, offset_hours=offset))
    assert (old.form, new.form) == ("1.3", "v2")
    assert replace(old, form="v2") == new
    assert (old.to, old.tracking_id, old.operator_id) == (notice.to, notice.tracking_id, notice.operator_id)
    assert old.provider_time == old.provider_timestamp == notice.timestamp


@pytest.mark.parametrize("meaning", sorted(FLAT_STATUS))
@pytest.mark.parametrize("short", [False, True], ids=["whole text", "last word"])
def test_each_text_means_what_it_says(meaning: str, short: bool) -> None:  # noqa: FBT001  # a column of the table
    """Every code and text of PROVIDER.md gives its claim and detail, also as the single word that v2 writes."""
    code, text = FLAT_STATUS[meaning]
    document = b'{"origin":"SMS_MT","code":"%b","status":"%b","to":"1","tracking-id":"a"}'
    found = read(document % (code.encode(), (text.rpartition("/")[2] if short else text).encode()))
    claim = "undelivered" if meaning in FINAL_DETAILS else meaning
    assert found.claim == claim
    assert found.detail == (None if meaning in {"sent", "delivered"} else meaning)


@pytest.mark.parametrize(
    ("code", "status", "claim", "detail"),
    [
        ("E202", 'PROTOCOL="4" STATUS="70"', "undelivered", "tp_0x46"),
        ("E202", 'PROTOCOL="4" STATUS="0"', "undelivered", "other"),
        ("E202", 'PROTOCOL="9" STATUS="70"', "undelivered", "other"),
        ("N202", 'PROTOCOL="4" STATUS="1"', "delivered", "tp_0x01"),
        ("N202", 'PROTOCOL="4" STATUS="70"', "undelivered", "tp_0x46"),
        ("N202", 'PROTOCOL="9" STATUS="70"', "delivered", None),
        ("N201", 'PROTOCOL="4"', "sent", "other"),
        ("N201", "", "sent", None),
        ("E201", 'PROTOCOL="4" STATUS="0"', "submit_failed", "submit_failed"),
        ("E713", 'PROTOCOL="4" STATUS="0"', None, "other"),
    ],
)
def test_a_number_beside_another_code_only_refines_it(
    code: str, status: str, claim: Claim | None, detail: str | None
) -> None:
    """STATUS numbers beside codes of the flat forms refine the claim where they can and never contradict a failure."""
    found = read(
        f"<NOTIFICATION><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><BODY><TO>1</TO><TRACKINGID>a</TRACKINGID>"
        f"<STATUS {status}/></BODY></NOTIFICATION>".encode()
    )
    assert (found.claim, found.detail) == (claim, detail)


@given(notices(), st.sampled_from(["MMS_MT", "SMS_MO", "SUB", "NEW_ONE"]))
def test_other_origins_say_nothing_about_our_messages(notice: Notice, origin: str) -> None:
    """A notification of another origin is kept with its origin and without any claim, in each form."""
    other = replace(notice, origin=origin)
    for raw in (encode_notification(other), encode_postback13(other), encode_postback_v2(other)):
        found = read(raw)
        assert (found.origin, found.claim, found.detail) == (origin, None, None)


@given(junk)
def test_any_bytes_are_a_notification_or_undecodable(raw: bytes) -> None:
    """No bytes make the reader raise; a notification of ours always has recipient and TRACKINGID, in valid UTF-8."""
    found = decode_postback(raw)
    assert isinstance(found, Notification | Undecodable)
    assert "15551234888" not in repr(found)
    if isinstance(found, Notification):
        assert raw.decode("utf-8")
        assert found.origin != "SMS_MT" or (found.to and found.tracking_id)


@given(notices(), st.data())
def test_a_cut_postback_is_never_believed(notice: Notice, data: st.DataObject) -> None:
    """A postback that was cut anywhere is undecodable, in each form."""
    write = data.draw(st.sampled_from([encode_notification, encode_postback13, encode_postback_v2]))
    whole: bytes = write(notice)
    assert isinstance(decode_postback(whole[: data.draw(st.integers(0, len(whole) - 1))]), Undecodable)


@given(notices(), st.sampled_from([b" ", b"\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"]))
def test_blanks_and_marks_around_a_document_change_nothing(notice: Notice, before: bytes) -> None:
    """Blanks and a byte order mark before, blanks after a document do not change what it says."""
    for raw in (encode_notification(notice), encode_postback13(notice), encode_postback_v2(notice)):
        assert decode_postback(before + raw + b"\r\n ") == decode_postback(raw)


@given(notices())
def test_no_number_is_shown(notice: Notice) -> None:
    """Neither what is written nor what is read shows the phone number when it is printed (P7)."""
    number = "15551234888"
    named = replace(notice, to=number)
    shown = [repr(named), *(repr(read(raw)) for raw in (encode_notification(named), encode_postback_v2(named)))]
    assert not [text for text in shown if number in text]


@pytest.mark.parametrize("first", [b"<", b"{"])
def test_an_oversized_body_is_refused_unread(first: bytes) -> None:
    """A body of more than 64 KiB is refused in every form."""
    assert decode_postback(first + b" " * MAX_BYTES) == Undecodable("too_large")


def test_forms_have_names() -> None:
    """The three forms of PROVIDER.md are all that there are."""
    assert get_args(Form) == ("page", "1.3", "v2")
