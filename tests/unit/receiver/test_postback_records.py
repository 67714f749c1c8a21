"""From any body to a record: the fast encoding is the contract's, and no bytes escape it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.dead_letters import RECEIVED_AT
from sendledger.edges.postback_records import PostbackRecords
from sendledger_schemas import ids
from sendledger_schemas.envelope import decode, encode, event
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import POSTBACKS, dlq
from tests.support.receiver import NUMBER, SAMPLES, receipt

PEPPER = b"canary-pepper"
RECORDS = PostbackRecords(PEPPER, 8, "sendledger/receiver/r-1")
NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
FILES = sorted(path for path in SAMPLES.glob("*/*") if not path.name.startswith(("request", "response")))


def check(body: bytes) -> None:
    """The record of a body keeps it whole, in an event that the contract reads and writes alike, or a dead letter."""
    kept = RECORDS.keep(body, NOW)
    if kept.reason is not None:
        headers = dict(kept.record.headers)
        assert (kept.record.topic, kept.record.key, kept.record.value) == (dlq(POSTBACKS), None, body)
        assert headers["__streams.errors.message"] == kept.reason.encode()
        assert headers[RECEIVED_AT] == b"2026-03-01T12:00:00.000005Z"
        return
    read = decode(kept.record.value)
    assert isinstance(read.data, PostbackReceived)
    assert (read.data.raw.encode(), read.data.received_at, read.time) == (body, NOW, NOW)
    slow = event(read.data, id=ids.body_id(body), source=RECORDS.source, time=NOW)
    assert encode(slow) == kept.record.value


@pytest.mark.parametrize("name", [str(path.relative_to(SAMPLES)) for path in FILES])
def test_each_sample_becomes_the_contract_s_bytes(name: str) -> None:
    """What the fast encoder writes is, byte for byte, what the one definition of the event writes."""
    check((SAMPLES / name).read_bytes())


@given(st.binary(max_size=300))
def test_any_bytes_become_a_record(body: bytes) -> None:
    """Nothing that comes from outside raises."""
    check(body)


@given(
    to=st.text(max_size=30),
    tracking=st.text(max_size=40),
    code=st.text(max_size=10),
    origin=st.sampled_from(["SMS_MT", "SMS_MO", "SUB", ""]),
    time=st.sampled_from(["2011-07-26 10:22:25.262743-04", "0001-01-01 00:00:00+14", "soon", ""]),
)
def test_any_values_in_a_readable_document_become_a_record(
    to: str, tracking: str, code: str, origin: str, time: str
) -> None:
    """Whatever stands between the tags, the event is the contract's; what cannot be one is a dead letter."""
    document = (
        f"<POSTBACK><ORIGIN>{origin}</ORIGIN><CODE>{code}</CODE><TO>{to}</TO>"
        f"<TRACKINGID>{tracking}</TRACKINGID><TIMESTAMP>{time}</TIMESTAMP></POSTBACK>"
    )
    check(document.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("written", [NUMBER, f" {NUMBER} ", f"+{NUMBER}", f"00{NUMBER}"])
def test_every_spelling_of_a_number_is_one_recipient(written: str) -> None:
    """All facts about a recipient meet in one partition, however the provider writes the number."""
    kept = RECORDS.keep(receipt(1, to=written), NOW)
    recipient = ids.recipient_id(PEPPER, NUMBER)
    assert kept.record.key == recipient.encode()
    assert kept.record.partition == ids.partition_of(recipient, 8)


def test_a_body_that_comes_again_is_the_same_event() -> None:
    """The id is a function of the bytes alone, so a repeated delivery can be seen as one."""
    first, again = (decode(RECORDS.keep(receipt(1), at).record.value).id for at in (NOW, datetime.now(UTC)))
    other = decode(RECORDS.keep(receipt(2), NOW).record.value).id
    assert first == again != other


def test_nothing_personal_is_in_its_repr() -> None:
    """Neither the maker nor what it made quotes the pepper, the number or the body (P7, P8)."""
    told = repr(RECORDS) + repr(RECORDS.keep(receipt(1), NOW)) + repr(RECORDS.keep(b"<x>" + NUMBER.encode(), NOW))
    assert "canary" not in told
    assert NUMBER not in told
