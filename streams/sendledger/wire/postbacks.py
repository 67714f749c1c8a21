"""One postback, bytes to values: the page's NOTIFICATION, the flat POSTBACK of 1.3, and the JSON of v2.

All three are gathered into one set of named values and read by one set of rules (PROVIDER.md, "Postbacks").

| code | says |
|---|---|
| N201 | `sent`; with `<STATUS PROTOCOL= STATUS=>` what the number says |
| N202 | `delivered` (a number of a known protocol says it more exactly) |
| E201 | `submit_failed` (in a response the same code means something else) |
| E202 | `undelivered`; its text, or a number of a known protocol, says why; a text that nobody knows is `other` |
| any other | kept, with no claim and the detail `other`: not folded |

Other origins are kept with no claim and no detail. What the provider never announced is data, and `oddity` names it.
What cannot be read is a value with a reason of a closed list, for the dead letters; reasons and `repr` hold no content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

import orjson

from sendledger.wire.ordinary import read_ordinary
from sendledger.wire.timestamps import parse_instant
from sendledger.wire.tpstatus import Said, knows, read_status
from sendledger.wire.values import code_of, gather, is_plain
from sendledger.wire.xml import MAX_BYTES, Node, XmlFault, XmlReason, parse_xml
from sendledger_schemas.ids import digits_of
from sendledger_schemas.postbacks import Claim

Form = Literal["page", "1.3", "v2"]
UndecodableReason = Literal[
    XmlReason,
    "unknown_form",
    "ambiguous",
    "bad_value",
    "no_origin",
    "no_code",
    "no_recipient",
    "no_tracking_id",
]
REASONS: tuple[UndecodableReason, ...] = get_args(UndecodableReason)

OURS = "SMS_MT"

_FORMS: dict[str, Form] = {"NOTIFICATION": "page", "POSTBACK": "1.3"}
_IDS = ("TRACKINGID", "HISTORYID", "OPERATORID", "SPID", "@ID", "STATUS@PROTOCOL", "STATUS@STATUS")
_WANTED = frozenset({"ORIGIN", "CODE", "TO", "TIMESTAMP", "STATUS", "@CREATED", *_IDS})
_TEXTS = {"failed": "failed", "expired": "expired", "notsupported": "not_supported"}
_REJECTION = "reject"  # of a rejection only the text tells, and PROVIDER.md does not give its wording

Oddity = Literal["origin", "code", "status", "text"]
ODDITIES: tuple[Oddity, ...] = get_args(Oddity)
_ORIGINS = frozenset({OURS, "MMS_MT", "SMS_MO", "SUB"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one postback says. All ids are trimmed, printable, at most 128 characters; times are UTC.

    `to` is None only for other origins. `provider_time` is CREATED, else TIMESTAMP. `protocol` and `status` are the
    numbers and `status_text` the text as they came, blanks aside. The bytes that it was read from are valid UTF-8.
    """

    form: Form
    origin: str
    code: str
    claim: Claim | None
    detail: str | None
    to: str | None = field(repr=False)
    tracking_id: str | None
    history_id: str | None
    notification_id: str | None
    operator_id: str | None
    provider_time: datetime | None
    provider_timestamp: datetime | None
    protocol: str | None
    status: str | None
    status_text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a body is no postback that we can use."""

    reason: UndecodableReason


def decode_postback(raw: bytes) -> Notification | Undecodable:
    """Any bytes to what they say, or to why they say nothing; never raises."""
    if len(raw) > MAX_BYTES:
        return Undecodable("too_large")
    if raw.lstrip().removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return _from_json(raw)
    if quickly := read_ordinary(raw, _FORMS, _WANTED):
        return _notification(_FORMS[quickly[0]], quickly[1])
    return _from_xml(raw)


def _from_xml(raw: bytes) -> Notification | Undecodable:
    root = parse_xml(raw)
    if isinstance(root, XmlFault):
        return Undecodable(root.reason)
    form = _FORMS.get(root.name)
    if form is None:
        return Undecodable("unknown_form")
    found = gather(_xml_pairs(root), _WANTED)
    return Undecodable("ambiguous") if found is None else _notification(form, found)


def oddity(said: Notification) -> Oddity | None:
    """What of a notification PROVIDER.md does not know: an origin, our own code, a STATUS number, the text of E202."""
    if said.origin not in _ORIGINS:
        return "origin"
    if said.origin != OURS:
        return None
    if said.claim is None:
        return "code"
    if said.detail != "other":
        return None
    return "text" if said.code == "E202" else "status"


def _xml_pairs(root: Node) -> Iterator[tuple[str, str]]:
    yield from ((f"@{name}", value) for name, value in root.attributes)
    for holder in (root, *(child for child in root.children if child.name == "BODY")):
        for child in holder.children:
            yield child.name, child.text
            if child.name == "STATUS":
                yield from ((f"STATUS@{name}", value) for name, value in child.attributes)


def _from_json(raw: bytes) -> Notification | Undecodable:
    try:
        document = orjson.loads(raw.strip().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return Undecodable("broken")
    # `tracking-id` is the TRACKINGID of the other forms: without its hyphens each name is the same.
    values = {key.replace("-", "").replace("_", "").upper(): (key, value) for key, value in document.items()}
    if len(values) != len(document):
        return Undecodable("ambiguous")
    wanted = {name: value for name, (_, value) in values.items() if name in _WANTED and value is not None}
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in wanted.values()):
        return Undecodable("bad_value")
    found = gather(((name, str(value)) for name, value in wanted.items()), _WANTED)
    return Undecodable("ambiguous") if found is None else _notification("v2", found)


def _notification(form: Form, found: dict[str, str]) -> Notification | Undecodable:
    missing = _missing(found)
    if missing:
        return Undecodable(missing)
    if not all(is_plain(found[name]) for name in _IDS if name in found):
        return Undecodable("bad_value")
    timestamp = parse_instant(found.get("TIMESTAMP", ""))
    said = _said(found)
    return Notification(
        form=form,
        origin=code_of(found["ORIGIN"]),
        code=code_of(found["CODE"]),
        claim=said.claim,
        detail=said.detail,
        to=digits_of(found["TO"]) if "TO" in found else None,
        tracking_id=found.get("TRACKINGID"),
        history_id=found.get("HISTORYID"),
        notification_id=found.get("@ID"),
        operator_id=found.get("OPERATORID") or found.get("SPID"),
        provider_time=parse_instant(found.get("@CREATED", "")) or timestamp,
        provider_timestamp=timestamp,
        protocol=found.get("STATUS@PROTOCOL"),
        status=found.get("STATUS@STATUS"),
        status_text=found.get("STATUS"),
    )


def _missing(found: dict[str, str]) -> UndecodableReason | None:
    if "ORIGIN" not in found:
        return "no_origin"
    if "CODE" not in found:
        return "no_code"
    if found["ORIGIN"].upper() != OURS:
        return None
    if "TO" not in found:
        return "no_recipient"
    return None if "TRACKINGID" in found else "no_tracking_id"


def _said(found: dict[str, str]) -> Said:
    if found["ORIGIN"].upper() != OURS:
        return Said(None, None)
    protocol, status = found.get("STATUS@PROTOCOL"), found.get("STATUS@STATUS")
    numbered = protocol is not None or status is not None
    match found["CODE"].upper():
        case "N201":
            return read_status(protocol, status) if numbered else Said("sent", None)
        case "N202":
            return read_status(protocol, status) if knows(protocol, status) else Said("delivered", None)
        case "E201":
            return Said("submit_failed", "submit_failed")
        case "E202":
            return _failure(protocol, status, found.get("STATUS"))
        case _:
            return Said(None, "other")


def _failure(protocol: str | None, status: str | None, text: str | None) -> Said:
    said = read_status(protocol, status)
    if said.claim == "undelivered":
        return said
    if text is None:
        return Said("undelivered", "other")
    if _REJECTION in text.casefold():
        return Said("undelivered", "rejected")
    last = "".join(char for char in text.rpartition("/")[2].casefold() if char.isalnum())
    return Said("undelivered", _TEXTS.get(last, "other"))
