"""The decoder of `streams/foldcore` reads what our producers write, and what Python writes again, as Python does."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.facts import Fact, decode_fact
from tests.support.any_facts import FACTS, LOG, SMS, any_facts, produced
from tests.support.foldcore import native, python, told


def test_the_log_has_all_kinds() -> None:
    """Below, no kind of event is forgotten."""
    assert {type(decode_fact(raw)) for raw in LOG} == set(FACTS)


@pytest.mark.parametrize("raw", LOG, ids=range(len(LOG)))
def test_the_usual_events_are_read(raw: bytes) -> None:
    """The events of the benchmarks, which are the product's to the byte, need no second decoder."""
    assert native(raw) == told(decode_fact(raw))


@given(produced())
def test_whatever_our_producers_write_is_read(raw: bytes) -> None:
    """Every kind of event with any text in it is accepted, and is the fact that Python reads."""
    assert native(raw) == told(decode_fact(raw))


@given(any_facts())
def test_a_fact_encoded_again_is_read(fact: Fact) -> None:
    """What Python accepts in Rust's place comes to it as msgspec writes it: accepted, and the same fact."""
    assert native(msgspec.json.encode(fact)) == told(fact)


@given(any_facts(), st.data())
def test_fields_may_stand_in_any_order(fact: Fact, data: st.DataObject) -> None:
    """Also the type behind the data that it is the type of."""
    fields = json.loads(msgspec.json.encode(fact))
    mixed = {name: fields[name] for name in data.draw(st.permutations(list(fields)))}
    mixed["data"] = {name: fields["data"][name] for name in data.draw(st.permutations(list(fields["data"])))}
    assert native(json.dumps(mixed, ensure_ascii=data.draw(st.booleans())).encode()) == told(fact)


BOUNDS = {"message_id": 64, "campaign_id": 128, "recipient_id": 64, "tracking_id": 4096}


@pytest.mark.parametrize("letter", ["a", "é", "😀"])
@pytest.mark.parametrize("name", [*BOUNDS, "id"])
def test_bounds_are_in_characters(name: str, letter: str) -> None:
    """The longest text is a fact, whatever its length in bytes; one character more is for Python to refuse."""
    fact, bound = json.loads(SMS.accepted(3)), BOUNDS.get(name, 4096)
    for length in (bound, bound + 1, 0):
        (fact["data"] if name in BOUNDS else fact)[name] = letter * length
        for raw in (json.dumps(fact).encode(), json.dumps(fact, ensure_ascii=False).encode()):
            assert native(raw) == python(raw)
