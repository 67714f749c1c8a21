"""A request that is about to be sent is read quickly, and never as anything that its model would not read it as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendledger.agents.sender_requests import _quick, request_of
from sendledger.domain.call_ends import Refused
from sendledger_schemas import envelope
from sendledger_schemas.envelope import UnreadableEvent, decode_data
from sendledger_schemas.requests import SendRequested
from tests.support import story
from tests.support.story import START

READ = ("to", "sender", "text", "campaign_ref", "operator_id")
ODD: list[Any] = [
    *(None, 1, 1.5, True, [], {}, "", " ", "1\n", "\n1", "٣٤", "+1", "1" * 20, "1" * 21, "x" * 160, "x" * 161),
    *("é" * 20, "😀" * 20, "😀" * 160, "a\u0000b", "\ud800", "x" * 64, "x" * 65, "x" * 128, "x" * 129),
    *("2026-11-28T12:00:00Z", "2026-11-28 12:00:00Z", "2026-11-28T12:00:00", "2026-11-28", "2026-11-28T12:00:00+25:00"),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:60Z", 1764331200, "1764331200"),
]
WHOLE = json.loads(
    envelope.encode(
        envelope.event(
            story.requested().model_copy(update={"campaign_ref": "77", "operator_id": "1", "not_before": START}),
            id="e",
            source="tests",
            time=START,
        )
    )
)


def events() -> st.SearchStrategy[dict[str, Any]]:
    """A request with some of its fields replaced, taken out or added."""
    name = st.sampled_from([*SendRequested.model_fields, "other"])
    value = st.one_of(st.sampled_from(ODD), st.text(max_size=170), st.just("out"))
    return st.lists(st.tuples(name, value), max_size=3).map(_changed)


def _changed(changes: list[tuple[str, Any]]) -> dict[str, Any]:
    data = {**WHOLE["data"], **dict(changes)}
    return {**WHOLE, "data": {name: value for name, value in data.items() if value != "out"}}


def judged(raw: bytes) -> SendRequested | Refused:
    """What the model says."""
    try:
        data = decode_data(raw)
    except UnreadableEvent as fault:
        return Refused("UNSENDABLE", str(fault), "bug")
    assert isinstance(data, SendRequested)
    return data


def is_read_as_its_model_reads_it(event: dict[str, Any], *, escaped: bool) -> bool:
    """The same request, or the same refusal."""
    raw = json.dumps(event, ensure_ascii=escaped).encode(errors="surrogatepass")
    found, meant = request_of(raw), judged(raw)
    if isinstance(found, Refused) or isinstance(meant, Refused):
        return found == meant
    return [getattr(found, name) for name in READ] == [getattr(meant, name) for name in READ]


@given(events(), st.booleans())
@example(_changed([("other", "\ud800")]), False)  # no UTF-8, in a field that nobody knows
def test_it_is_read_as_its_model_reads_it(event: dict[str, Any], escaped: bool) -> None:  # noqa: FBT001 — drawn
    """Whatever the quick way is not sure of it leaves to the model."""
    assert is_read_as_its_model_reads_it(event, escaped=escaped)


@pytest.mark.parametrize("name", SendRequested.model_fields)
def test_each_odd_value_in_each_field_is_read_as_its_model_reads_it(name: str) -> None:
    """Bounds, other types, other scripts' digits, dates in all forms."""
    events = [_changed([(name, value)]) for value in (*ODD, "out")]
    assert [event for event in events if not is_read_as_its_model_reads_it(event, escaped=True)] == []


def test_what_is_in_order_is_read_quickly_and_does_not_show_what_it_carries() -> None:
    """The usual request is one."""
    raw = json.dumps(WHOLE).encode()
    assert _quick(raw).data == request_of(raw)
    for canary in (WHOLE["data"]["to"], WHOLE["data"]["text"]):
        assert canary not in repr(_quick(raw))


def test_another_event_is_no_request() -> None:
    """Nor is what is no event."""
    claim = envelope.encode(envelope.event(story.started(), id="e", source="tests", time=START))
    assert request_of(claim) == Refused("UNSENDABLE", "not a request", "bug")
    assert isinstance(request_of(b"{}"), Refused)
    assert isinstance(request_of(b'{"type": "sendledger.send-requested.v1"}'), Refused)
