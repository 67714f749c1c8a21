"""The provider's side: what the simulator accepts and refuses, and with which code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given

from sendledger.wire.provider_side import (
    Notice,
    RequestFault,
    decode_form,
    decode_query,
    decode_request,
    encode_failure,
    encode_notification,
    encode_postback13,
    encode_postback_v2,
    encode_success,
)
from sendledger.wire.sendsms import SendSms
from tests.unit.wire.strategies import junk, requests

STAMP = datetime(2011, 7, 26, 14, 22, 25, 262743, tzinfo=UTC)
NOTICE = Notice(
    to="15551234888",
    tracking_id="SMS_12345",
    history_id="236990",
    notification_id="326",
    timestamp=STAMP,
    created=STAMP + timedelta(seconds=2),
    status=0,
    sender="60856",
    operator_id="0001470",
)


@given(requests)
def test_a_get_says_the_same_as_a_post(request: SendSms) -> None:
    """The lower-case query parameters of a GET are read as the document's elements are."""
    params = {
        "action": "sendsms",
        "api_key": request.api_key,
        "to": request.to,
        "from": request.sender,
        "text": request.text,
        "campaignref": request.campaign_ref or "",
        "spid": request.operator_id or "",
    }
    assert decode_query(params) == request


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "E101"),
        ({"action": "sendsms"}, "E102"),
        ({"action": "sendsms", "api_key": "k"}, "E201"),
        ({"action": "sendsms", "api_key": "k", "to": "12a"}, "E110"),
        ({"action": "sendsms", "api_key": "k", "to": "12"}, "E111"),
        ({"action": "sendsms", "api_key": "k", "to": "12", "from": "6"}, "E712"),
        ({"action": "sendsms", "api_key": "k", "to": "12", "from": "6", "text": "x" * 161}, "E100"),
        ({"action": "sendsms", "TO": "1", "to": "2"}, "E100"),
    ],
)
def test_what_is_missing_is_answered_with_its_code(params: dict[str, str], code: str) -> None:
    """A request is refused with the code of the first thing that is wrong with it."""
    found = decode_query(params)
    assert isinstance(found, RequestFault)
    assert found.error_code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "E108"),
        (b"other=1", "E108"),
        (urlencode({"xml": "<REQUEST>"}).encode(), "E108"),
        (urlencode({"xml": "<ORDER/>"}).encode(), "E100"),
        (b"xml=%FF", "E100"),
        (b"xml=\xff", "E100"),
        (b"&".join([b"a=1"] * 40), "E100"),
    ],
)
def test_a_form_that_holds_no_request_is_answered_with_a_code(body: bytes, code: str) -> None:
    """A body that is no form, or a form without a document, is a fault with a code, never an exception."""
    assert decode_form(body) == RequestFault(code)


@given(junk)
def test_any_bytes_are_a_request_or_a_fault(raw: bytes) -> None:
    """No bytes make the provider's side raise."""
    assert isinstance(decode_form(raw), SendSms | RequestFault)
    assert isinstance(decode_request(raw), SendSms | RequestFault)


def test_answers_stand_as_on_the_page() -> None:
    """Both answers have the page's elements in the page's order."""
    assert encode_success("SMS_12345", "15551234888") == (
        b"<RESPONSE>\n\t<STATUS>Success</STATUS>\n\t<TRACKINGID>SMS_12345</TRACKINGID>\n\t<TO>15551234888</TO>\n</RESPONSE>"
    )
    assert encode_failure("E713", "a & b", None) == (
        b"<RESPONSE>\n\t<STATUS>Failure</STATUS>\n\t<ERRORCODE>E713</ERRORCODE>\n"
        b"\t<ERRORINFO>a &amp; b</ERRORINFO>\n</RESPONSE>"
    )


def test_a_receipt_stands_as_on_the_page() -> None:
    """A receipt in lower case with leading blanks has the page's lines, STATUS before TIMESTAMP."""
    assert encode_notification(NOTICE, upper=False, leading_blanks=True).decode().split("\n") == [
        '<NOTIFICATION id=" 326" created=" 2011-07-26 10:22:27.262743-04">',
        "\t<ORIGIN>SMS_MT</ORIGIN>",
        "\t<CODE>N201</CODE>",
        "\t<BODY>",
        "\t<HISTORYID>236990</HISTORYID>",
        "\t<TO> 15551234888</TO>",
        "\t<TRACKINGID>SMS_12345</TRACKINGID>",
        '\t<STATUS PROTOCOL="4" STATUS="0"/>',
        "\t<TIMESTAMP>2011-07-26 10:22:25.262743-04</TIMESTAMP>",
        "\t</BODY>",
        "</NOTIFICATION>",
    ]


def test_the_flat_forms_have_the_fields_of_their_versions() -> None:
    """1.3 writes SPID and an ISO time stamp, v2 the same names with hyphens in JSON; absent ones are left out."""
    assert b"<SPID>0001470</SPID>\n\t<TIMESTAMP>2011-07-26T10:22:25.262743-04:00</TIMESTAMP>" in encode_postback13(
        NOTICE
    )
    assert encode_postback_v2(NOTICE) == (
        b'{"origin":"SMS_MT","code":"N201","sent-as":"SMS","status":"Message Sent","from":"60856","to":"15551234888",'
        b'"tracking-id":"SMS_12345","operator-id":"0001470","timestamp":"2011-07-26T14:22:25.262743+00:00"}'
    )


def test_faults_show_no_number() -> None:
    """A fault keeps the number for the answer and does not show it (P7)."""
    fault = decode_query({"action": "sendsms", "api_key": "k", "to": "15551234888"})
    assert isinstance(fault, RequestFault)
    assert fault.to == "15551234888"
    assert "15551234888" not in repr(fault)
