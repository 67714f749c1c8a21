"""The contract: every event of the design, its one form on the log, and the readers held against it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from sendledger.domain import facts
from sendledger.domain.facts import decode_fact, micros
from sendledger_schemas import envelope, generate, ids, topics
from sendledger_schemas.campaigns import CampaignPaused, RateSet
from sendledger_schemas.registry import BY_TYPE, MODELS, Data
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS
from tests.support import story

DESIGN_TYPES = {
    *("send-requested", "attempt-started", "send-accepted", "send-rejected", "send-throttled", "send-not-sent"),
    *("send-unanswered", "send-withheld", "postback-received", "doubt-resolved", "campaign-registered"),
    *("batch-registered", "campaign-paused", "campaign-resumed", "campaign-cancelled", "rate-set"),
    *("recipient-suppressed", "receiver-away"),
}

MESSAGE_EVENTS: list[Data] = [
    story.requested(operator_id="77", not_before=story.at(5), expires_at=story.at(60)),
    story.started(),
    story.withheld("expired"),
    story.accepted("SMS_1"),
    story.rejected(),
    story.throttled(),
    story.not_sent(),
    story.unanswered(),
    story.resolved("resend"),
    story.postback("undelivered", detail="expired"),
]

EVENTS_OF_NO_MESSAGE = st.builds(
    CampaignPaused, campaign_id=st.text(min_size=1, max_size=9), by=st.text(min_size=1, max_size=9), reason=st.text()
) | st.builds(RateSet, per_second=st.floats(0.1, 10_000), by=st.just("me"))


def wrapped(data: Data) -> bytes:
    """An event's bytes."""
    return envelope.encode(envelope.event(data, id="e1", source="test", time=datetime(2026, 1, 2, 3, 4, 5, 6, UTC)))


def test_every_event_type_of_the_design_is_there() -> None:
    """The type names of DESIGN §3 are the storage format."""
    assert {f"sendledger.{name}.v1" for name in DESIGN_TYPES} <= BY_TYPE.keys()


def test_an_event_stands_on_one_topic() -> None:
    """Each event belongs to exactly one topic, so that each topic has one writing role."""
    homes = [event for topic in TOPICS.values() for event in topic.events]
    assert sorted(homes, key=str) == sorted(MODELS, key=str)


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=64), st.sampled_from(MESSAGE_EVENTS) | EVENTS_OF_NO_MESSAGE)),
    st.text(),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))]), min_value=datetime(1, 1, 2)),  # noqa: DTZ001 — hypothesis adds the zone
)
def test_events_of_one_moment_are_written_as_each_alone(
    named: list[tuple[str, Data]], source: str, time: datetime
) -> None:
    """The quick way of writing many gives the bytes that the model gives, one by one."""
    alone = [envelope.encode(envelope.event(data, id=name, source=source, time=time)) for name, data in named]
    assert envelope.encode_each(named, source=source, time=time) == alone


@pytest.mark.parametrize("data", MESSAGE_EVENTS, ids=lambda data: data.TYPE)
def test_the_data_alone_are_those_of_the_event(data: Data) -> None:
    """The quick reader of many gives what the whole one gives, whatever stands around or is wrong in the data."""
    raw = wrapped(data)
    assert envelope.decode_data(raw) == envelope.decode(raw).data
    for broken in (
        raw.replace(b'"recipient_id"', b'"respondent"'),
        raw[:-1],
        b"",
        b"[]",
        b'{"type": 7}',
        b"\xff",
        b"[" * 9999,
    ):
        with pytest.raises(envelope.UnreadableEvent):
            envelope.decode_data(broken)
    with pytest.raises(envelope.UnknownVersion):
        envelope.decode_data(raw.replace(b'.v1"', b'.v9"', 1))


@given(st.binary(max_size=40))
def test_an_id_is_base_32_as_the_standard_has_it(body: bytes) -> None:
    """RFC 4648 in lower case, without padding, of the first 16 bytes of the hash."""
    standard = base64.b32encode(hashlib.sha256(body).digest()[:16]).decode().rstrip("=").lower()
    assert ids.body_id(body) == standard


@pytest.mark.parametrize("data", MESSAGE_EVENTS, ids=lambda data: data.TYPE)
def test_an_event_survives_the_log(data: Data) -> None:
    """Encode and decode give the same event, with a 27-character UTC time."""
    raw = wrapped(data)
    assert envelope.decode(raw).data == data
    assert json.loads(raw)["time"] == "2026-01-02T03:04:05.000006Z"


@pytest.mark.parametrize("data", MESSAGE_EVENTS, ids=lambda data: data.TYPE)
def test_the_generated_schema_accepts_the_event(data: Data) -> None:
    """What the program writes validates against the JSON Schema that it publishes, and that is a valid schema."""
    schema = generate.event_schema(type(data), data.TYPE)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(wrapped(data)))
    broken = {**json.loads(wrapped(data)), "type": "sendledger.other.v1"}
    assert not Draft202012Validator(schema).is_valid(broken)


@pytest.mark.parametrize("data", MESSAGE_EVENTS, ids=lambda data: data.TYPE)
def test_the_folds_decoder_agrees_with_the_models(data: Data) -> None:
    """Msgspec's structs read the same values as the pydantic models, which are the one definition."""
    raw = wrapped(data)
    fact, model = decode_fact(raw), envelope.decode(raw)
    assert (fact.id, micros(fact.time)) == (model.id, micros(model.time))
    for name in fact.data.__struct_fields__:
        assert getattr(fact.data, name) == getattr(model.data, name), name


def test_the_folds_decoder_reads_every_event_of_its_topics() -> None:
    """No event on a source topic of the fold is unknown to it."""
    wanted = {event.TYPE for name in FOLD_SOURCES for event in TOPICS[name].events}
    known = {kind.__struct_config__.tag for kind in get_args(facts.Fact)}
    assert known == wanted


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"type":"x"}', b"\xff\xfe", b'{"type":1}', b"null"])
def test_what_is_no_event_is_unreadable(raw: bytes) -> None:
    """Bytes that are no event give UnreadableEvent, from both readers."""
    for read in (envelope.decode, decode_fact):
        with pytest.raises(envelope.UnreadableEvent):
            read(raw)


def test_a_newer_version_stops_the_worker() -> None:
    """An unknown version of a known type is no dead letter: the worker is older than its log."""
    raw = wrapped(story.requested()).replace(b"send-requested.v1", b"send-requested.v2")
    for read in (envelope.decode, decode_fact):
        with pytest.raises(envelope.UnknownVersion, match="newer"):
            read(raw)


def test_errors_name_fields_and_never_values() -> None:
    """The number and the text of a broken request stand in no error message (P7)."""
    fields = json.loads(wrapped(story.requested(text="canary text")))
    fields["data"]["to"] = ["15550001111"]
    for read in (envelope.decode, decode_fact):
        with pytest.raises(envelope.UnreadableEvent) as caught:
            read(json.dumps(fields).encode())
        assert "canary" not in str(caught.value)
        assert "1555" not in str(caught.value)


def test_reprs_hold_no_personal_data() -> None:
    """A number, a text and a raw postback are left out of `repr` (P7)."""
    shown = repr(story.requested(text="canary text")) + repr(story.postback("sent"))
    assert "15551234888" not in shown
    assert "canary" not in shown
    assert "<NOTIFICATION" not in shown


def test_unknown_fields_are_ignored() -> None:
    """A field that a later program added disturbs no reader (DESIGN §3)."""
    fields = json.loads(wrapped(story.accepted("SMS_1")))
    fields["data"]["later"] = fields["later"] = {"a": 1}
    raw = json.dumps(fields).encode()
    assert envelope.decode(raw).data == story.accepted("SMS_1")
    assert decode_fact(raw).data.message_id == "m1"  # type: ignore[union-attr]


def test_generated_documents_are_fresh() -> None:
    """`schemas/json` and `asyncapi.yaml` are what the models say."""
    assert generate.stale() == []


@pytest.mark.parametrize(
    ("key", "hashed"),
    [("a", 2731586172), ("ab", 316155434), ("abc", 479470107), ("abcd", 2971317748), ("hello world", 1221641059)],
)
def test_the_partitioner_is_kafkas(key: str, hashed: int) -> None:
    """murmur2 as the Java client has it (values of org.apache.kafka.common.utils.Utils)."""
    assert ids.murmur2(key.encode()) == hashed
    assert ids.partition_of(key, 8) == (hashed & 0x7FFFFFFF) % 8


@pytest.mark.parametrize("to", ["15551234888", " 15551234888 ", "+15551234888", "0015551234888", "\t+15551234888\n"])
def test_every_form_of_a_number_is_one_recipient(to: str) -> None:
    """Trim, drop one leading + or 00, nothing else: the same plain function on both sides (DESIGN §2)."""
    assert ids.recipient_id(b"pepper", to) == ids.recipient_id(b"pepper", "15551234888")
    assert len(ids.recipient_id(b"pepper", to)) == 26
    assert ids.recipient_id(b"other", to) != ids.recipient_id(b"pepper", to)


def test_dead_letters_have_topics() -> None:
    """Each topic that carries events has its `.dlq`."""
    assert {topic.name for topic in topics.dead_letter_topics()} == {
        topics.dlq(t.name) for t in TOPICS.values() if t.events
    }


@pytest.mark.parametrize("per_second", [float("inf"), float("nan"), 0.0])
def test_a_rate_that_no_reader_could_take_is_no_event(per_second: float) -> None:
    """JSON has no infinity: it became a null, which no reader can decode."""
    with pytest.raises(ValidationError):
        RateSet(campaign_id="*", by="op", per_second=per_second)
    assert RateSet(campaign_id="*", by="op", per_second=1e9).per_second == 1e9, (
        "an old one, which nobody may order any more"
    )
