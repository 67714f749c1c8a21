"""The library's rounds beside `PostbackRecords.keep`: the same records, byte for byte, or left to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds
from sendledger.edges.record import Record
from sendledger_schemas.topics import POSTBACKS
from tests.bench import traffic
from tests.support.receiver import NUMBER, SAMPLES, receipt
from tests.support.scripted_link import records_of
from tests.unit.wire.test_ordinary import PIECES

PARTITIONS = 7  # no power of two: each bit of a hash counts
RECORDS = PostbackRecords(b"canary-pepper", PARTITIONS, 'sendledger/receiver/a "name" \\ ä')
MOST = 20_000
ROUNDS = PostbackRounds(RECORDS, most_bytes=MOST)
NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
FILES = sorted(path for path in SAMPLES.glob("*/*") if path.suffix == ".xml")
CONTENTS = [path.read_bytes() for path in FILES if path.name.startswith("notification-")]
CODES = ["N201", "N202", "E201", "E202", "e202", "N999", "E2012", "", " N201 "]
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
STAMPS = st.sampled_from(
    [
        *("2011-07-26 10:22:25.262743-04", " 2011-07-26 10:22:25.262743+14 ", "2011-02-29 10:22:25.262743-04"),
        *("0001-01-01 00:00:00.000000+14", "9999-12-31 23:59:59.999999-01", "2011-07-26 24:00:00.000000-04"),
        *("2011-07-26 10:22:25.000000+00", "2011-07-26T10:22:25.262743-04", "2011-07-26 10:22:25-04", "soon", ""),
        *("2011-07-26 23:59:59.999999+99", "2011-07-26 23:59:60.000000+01", "0000-01-01 00:00:00.000000+00"),
    ]
)


def check(bodies: Sequence[bytes]) -> set[int]:
    """Each body's record is in the batch of its partition, in order, or left over; the places of the made ones."""
    came = [NOW + timedelta(microseconds=number) for number in range(len(bodies))]
    made = ROUNDS.make(bodies, came)
    found: dict[int, Record] = {}
    for ready in made.ready:
        records = records_of(ready)
        assert ready.covered == sorted(ready.covered)
        found.update(zip(ready.covered, records, strict=True))
    assert sorted([*found, *made.left]) == list(range(len(bodies)))
    for place, record in found.items():
        kept = RECORDS.keep(bodies[place], came[place])
        assert (kept.record, kept.reason, kept.odd) == (record, None, None)
    return set(found)


def page(**values: str) -> bytes:
    """A notification in the page's form with these values."""
    usual = {
        "ID": "1",
        "CREATED": "2011-07-26 10:22:26.975911-04",
        "ORIGIN": "SMS_MT",
        "CODE": "N201",
        "HISTORYID": "236990",
        "TO": NUMBER,
        "TRACKINGID": "SMS_1",
        "PROTOCOL": "4",
        "STATUS": "0",
        "TIMESTAMP": "2011-07-26 10:22:25.262743-04",
    }
    given = {**usual, **values}
    return (
        (
            '<NOTIFICATION ID="{ID}" CREATED="{CREATED}">\r\n\t<ORIGIN>{ORIGIN}</ORIGIN>\n<CODE>{CODE}</CODE><BODY>'
            "<HISTORYID>{HISTORYID}</HISTORYID><TO>{TO}</TO><TRACKINGID>{TRACKINGID}</TRACKINGID>"
            '<STATUS PROTOCOL="{PROTOCOL}" STATUS="{STATUS}"/><TIMESTAMP>{TIMESTAMP}</TIMESTAMP></BODY></NOTIFICATION>'
        )
        .format(**given)
        .encode()
    )


def test_a_round_of_samples_is_what_keep_makes() -> None:
    """All forms side by side; the page's own are made, whatever else there is is left."""
    made = check([path.read_bytes() for path in FILES])
    assert {FILES[place].name for place in made} >= {"notification-sent.xml", "notification-receipt.xml"}


def test_each_status_of_each_code_is_what_keep_makes() -> None:
    """Every number of a byte means the same in the library; what nobody announced it leaves."""
    bodies = [page(CODE=code, STATUS=str(status)) for code in CODES for status in range(-1, 258)]
    made = check(bodies)
    assert len(made) > 500
    assert all(RECORDS.keep(bodies[place], NOW).odd is None for place in made)


def test_what_the_bench_posts_is_made() -> None:
    """Receipts by the hundred, over all partitions, in several batches of one where they are too many bytes."""
    bodies = [traffic.postback(number, number, receipt=number % 2 == 0) for number in range(500)]
    assert check(bodies) == set(range(500))
    ready = ROUNDS.make(bodies, [NOW] * 500).ready
    assert {one.partition for one in ready} == set(range(PARTITIONS))
    assert len(ready) > PARTITIONS
    assert {one.topic for one in ready} == {POSTBACKS}


@given(st.lists(st.binary(max_size=300) | st.just(receipt(1)) | st.sampled_from(CONTENTS)))
def test_any_bytes_are_made_alike_or_left(bodies: list[bytes]) -> None:
    """Whatever comes, in whatever company: also nothing, and empty bodies."""
    check(bodies)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("ID", "HISTORYID", "TRACKINGID", "ORIGIN", "PROTOCOL"), VALUES),
            "CREATED": STAMPS,
            "TIMESTAMP": STAMPS,
            "CODE": st.sampled_from(CODES),
            "STATUS": st.integers(0, 300).map(str) | VALUES,
            "TO": VALUES | st.from_regex(r"[+0 ]{0,3}[0-9]{0,24} ?", fullmatch=True),
        },
    )
)
def test_any_values_in_the_page_s_form_are_made_alike_or_left(values: dict[str, str]) -> None:
    """Values that need escapes, are too long, empty, or mean nothing."""
    check([page(**values)])


@given(st.sampled_from([*CONTENTS, receipt(1)]), st.data())
def test_a_sample_with_something_changed_is_made_alike_or_left(raw: bytes, data: st.DataObject) -> None:
    """Documents that are nearly in the form: a piece put in, a stretch cut out, doubled, or one byte another."""
    start = data.draw(st.integers(0, len(raw)))
    end = min(len(raw), start + data.draw(st.integers(0, 40)))
    put = data.draw(st.sampled_from(PIECES) | st.binary(max_size=2))
    check(
        [
            raw[:start] + put + raw[start:],
            raw[:start] + raw[end:],
            raw[:end] + raw[start:],
            raw[:start] + put + raw[end:],
        ]
    )


@pytest.mark.parametrize("length", [128, 129])
def test_an_id_of_the_greatest_length_is_the_last_that_is_made(length: int) -> None:
    """Longer ones are no ids, and dead letters."""
    assert bool(check([page(HISTORYID="9" * length)])) == (length == 128)


def test_a_body_of_any_length_and_blanks_between_tags_is_made_alike_or_left() -> None:
    """Each length of a document takes its own way through the hash's blocks."""
    assert check([re.sub(rb"><", b">" + b" " * blanks + b"<", page(), count=1) for blanks in range(200)]) == set(
        range(200)
    )
    assert not check([page() + b" " * 4096])
