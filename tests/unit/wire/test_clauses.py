"""Each clause of PROVIDER.md about postbacks, and the samples that stand for it; none stands alone."""

from __future__ import annotations

from typing import Any

import pytest

from sendledger.wire.postbacks import decode_postback
from tests.unit.wire.test_samples import INDEX, SAMPLES, as_json

POSTBACKS = {line["file"]: line for line in INDEX if line["reader"] == "postback"}
SENT: dict[str, object] = {"claim": "sent"}
DELIVERED: dict[str, object] = {"claim": "delivered"}
Clause = tuple[str, dict[str, object], list[str]]


def failed(detail: str) -> dict[str, object]:
    """A final receipt that says why not."""
    return {"claim": "undelivered", "detail": detail}


def foreign(origin: str, code: str) -> dict[str, object]:
    """Kept, and nothing said about a message of ours."""
    return {"origin": origin, "code": code, "claim": None, "detail": None}


BROKEN: dict[str, object] = {"kind": "Undecodable", "reason": "broken"}
RECEIPT = "page/notification-receipt.xml"
CLAUSES: list[Clause] = [
    # 1. the page's form
    ("attributes ID and CREATED in upper case", {"notification_id": "325"}, ["page/notification-sent.xml"]),
    ("attributes id and created in lower case", {"notification_id": "326"}, [RECEIPT, "page/receipt-tolerant.xml"]),
    ("values with leading blanks", {"provider_time": "2011-07-26T14:22:27.146582+00:00"}, [RECEIPT]),
    (
        "an offset of two digits",
        {"provider_timestamp": "2011-07-26T14:22:25.262743+00:00"},
        ["page/notification-sent.xml", RECEIPT],
    ),
    ("HISTORYID comes with postbacks", {"history_id": "236990"}, ["page/notification-sent.xml", RECEIPT]),
    ("the first one says sent", {"code": "N201", **SENT}, ["page/notification-sent.xml"]),
    ("the receipt has the same CODE", {"code": "N201", **DELIVERED}, [RECEIPT]),
    ("it differs by PROTOCOL and STATUS, kept as they came", {"protocol": "4", "status": "0"}, [RECEIPT]),
    (
        "no offset: a time that cannot be placed is none",
        {"provider_time": None, **SENT},
        ["page/notification-no-time.xml"],
    ),
    # 2. the flat form of 1.3
    ("N201 Message Sent", {"form": "1.3", **SENT}, ["1.3/sent.xml"]),
    ("E201 Message Failed", {"form": "1.3", "claim": "submit_failed"}, ["1.3/submit-failed.xml"]),
    ("N202 Message Sent/Delivered", {"form": "1.3", **DELIVERED}, ["1.3/delivered.xml"]),
    ("E202 Message Sent/Failed", {"form": "1.3", **failed("failed")}, ["1.3/failed.xml"]),
    ("E202 Message Sent/Expired", {"form": "1.3", **failed("expired")}, ["1.3/expired.xml"]),
    ("E202 Message Sent/NotSupported", {"form": "1.3", **failed("not_supported")}, ["1.3/not-supported.xml"]),
    ("E202 or a rejection", {"form": "1.3", **failed("rejected")}, ["1.3/rejected.xml", "1.3/rejected-by.xml"]),
    ("E202: only the text tells", failed("other"), ["1.3/failed-without-text.xml", "1.3/failed-unknown-text.xml"]),
    ("SPID", {"operator_id": "0001470"}, ["1.3/sent.xml"]),
    ("or OPERATORID", {"operator_id": "0001470"}, ["1.3/operatorid.xml"]),
    ("TIMESTAMP in ISO 8601", {"provider_time": "2013-11-05T10:41:08+00:00"}, ["1.3/sent.xml"]),
    ("an unclosed FROM_MASK: input can be broken XML", BROKEN, ["1.3/unclosed-from-mask.xml"]),
    # 3. v2
    ("v2: N201", {"form": "v2", **SENT}, ["v2/sent.json", "v2/tolerant.json"]),
    ("v2: E201", {"form": "v2", "claim": "submit_failed"}, ["v2/submit-failed.json"]),
    ("v2: N202", {"form": "v2", **DELIVERED}, ["v2/delivered.json"]),
    ("v2: E202 failed", {"form": "v2", **failed("failed")}, ["v2/failed.json", "v2/failed-short-text.json"]),
    ("v2: E202 expired", {"form": "v2", **failed("expired")}, ["v2/expired.json"]),
    ("v2: E202 not supported", {"form": "v2", **failed("not_supported")}, ["v2/not-supported.json"]),
    ("v2: E202 rejected", {"form": "v2", **failed("rejected")}, ["v2/rejected.json"]),
    ("v2: E202, only the text tells", {"form": "v2", **failed("other")}, ["v2/failed-unknown-text.json"]),
    ("v2: operator-id", {"operator_id": "0001470"}, ["v2/sent.json"]),
    # 4. other origins
    ("MMS_MT N101", foreign("MMS_MT", "N101"), ["page/notification-other-origin.xml", "1.3/mms-sent.xml"]),
    ("MMS_MT N102", foreign("MMS_MT", "N102"), ["1.3/mms-delivered.xml", "v2/mms-delivered.json"]),
    ("MMS_MT E101", foreign("MMS_MT", "E101"), ["1.3/mms-failed.xml", "v2/mms-failed.json"]),
    (
        "SMS_MO",
        foreign("SMS_MO", "N211"),
        ["page/notification-incoming-text.xml", "1.3/incoming-text.xml", "v2/incoming-text.json"],
    ),
    (
        "SUB",
        foreign("SUB", "N301"),
        ["page/notification-subscription.xml", "1.3/subscription.xml", "v2/subscription.json"],
    ),
    ("an origin nobody announced", foreign("RCS_MT", "N202"), ["1.3/unknown-origin.xml"]),
    # STATUS numbers (all 256 stand in test_tpstatus.py)
    ("0x00-0x1F done", {**DELIVERED, "detail": "tp_0x02"}, ["page/receipt-done-otherwise.xml"]),
    ("0x20-0x3F still trying", {"claim": "trying"}, ["page/receipt-trying.xml"]),
    ("0x40-0x5F permanent failure", failed("tp_0x46"), ["page/receipt-permanent-failure.xml"]),
    ("0x60-0x7F gave up", failed("tp_0x61"), ["page/receipt-gave-up.xml"]),
    ("128-255 reserved: a permanent failure", failed("tp_0xc8"), ["page/receipt-reserved.xml"]),
    (
        "a protocol that we do not know: 0 is delivered",
        DELIVERED,
        ["page/receipt-unknown-protocol-zero.xml", "page/receipt-number-only.xml"],
    ),
    (
        "a protocol that we do not know: else sent",
        {**SENT, "protocol": "9", "status": "70"},
        ["page/receipt-unknown-protocol.xml"],
    ),
    ("no byte: sent, kept as it came", {**SENT, "detail": "other"}, ["page/receipt-no-byte.xml"]),
    # unknown codes are data (STYLE.md, 8)
    (
        "an unknown code",
        {"claim": None, "detail": "other"},
        ["page/notification-unknown-code.xml", "1.3/unknown-code.xml", "v2/unknown-code.json"],
    ),
]


@pytest.mark.parametrize(("says", "files"), [clause[1:] for clause in CLAUSES], ids=[clause[0] for clause in CLAUSES])
def test_a_clause_has_samples_that_show_it(says: dict[str, Any], files: list[str]) -> None:
    """Each of its samples is read as the clause says."""
    for file in files:
        found = as_json(decode_postback((SAMPLES / file).read_bytes()))
        assert {name: found.get(name) for name in says} == says, file


def test_every_sample_of_the_provider_s_stands_for_a_clause() -> None:
    """No sample of the three forms stands there for nothing; those of broken and hostile input are DESIGN §7's."""
    named = {file for _, _, files in CLAUSES for file in files}
    ours = {file for file in POSTBACKS if not file.startswith(("broken/", "hostile/"))}
    assert named == ours
    assert all(POSTBACKS[file]["clause"].startswith(("PROVIDER.md", "sendsms-api.html", "STYLE.md")) for file in ours)
