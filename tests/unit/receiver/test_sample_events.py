"""The provider's documents, the whole way: each sample's bytes become the event, or the dead letter, of its line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sendledger.domain.facts import Postback, decode_fact
from sendledger.edges.dead_letters import MESSAGE, RECEIVED_AT, TOPIC
from sendledger.edges.postback_records import NOBODY, PostbackRecords
from sendledger.wire.postbacks import ODDITIES, Notification, decode_postback, oddity
from sendledger_schemas import ids
from sendledger_schemas.envelope import decode
from sendledger_schemas.fields import format_instant
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import POSTBACKS, dlq
from tests.support.receiver import SAMPLES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEPPER = b"canary-pepper"
RECORDS = PostbackRecords(PEPPER, 8, "receiver")
INDEX: list[dict[str, Any]] = [
    line for line in json.loads((SAMPLES / "index.json").read_text()) if line["reader"] == "postback"
]
# What an event has of a notification, by the same name; the rest of the provider's document is in `raw`.
SAME = ("origin", "code", "claim", "detail", "tracking_id", "history_id", "notification_id", "operator_id")
TIMES = ("provider_time", "provider_timestamp")
ODD = {
    "1.3/unknown-origin.xml": "origin",
    "1.3/unknown-code.xml": "code",
    "1.3/failed-unknown-text.xml": "text",
    "1.3/failed-without-text.xml": "text",
    "page/notification-unknown-code.xml": "code",
    "page/receipt-no-byte.xml": "status",
    "page/receipt-unknown-protocol.xml": "status",
    "v2/unknown-code.json": "code",
    "v2/failed-unknown-text.json": "text",
    "hostile/number-as-code.xml": "code",
}


def instant(text: str | None) -> str | None:
    """The index's time in the events' form."""
    return None if text is None else format_instant(datetime.fromisoformat(text))


@pytest.mark.parametrize("line", INDEX, ids=lambda line: str(line["file"]))
def test_a_sample_becomes_its_event_or_its_dead_letter(line: dict[str, Any]) -> None:
    """Exactly these fields, under the recipient's key and partition, readable by the fold; or the untouched bytes."""
    body, expected = (SAMPLES / line["file"]).read_bytes(), line["expect"]
    kept = RECORDS.keep(body, NOW)
    record, headers = kept.record, dict(kept.record.headers)
    if expected["kind"] == "Undecodable":
        assert (record.topic, record.key, record.value, kept.reason) == (dlq(POSTBACKS), None, body, expected["reason"])
        assert (headers[MESSAGE], headers[TOPIC]) == (expected["reason"].encode(), POSTBACKS.encode())
        assert headers[RECEIVED_AT] == b"2026-03-01T12:00:00.000000Z"
        return
    recipient = ids.recipient_id(PEPPER, expected.get("to", NOBODY))
    said = {name: expected[name] for name in SAME if name in expected}
    said |= {name: instant(expected[name]) for name in TIMES if name in expected}
    whole = {**said, "recipient_id": recipient, "received_at": format_instant(NOW), "raw": body.decode()}
    assert json.loads(record.value)["data"] == whole
    assert (record.topic, record.key, kept.reason) == (POSTBACKS, recipient.encode(), None)
    assert record.partition == ids.partition_of(recipient, 8)
    assert isinstance(decode(record.value).data, PostbackReceived)
    fact = decode_fact(record.value)
    assert isinstance(fact, Postback)
    assert fact.data.claim == expected.get("claim")


def test_what_the_provider_never_announced_is_named() -> None:
    """Unknown origins, codes, texts and numbers, each in its sample; everything announced is nothing odd."""
    found = {}
    for line in INDEX:
        said = decode_postback((SAMPLES / line["file"]).read_bytes())
        if isinstance(said, Notification) and (what := oddity(said)) is not None:
            found[line["file"]] = what
    assert found == ODD
    assert set(found.values()) == set(ODDITIES)


def test_a_postback_of_nobody_is_an_event() -> None:
    """A subscription without TO is kept like every other origin: it is no dead letter, and nobody is alarmed by it."""
    kept = RECORDS.keep((SAMPLES / "1.3/subscription.xml").read_bytes(), NOW)
    assert (kept.record.topic, kept.reason) == (POSTBACKS, None)
