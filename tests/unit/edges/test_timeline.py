"""A message's timeline: what of a postback it tells, and what it keeps to itself."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.timeline import Step, _collect
from tests.support.receiver import NUMBER, SAMPLES
from tests.support.states import message_state

RECORDS = PostbackRecords(b"canary-pepper", 8, "receiver")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def steps_of(sample: str, tracking_id: str | None) -> list[Step]:
    """What the timeline of a message says about one postback."""
    record = RECORDS.keep((SAMPLES / sample).read_bytes(), NOW).record
    steps: list[Step] = []
    told = message_state("m1", recipient_id=record.key.decode() if record.key else "", tracking_id=tracking_id)
    place = SimpleNamespace(topic=record.topic, partition=record.partition, offset=3, value=record.value)
    _collect(place, record.key or b"", told, steps)
    return steps


@pytest.mark.parametrize(
    ("sample", "tracking_id", "code", "detail"),
    [
        ("1.3/unknown-code.xml", "U01TXzgwNjc4", "E299", "other"),
        ("1.3/failed-unknown-text.xml", "U01TXzgwNjc4", "E202", "other"),
        ("v2/unknown-code.json", "a1b2c3d4e5f6", "N999", "other"),
        ("1.3/mms-delivered.xml", "U01TXzgwNjc4", "N102", None),
    ],
)
def test_what_was_never_announced_is_visible(sample: str, tracking_id: str, code: str, detail: str | None) -> None:
    """An unknown code or text, or another origin, stands in the timeline with its code, without its raw."""
    (step,) = steps_of(sample, tracking_id=tracking_id)
    assert (step.what, step.matched) == ("postback-received", True)
    assert (step.facts["code"], step.facts.get("detail")) == (code, detail)
    assert "raw" not in step.facts
    assert NUMBER not in repr(step.shown())


def test_another_message_s_postback_is_none_of_its_own() -> None:
    """Under another TRACKINGID it is not told; while the message has none, it is told as perhaps its own."""
    assert steps_of("1.3/sent.xml", tracking_id="other") == []
    (step,) = steps_of("1.3/sent.xml", tracking_id=None)
    assert step.matched is False
