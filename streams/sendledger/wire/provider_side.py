"""The other end of the wire: what the provider reads and writes, for the simulator and for tests.

Requests are read as tolerantly as the page's own examples ask for (blanks inside values); answers and notifications
are written in the forms of the page, of 1.3 and of v2 (PROVIDER.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from urllib.parse import parse_qsl

import orjson

from sendledger.wire.sendsms import ACTION, FORM_FIELD, MAX_TEXT, SendSms
from sendledger.wire.timestamps import format_iso, format_page
from sendledger.wire.values import gather
from sendledger.wire.xml import XmlFault, element, escape, parse_xml
from sendledger_schemas.ids import digits_of

_WANTED = frozenset({"ACTION", "API_KEY", "TO", "FROM", "CAMPAIGNREF", "TEXT", "SPID", "OPERATORID"})
_PAGE_OFFSET = -4

FLAT_STATUS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sent": ("N201", "Message Sent"),
        "submit_failed": ("E201", "Message Failed"),
        "delivered": ("N202", "Message Sent/Delivered"),
        "failed": ("E202", "Message Sent/Failed"),
        "expired": ("E202", "Message Sent/Expired"),
        "not_supported": ("E202", "Message Sent/NotSupported"),
        "rejected": ("E202", "Message Sent/Rejected"),
    }
)
"""CODE and STATUS text of the 1.3 and v2 forms, by what they mean."""


@dataclass(frozen=True, slots=True)
class RequestFault:
    """The code to answer a request with that cannot be carried out, and its TO if it has one."""

    error_code: str
    to: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the provider wants to tell about one message; each form writes the part of it that it has room for.

    `status` (0-255) makes a receipt of the page's form; the flat forms tell by `code` and `status_text` alone.
    """

    to: str = field(repr=False)
    tracking_id: str
    timestamp: datetime
    created: datetime | None = None
    notification_id: str | None = None
    history_id: str | None = None
    code: str = "N201"
    origin: str = "SMS_MT"
    protocol: int = 4
    status: int | None = None
    status_text: str = "Message Sent"
    sender: str | None = None
    operator_id: str | None = None
    campaign_ref: str | None = None


def decode_form(body: bytes) -> SendSms | RequestFault:
    """A POST: a form whose field `xml` holds the document."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=16))
    except ValueError:
        return RequestFault("E100")
    return decode_request(fields.get(FORM_FIELD, "").encode())


def decode_query(params: Mapping[str, str]) -> SendSms | RequestFault:
    """A GET: the same names as query parameters, in lower case."""
    found = gather(((name.upper(), value) for name, value in params.items()), _WANTED)
    return RequestFault("E100") if found is None else _request(found)


def decode_request(raw: bytes) -> SendSms | RequestFault:
    """A REQUEST document; every value trimmed."""
    root = parse_xml(raw)
    if isinstance(root, XmlFault):
        return RequestFault("E108")
    found = gather(((child.name, child.text) for child in root.children), _WANTED)
    return RequestFault("E100") if root.name != "REQUEST" or found is None else _request(found)


def _request(found: dict[str, str]) -> SendSms | RequestFault:
    to = found.get("TO")
    fault = _fault(found)
    if fault or to is None:
        return RequestFault(fault or "E201", to)
    return SendSms(
        api_key=found["API_KEY"],
        to=digits_of(to),
        sender=found["FROM"],
        text=found["TEXT"],
        operator_id=found.get("OPERATORID") or found.get("SPID"),
        campaign_ref=found.get("CAMPAIGNREF"),
    )


def _fault(found: dict[str, str]) -> str | None:
    digits = digits_of(found.get("TO", ""))
    checks = (
        (found.get("ACTION", "").lower() == ACTION.lower(), "E101"),
        ("API_KEY" in found, "E102"),
        ("TO" in found, "E201"),
        (digits.isascii() and digits.isdigit(), "E110"),
        ("FROM" in found, "E111"),
        ("TEXT" in found, "E712"),
        (len(found.get("TEXT", "")) <= MAX_TEXT, "E100"),
    )
    return next((code for holds, code in checks if not holds), None)


def encode_success(tracking_id: str, to: str) -> bytes:
    """`RESPONSE` with `Success`, as the page shows it."""
    return _document("RESPONSE", ("STATUS", "Success"), ("TRACKINGID", tracking_id), ("TO", to))


def encode_failure(code: str, info: str, to: str | None) -> bytes:
    """`RESPONSE` with `Failure`, as the page shows it; without TO where the request had none."""
    return _document("RESPONSE", ("STATUS", "Failure"), ("ERRORCODE", code), ("ERRORINFO", info), ("TO", to))


def encode_notification(
    notice: Notice,
    *,
    upper: bool = True,
    leading_blanks: bool = False,
    offset_hours: int = _PAGE_OFFSET,
) -> bytes:
    """The page's form; attribute names in upper or lower case, values with or without a leading blank."""
    blank = " " if leading_blanks else ""
    created = format_page(notice.created or notice.timestamp, offset_hours)
    attributes = (("ID", notice.notification_id or ""), ("CREATED", created))
    head = "".join(f' {name if upper else name.lower()}="{escape(blank + value)}"' for name, value in attributes)
    status = "" if notice.status is None else f'\t<STATUS PROTOCOL="{notice.protocol}" STATUS="{notice.status}"/>\n'
    ids = (("HISTORYID", notice.history_id), ("TO", blank + notice.to), ("TRACKINGID", notice.tracking_id))
    return (
        f"<NOTIFICATION{head}>\n{_lines(('ORIGIN', notice.origin), ('CODE', notice.code))}\t<BODY>\n"
        f"{_lines(*ids)}{status}{_lines(('TIMESTAMP', format_page(notice.timestamp, offset_hours)))}"
        "\t</BODY>\n</NOTIFICATION>"
    ).encode()


def encode_postback13(notice: Notice, *, offset_hours: int = _PAGE_OFFSET) -> bytes:
    """The flat form of 1.3."""
    return _document(
        "POSTBACK",
        ("ORIGIN", notice.origin),
        ("CODE", notice.code),
        ("STATUS", notice.status_text),
        ("FROM", notice.sender),
        ("TO", notice.to),
        ("TRACKINGID", notice.tracking_id),
        ("SPID", notice.operator_id),
        ("TIMESTAMP", format_iso(notice.timestamp, offset_hours)),
    )


def encode_postback_v2(notice: Notice, *, offset_hours: int = 0) -> bytes:
    """The JSON form of v2."""
    document = {
        "origin": notice.origin,
        "code": notice.code,
        "sent-as": "SMS",
        "status": notice.status_text,
        "from": notice.sender,
        "to": notice.to,
        "tracking-id": notice.tracking_id,
        "operator-id": notice.operator_id,
        "timestamp": format_iso(notice.timestamp, offset_hours),
        "campaign-ref": notice.campaign_ref,
    }
    return orjson.dumps({name: value for name, value in document.items() if value is not None})


def _document(root: str, *pairs: tuple[str, str | None]) -> bytes:
    return f"<{root}>\n{_lines(*pairs)}</{root}>".encode()


def _lines(*pairs: tuple[str, str | None]) -> str:
    return "".join([f"\t{element(name, value)}\n" for name, value in pairs if value is not None])
