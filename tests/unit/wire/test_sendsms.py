"""The call: what goes out to the letter, what comes back as a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.wire import sendsms
from sendledger.wire.codes import ERROR_CODES, MESSAGE, THROTTLE, UNKNOWN
from sendledger.wire.provider_side import decode_form, decode_request, encode_failure, encode_success
from sendledger.wire.sendsms import (
    Accepted,
    Failed,
    SendSms,
    Throttled,
    Unreadable,
    UnsendableRequest,
    decode_response,
    encode_form,
    encode_request,
    text_fault,
)
from tests.unit.wire.strategies import digits, ids, junk, requests, texts

SAMPLES = Path(__file__).parents[3] / "schemas" / "samples"
KEY, NUMBER, TEXT = "k3yCanary", "15551234888", "Text canary"
REQUEST = SendSms(api_key=KEY, to=NUMBER, sender="60856", text=TEXT, operator_id="0001470", campaign_ref="77676")


def test_a_whole_request_is_written_to_the_letter() -> None:
    """The elements stand in the page's order and no blank is added."""
    assert encode_request(REQUEST) == (
        b"<REQUEST><ACTION>sendSMS</ACTION><API_KEY>k3yCanary</API_KEY><SPID>0001470</SPID><TO>15551234888</TO>"
        b"<FROM>60856</FROM><CAMPAIGNREF>77676</CAMPAIGNREF><TEXT>Text canary</TEXT></REQUEST>"
    )


def test_a_bare_request_is_written_to_the_letter() -> None:
    """Absent elements are left out, marks are escaped, and what is not ASCII goes as UTF-8."""
    assert encode_request(SendSms(api_key="k", to="1", sender="2", text="Jérôme <a> & \"b\" 'c' €")).decode() == (
        "<REQUEST><ACTION>sendSMS</ACTION><API_KEY>k</API_KEY><TO>1</TO><FROM>2</FROM>"
        "<TEXT>Jérôme &lt;a&gt; &amp; &quot;b&quot; 'c' €</TEXT></REQUEST>"
    )


@given(requests)
def test_the_provider_reads_what_was_meant(request: SendSms) -> None:
    """Any request that can be sent is read back by the provider's side field by field, as document and as form."""
    assert decode_request(encode_request(request)) == request
    assert decode_form(encode_form(request)) == request


@given(requests)
def test_the_form_is_the_document_urlencoded(request: SendSms) -> None:
    """Its parts that never change are quoted once; byte by byte that makes no difference."""
    assert encode_form(request) == urlencode({"xml": encode_request(request)}).encode("ascii")


def test_the_form_has_one_field_and_is_ascii() -> None:
    """The body of the POST is a form with the single field `xml`, and nothing in it needs an encoding."""
    body = encode_form(REQUEST)
    assert parse_qs(body.decode("ascii"), strict_parsing=True) == {"xml": [encode_request(REQUEST).decode()]}


@pytest.mark.parametrize(
    ("broken", "field_name", "reason"),
    [
        (replace(REQUEST, api_key=" "), "API_KEY", "empty"),
        (replace(REQUEST, to=""), "TO", "empty"),
        (replace(REQUEST, to="+15551234888"), "TO", "not_digits"),
        (replace(REQUEST, to="1555123488٨"), "TO", "not_digits"),
        (replace(REQUEST, sender=""), "FROM", "empty"),
        (replace(REQUEST, operator_id=""), "SPID", "empty"),
        (replace(REQUEST, campaign_ref="\x00"), "CAMPAIGNREF", "not_xml"),
        (replace(REQUEST, text=" \n"), "TEXT", "empty"),
        (replace(REQUEST, text=TEXT * 20), "TEXT", "too_long"),
        (replace(REQUEST, text=TEXT + "\x0b"), "TEXT", "not_xml"),
        (replace(REQUEST, text=TEXT + "\ud800"), "TEXT", "not_xml"),
    ],
)
def test_what_cannot_be_sent_is_our_error(broken: SendSms, field_name: str, reason: str) -> None:
    """A request that cannot be written is refused before sending, naming the field and the reason and no content."""
    with pytest.raises(UnsendableRequest) as caught:
        encode_form(broken)
    assert (caught.value.field_name, caught.value.reason) == (field_name, reason)
    assert not [secret for secret in (KEY, NUMBER, TEXT) if secret in str(caught.value) + repr(caught.value)]


def test_160_characters_are_the_limit() -> None:
    """A text of 160 characters can be sent, one of 161 cannot."""
    assert text_fault("x" * 160) is None
    assert text_fault("x" * 161) == "too_long"


@given(st.text())
def test_a_text_that_passes_the_check_can_be_sent(text: str) -> None:
    """`text_fault` says at the door exactly what `encode_request` says later."""
    fault = text_fault(text)
    if fault is None:
        assert encode_request(replace(REQUEST, text=text))
        return
    with pytest.raises(UnsendableRequest) as caught:
        encode_request(replace(REQUEST, text=text))
    assert caught.value.reason == fault


def test_a_request_shows_no_secret() -> None:
    """Key, number and text are not in the `repr` of a request (P7, P8)."""
    assert not [secret for secret in (KEY, NUMBER, TEXT) if secret in repr(REQUEST)]


@given(ids, digits, st.sampled_from(["", " ", "+", "00", "\n +"]))
def test_success_is_accepted_however_the_number_is_written(tracking_id: str, to: str, before: str) -> None:
    """A Success with a TRACKINGID for our number is accepted, blanks and international prefix aside."""
    assert decode_response(encode_success(f" {tracking_id} ", f"{before}{to} "), to) == Accepted(tracking_id)


@given(ids, digits, digits)
def test_an_answer_for_another_number_is_no_answer(tracking_id: str, to: str, other: str) -> None:
    """An answer that names another TO leaves the message in doubt, whatever else it says."""
    if to != other:
        assert decode_response(encode_success(tracking_id, other), to) == Unreadable("other_recipient")
        assert decode_response(encode_failure("E106", "", other), to) == Unreadable("other_recipient")


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_each_code_is_read_with_its_class(code: str) -> None:
    """Every code of the table is Throttled if its class is tried again, else Failed with its class."""
    answer = decode_response(encode_failure(code, "why", NUMBER), NUMBER)
    expected = ERROR_CODES[code].error_class
    assert answer == (Throttled(code) if expected is THROTTLE else Failed(code, "why", expected))


@pytest.mark.parametrize("code", ["E999", "OTHER", "weird code", "15551234888", "X" * 500])
def test_an_unknown_code_is_data(code: str) -> None:
    """A code that nobody announced is a final failure of class unknown; what has no code's form is called OTHER."""
    answer = decode_response(encode_failure(code, "", NUMBER), NUMBER)
    assert answer == Failed("E999" if code == "E999" else "OTHER", "", UNKNOWN)


def test_error_info_is_fit_for_the_log() -> None:
    """Digits, the key and the text are masked in ERRORINFO, blanks folded, and it is cut at 200 characters (P7, P8)."""
    info = f"bad {NUMBER} / +1 (555) 123-4888 ٤٢\n key {KEY} in '{TEXT}' " + "x" * 300
    answer = decode_response(encode_failure("E110", info, NUMBER), NUMBER, strike=(KEY, TEXT, ""))
    assert isinstance(answer, Failed)
    assert answer.error_class is MESSAGE
    assert answer.error_info.startswith("bad # / +# (#) #-# # key *** in '***' xxx")
    assert len(answer.error_info) == 200


@given(texts, digits)
def test_no_number_survives_in_error_info(info: str, to: str) -> None:
    """Whatever stands around it, the number never comes through ERRORINFO (P7)."""
    answer = decode_response(encode_failure("E110", f"{info}{to}{info}", to), to)
    assert isinstance(answer, Failed)
    assert not any(char.isdecimal() for char in answer.error_info)


@given(junk)
def test_any_answer_is_a_value_without_content(raw: bytes) -> None:
    """No bytes from the provider make the reader raise, and what it cannot read it does not repeat (P7)."""
    answer = decode_response(raw, NUMBER)
    assert isinstance(answer, Accepted | Failed | Throttled | Unreadable)
    assert NUMBER not in repr(answer)


@given(st.data(), ids, digits)
def test_a_cut_answer_is_never_believed(data: st.DataObject, tracking_id: str, to: str) -> None:
    """An answer that was cut anywhere is unreadable, so a half-read TRACKINGID or code is never recorded."""
    whole = data.draw(st.sampled_from([encode_success(tracking_id, to), encode_failure("E110", "why", to)]))
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert isinstance(decode_response(whole[:cut], to), Unreadable)


_USUAL = (
    *("<RESPONSE>", "<STATUS>", "Success", "</STATUS>", "<TRACKINGID>", "SMS_1", "</TRACKINGID>"),
    *("<TO>", NUMBER, "</TO>", "</RESPONSE>"),
)
_PIECES = st.sampled_from(
    [
        *_USUAL,
        *("Failure", "success", "+" + NUMBER, " ", "\n", "\t", "\x0b", "\x0c", "é", "&amp;", "<!-- -->", "<TO/>"),
        *("<ERRORCODE>E713</ERRORCODE>", '<?xml version="1.0"?>', "<!DOCTYPE a>", "<STATUS>Success</STATUS>", "\x00"),
        "]]>",
    ]
)


@given(
    st.lists(_PIECES, max_size=3),
    st.integers(0, 12),
    st.sampled_from(["", " ", "\r\n\t", "\x0b", "\x85"]),
    st.booleans(),
)
def test_the_usual_answer_means_what_the_parser_says(pieces: list[str], place: int, blank: str, cut: bool) -> None:  # noqa: FBT001
    """The page's Success is read by a pattern: with anything put into it or cut out of it, the parser says the same."""
    parts = list(_USUAL)
    if cut and place < len(parts):
        del parts[place]
    parts[place:place] = pieces
    gaps = {"<RESPONSE>", "</STATUS>", "</TRACKINGID>", "</TO>", "</RESPONSE>"}
    raw = "".join(part + (blank if part in gaps else "") for part in parts).encode()
    assert decode_response(raw, NUMBER) == sendsms._decode_any(raw, NUMBER, ())


def test_the_usual_answer_is_the_pages_own() -> None:
    """The pattern takes what the provider's page shows and what the simulator answers, and nobody else's number."""
    page = (SAMPLES / "page" / "response-success.xml").read_bytes()
    for raw in (page, encode_success("SMS_12345", NUMBER)):
        assert sendsms._USUAL.fullmatch(raw)
        assert decode_response(raw, NUMBER) == Accepted("SMS_12345")
        assert decode_response(raw, NUMBER[1:]) == Unreadable("other_recipient")
