"""Whatever stands in a record: a fact that can be folded and told, or a reason why it is none; nothing in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sendledger.domain.facts import decode_fact
from sendledger.domain.merging import UNREADABLE, Merging, decode_partial, rank
from sendledger.domain.message import NOTHING_READ
from sendledger.edges.fold_core import Origin
from sendledger_schemas.envelope import UnknownVersion, UnreadableEvent, decode
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS
from tests.support.folding import lives, outgoing
from tests.support.native import PartitionFold

ODD: list[Any] = [
    *(None, True, -1, 0, 10**30, -(10**30), 2**63, 2**64, 1.5, float("inf")),
    *("", "x" * 100_000, "\u0000", "\ud800", "a/b", [], {}),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+23:59"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
]
LOG = [(FOLD_SOURCES.index(record.topic), record.value) for record in outgoing(lives(30), 1)]
EVENTS = {json.loads(value)["type"]: (topic, value) for topic, value in LOG}
IDS = {topic: f"id-{topic}" for topic in FOLD_SOURCES}


def odd(event: bytes) -> Iterator[bytes]:
    """The event with each of its fields replaced by each odd value."""
    plain = json.loads(event)
    for name in ("id", "time", "source", *plain["data"]):
        for value in ODD:
            fields = json.loads(event)
            (fields["data"] if name in plain["data"] else fields)[name] = value
            yield json.dumps(fields).encode()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_odd_values_are_facts_or_letters(name: str) -> None:
    """A fact of odd values can be folded, stored and published; any other is refused without quoting it."""
    topic, event = EVENTS[name]
    near = [
        one for one in LOG if json.loads(one[1])["data"]["recipient_id"] == json.loads(event)["data"]["recipient_id"]
    ]
    before = [(number, place, decode_fact(value)) for place, (number, value) in enumerate([*LOG[:20], *near])]
    for value in odd(event):
        try:
            fact = decode_fact(value)
        except UnreadableEvent as error:
            assert len(str(error)) < 200  # noqa: PT017 — most are refused, and some must not be
            continue
        fold = PartitionFold(lambda keys: [None for _ in keys], Origin(0, 0, NOTHING_READ, {}))
        changes = fold.fold([*before, (topic, len(LOG), fact)])
        for told in (*changes.partials, *changes.messages):
            assert told.key.encode()
            assert len(told.value) < 64_000
            json.loads(told.value)


@pytest.mark.parametrize("value", [b"[" * 100_000, b'{"a":' * 100_000, b'{"type":' + b"[" * 100_000])
def test_brackets_without_end_are_a_letter(value: bytes) -> None:
    """Deeper than any decoder goes: still no reason to stop."""
    with pytest.raises(UnreadableEvent):
        decode_fact(value)
    with pytest.raises(UNREADABLE):
        decode_partial(value)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_the_calendar_is_unreadable_for_the_models_too(time: str) -> None:
    """UTC has no such day; API and sender read by the models."""
    fields = json.loads(EVENTS["sendledger.send-requested.v1"][1]) | {"time": time}
    with pytest.raises(UnreadableEvent):
        decode(json.dumps(fields).encode())


@pytest.mark.parametrize("name", [model.TYPE for topic in FOLD_SOURCES for model in TOPICS[topic].events])
def test_an_unknown_version_is_no_letter(name: str) -> None:
    """Of any event that the fold knows: it has to stop, with a message that says what to do."""
    with pytest.raises(UnknownVersion, match="newer than this program: update it"):
        decode_fact(json.dumps({"type": name.replace(".v1", ".v2"), "data": {}}).encode())


def partial(campaign: str = "c1", **over: Any) -> bytes:
    """A partial as it stands on the topic."""
    offsets = dict.fromkeys(FOLD_SOURCES, 0)
    fields = {
        "campaign_id": campaign,
        "partition": 0,
        "slot": 0,
        "counters": {"requested": 1, "b:queued": 1},
        "from": offsets,
        "to": offsets,
        "version": 5,
        "fold_version": 1,
        "topic_ids": IDS,
        "day": None,
    }
    return json.dumps(fields | over).encode()


@pytest.mark.parametrize(
    "over",
    [
        *({"counters": value, "version": 9} for value in ("none", [1], {"a": "b"}, {"a": 10**30}, None)),
        {"version": 10**40},
        {"to": {FOLD_SOURCES[0]: 10**40}},
        {"version": None},
    ],
)
def test_a_partial_that_cannot_be_added_up_is_none(over: dict[str, Any]) -> None:
    """It is refused, however great it calls itself; what was known before stands and can be published."""
    merging = Merging(IDS)
    merging.offer(decode_partial(partial()))
    with pytest.raises(UNREADABLE):
        merging.offer(decode_partial(partial(**over)))
    with pytest.raises(UNREADABLE):
        merging.offer(decode_partial(partial("c2", **over)))
    assert list(merging.campaigns()) == ["c1"]
    assert merging.merged("c1").counters == {"requested": 1, "b:queued": 1}
    assert msgspec.json.encode(merging.merged("c1").to)


def test_orphans_of_a_cut_log_go_by_how_far_they_have_read() -> None:
    """A campaign is believed to who counts from further back; orphans begin anew at a cut, so the later reader."""
    cut: dict[str, Any] = {"from": dict.fromkeys(FOLD_SOURCES, 3), "version": 6}
    assert rank(decode_partial(partial())) > rank(decode_partial(partial(**cut)))
    assert rank(decode_partial(partial("_none"))) < rank(decode_partial(partial("_none", **cut)))


def test_a_fold_of_a_cut_log_has_read_what_was_cut() -> None:
    """Its orphans never seem to have read less than those of a fold that began before the cut."""
    fold = PartitionFold(lambda keys: [None for _ in keys], Origin(0, 0, (50, 40, 30, 20, 10), IDS))
    stray = next(decode_fact(value) for _, value in LOG if b"postback-received" in value)
    (none,) = [json.loads(told.value) for told in fold.fold([(3, 25, stray)]).partials if told.campaign_id == "_none"]
    assert list(none["to"].values()) == [49, 39, 29, 25, 9]
