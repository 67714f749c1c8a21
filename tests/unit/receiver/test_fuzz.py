"""Any bytes are an event or a dead letter, nothing else: made up, or made of real samples that were damaged.

`corpus/` holds small bodies that each take another way through the decoders; a coverage-guided fuzzer found them
(atheris, started from the samples: millions of bodies, no failure). Whatever breaks one day goes there too.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain.facts import Postback, decode_fact
from sendledger.edges.dead_letters import MESSAGE
from sendledger.edges.postback_records import PostbackRecords
from sendledger.wire.postbacks import Undecodable, decode_postback
from sendledger_schemas import ids
from sendledger_schemas.envelope import decode
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import POSTBACKS, dlq
from tests.support import foldcore
from tests.support.hostile import BODIES, FITS
from tests.support.receiver import SAMPLES
from tests.unit.wire.strategies import fragments, junk

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTITIONS = 8
RECORDS = PostbackRecords(b"canary-pepper", PARTITIONS, "receiver")
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
REAL = [path.read_bytes() for path in sorted(SAMPLES.glob("*/*"))] + [
    body for body in BODIES.values() if len(body) < FITS / 8
]


def event_or_dead_letter(body: bytes) -> None:
    """Either, whole: an event that every reader reads alike, in its place; or the untouched bytes with a reason."""
    kept = RECORDS.keep(body, NOW)
    record = kept.record
    if kept.reason is not None:
        assert decode_postback(body) == Undecodable(kept.reason)  # type: ignore[arg-type]  # of the closed list
        assert (record.topic, record.partition, record.key, record.value) == (dlq(POSTBACKS), 0, None, body)
        assert dict(record.headers)[MESSAGE] == kept.reason.encode()
        return
    event = decode(record.value)
    assert isinstance(event.data, PostbackReceived)
    assert (record.topic, event.id, event.data.raw.encode()) == (POSTBACKS, ids.body_id(body), body)
    assert record.key == event.data.recipient_id.encode()
    assert record.partition == ids.partition_of(event.data.recipient_id, PARTITIONS)
    fact = decode_fact(record.value)
    assert isinstance(fact, Postback)
    assert (fact.data.claim, fact.data.detail) == (event.data.claim, event.data.detail)
    assert foldcore.native(record.value) in (None, foldcore.told(fact))
    assert event.data.origin == "SMS_MT" or (event.data.claim, event.data.detail) == (None, None)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real sample, some of it cut out, doubled, moved, turned, or replaced."""
    body = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(1, 4))):
        first, last = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        middle = body[first:last]
        match draw(st.sampled_from(["cut", "double", "turn", "put", "swap", "flip", "upper"])):
            case "cut":
                middle = b""
            case "double":
                middle *= 2
            case "turn":
                middle = middle[::-1]
            case "put":
                middle += draw(fragments | st.binary(max_size=4))
            case "swap":
                other = draw(st.sampled_from(REAL))
                middle = other[first:last]
            case "flip":
                middle = bytes(byte ^ (1 << draw(st.integers(0, 7))) for byte in middle[:1]) + middle[1:]
            case _:
                middle = middle.upper()
        body = body[:first] + middle + body[last:]
    return body[: 2 * FITS]


@settings(max_examples=settings().max_examples * 5)
@given(damaged())
def test_damaged_samples_are_events_or_dead_letters(body: bytes) -> None:
    """Whatever is done to a real document, it ends in one of two places, readable for all who read there."""
    event_or_dead_letter(body)


@settings(max_examples=settings().max_examples * 2)
@given(junk)
def test_any_bytes_are_an_event_or_a_dead_letter(body: bytes) -> None:
    """Random bytes and broken pieces of documents."""
    event_or_dead_letter(body)


names = st.sampled_from(
    ["origin", "code", "status", "to", "tracking-id", "Tracking_ID", "timestamp", "operator-id", "x"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["SMS_MT", "N201", "E202", "15551234888", "2021-01-26T18:00:07+00:00"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=settings().max_examples * 2)
@given(st.dictionaries(names, values, max_size=9))
def test_any_json_object_is_an_event_or_a_dead_letter(document: dict[str, object]) -> None:
    """The names of v2 with values of any kind."""
    event_or_dead_letter(json.dumps(document).encode())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_a_fuzzer_found_once_is_an_event_or_a_dead_letter(path: Path) -> None:
    """Each body of the corpus, and all that is left of it when its end is cut off."""
    body = path.read_bytes()
    for end in range(len(body), -1, -max(1, len(body) // 50)):
        event_or_dead_letter(body[:end])


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_an_event_or_a_dead_letter(name: str) -> None:
    """The table of hostile bodies, by the same rule."""
    event_or_dead_letter(BODIES[name])
