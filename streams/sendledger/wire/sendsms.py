"""The call `sendSMS`: a request to bytes, bytes to an answer (the provider's page; PROVIDER.md, "The call").

Two kinds of error: ours (`UnsendableRequest`, raised before anything is sent) and theirs (`Unreadable`, a value).
Neither carries content: no key, no number, no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import quote_plus

from sendledger.wire.codes import ErrorClass, classify
from sendledger.wire.values import code_of, gather, is_plain, mask_info
from sendledger.wire.xml import XmlFault, XmlReason, element, escape, is_xml_text, parse_xml
from sendledger_schemas.ids import digits_of

FORM_FIELD = "xml"
FORM_CONTENT_TYPE = "application/x-www-form-urlencoded"
ACTION = "sendSMS"
MAX_TEXT = 160

FieldFault = Literal["empty", "too_long", "not_xml", "not_digits"]
UnreadableReason = Literal[
    XmlReason,
    "html",
    "not_a_response",
    "ambiguous",
    "bad_value",
    "no_status",
    "unknown_status",
    "other_recipient",
    "contradictory",
    "no_tracking_id",
    "no_error_code",
]

_FORM_HEAD, _FORM_TAIL = f"{FORM_FIELD}={quote_plus('<REQUEST>')}", quote_plus("</REQUEST>")
_QUOTED_TAGS = {
    name: (quote_plus(f"<{name}>"), quote_plus(f"</{name}>"))
    for name in ("ACTION", "API_KEY", "SPID", "TO", "FROM", "CAMPAIGNREF", "TEXT")
}

# The page's own Success, nothing else in it and nothing to be decoded: nearly every answer there is, at a tenth of the
# parser's price. Whatever differs in any byte is the parser's; that both agree here is tested with it as the judge.
_BLANKS = rb"[ \t\r\n]*"
_USUAL = re.compile(
    _BLANKS.join(
        (
            rb"",
            rb"<RESPONSE>",
            rb"<STATUS>Success</STATUS>",
            rb"<TRACKINGID>([A-Za-z0-9_.:-]{1,64})</TRACKINGID>",
            rb"<TO>([0-9]{1,32})</TO>",
            rb"</RESPONSE>",
            rb"",
        )
    )
)

_WANTED = frozenset({"STATUS", "TRACKINGID", "TO", "ERRORCODE", "ERRORINFO"})


@dataclass(frozen=True, slots=True)
class SendSms:
    """One call. `to`: digits, international; `sender` is FROM, `operator_id` SPID, `campaign_ref` CAMPAIGNREF."""

    api_key: str = field(repr=False)
    to: str = field(repr=False)
    sender: str
    text: str = field(repr=False)
    operator_id: str | None = None
    campaign_ref: str | None = None


class UnsendableRequest(ValueError):
    """Our error: this request cannot be written down. Says which field and why, never what stood in it."""

    def __init__(self, field_name: str, reason: FieldFault) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field_name = field_name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """Success with a TRACKINGID."""

    tracking_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Failure with a code that is no throttle: final. `error_info` is masked and at most 200 characters."""

    error_code: str
    error_info: str
    error_class: ErrorClass


@dataclass(frozen=True, slots=True)
class Throttled:
    """Failure with a throttle code: provably not sent."""

    error_code: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Their error: no answer that says what became of the message. It is in doubt."""

    reason: UnreadableReason


Answer = Accepted | Failed | Throttled | Unreadable


def text_fault(text: str) -> FieldFault | None:
    """Why a text cannot be sent: none but blanks (readers trim), over 160 characters, or characters XML has not."""
    if not text.strip():
        return "empty"
    if len(text) > MAX_TEXT:
        return "too_long"
    return None if is_xml_text(text) else "not_xml"


def encode_request(request: SendSms) -> bytes:
    """The REQUEST document in UTF-8, elements in the page's order, no blank added, absent ones left out.

    Raises:
        UnsendableRequest: a mandatory field is empty, TO is not digits, or a value cannot stand in XML.
    """
    return f"<REQUEST>{''.join(element(name, value) for name, value in _checked(request))}</REQUEST>".encode()


def encode_form(request: SendSms) -> bytes:
    """The body of the POST: one form field `xml` (content type `FORM_CONTENT_TYPE`). Raises as `encode_request`.

    The same as `urlencode` of the whole document, at a fifth of its price: sender, text and the like are mostly those
    of the call before.
    """
    written = [
        _quoted(name, value) if name == "TO" else _quoted_before(name, value) for name, value in _elements(request)
    ]
    return f"{_FORM_HEAD}{''.join(written)}{_FORM_TAIL}".encode("ascii")


def _quoted(name: str, value: str) -> str:
    if fault := _fault(name, value):
        raise UnsendableRequest(name, fault)
    opening, closing = _QUOTED_TAGS[name]
    return opening + quote_plus(escape(value)) + closing


_quoted_before = lru_cache(maxsize=256)(_quoted)


def _checked(request: SendSms) -> Iterator[tuple[str, str]]:
    for name, value in _elements(request):
        fault = _fault(name, value)
        if fault:
            raise UnsendableRequest(name, fault)
        yield name, value


def _elements(request: SendSms) -> Iterator[tuple[str, str]]:
    yield "ACTION", ACTION
    yield "API_KEY", request.api_key
    if request.operator_id is not None:
        yield "SPID", request.operator_id
    yield "TO", request.to
    yield "FROM", request.sender
    if request.campaign_ref is not None:
        yield "CAMPAIGNREF", request.campaign_ref
    yield "TEXT", request.text


def _fault(name: str, value: str) -> FieldFault | None:
    if name == "TEXT":
        return text_fault(value)
    if not value.strip():
        return "empty"
    if name == "TO" and not (value.isascii() and value.isdigit()):
        return "not_digits"
    return None if is_xml_text(value) else "not_xml"


def decode_response(raw: bytes, expected_to: str, *, strike: Iterable[str] = ()) -> Answer:
    """What the body of an answer says about the message to `expected_to`; never raises.

    `strike`: strings that must not stand in `error_info` (the key, the text). The content type is not asked for: it
    cannot be relied on, the body can.
    """
    if (usual := _USUAL.fullmatch(raw)) and usual[2] == expected_to.encode():
        return Accepted(usual[1].decode("ascii"))
    return _decode_any(raw, expected_to, strike)


def _decode_any(raw: bytes, expected_to: str, strike: Iterable[str]) -> Answer:
    root = parse_xml(raw)
    if isinstance(root, XmlFault):
        return Unreadable("html" if _looks_like_html(raw) else root.reason)
    if root.name != "RESPONSE":
        return Unreadable("html" if root.name == "HTML" else "not_a_response")
    found = gather(((child.name, child.text) for child in root.children), _WANTED)
    if found is None:
        return Unreadable("ambiguous")
    if "TO" in found and digits_of(found["TO"]) != digits_of(expected_to):
        return Unreadable("other_recipient")
    return _answer(found, strike)


def _answer(found: dict[str, str], strike: Iterable[str]) -> Answer:
    status = found.get("STATUS", "").casefold()
    tracking_id, error_code = found.get("TRACKINGID"), found.get("ERRORCODE")
    if not status:
        return Unreadable("no_status")
    if status not in {"success", "failure"}:
        return Unreadable("unknown_status")
    if tracking_id and error_code:
        # Each alone would be believed; together, repeating a throttled call could send twice (P1).
        return Unreadable("contradictory")
    return _success(tracking_id) if status == "success" else _failure(error_code, found.get("ERRORINFO", ""), strike)


def _success(tracking_id: str | None) -> Answer:
    if tracking_id is None:
        return Unreadable("no_tracking_id")
    return Accepted(tracking_id) if is_plain(tracking_id) else Unreadable("bad_value")


def _failure(error_code: str | None, info: str, strike: Iterable[str]) -> Answer:
    if error_code is None:
        return Unreadable("no_error_code")
    code = code_of(error_code)
    error_class = classify(code)
    return Throttled(code) if error_class.retry else Failed(code, mask_info(info, strike), error_class)


def _looks_like_html(raw: bytes) -> bool:
    return raw.lstrip()[:64].lower().startswith((b"<!doctype html", b"<html"))
