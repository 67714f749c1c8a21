"""Dead letters as values: the headers of KIP-1034, what a retry makes of them, and that no number is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sendledger.edges.dead_letter_office import Letter, Wanted, readable
from sendledger.edges.dead_letters import RECEIVED_AT, DeadLetter, as_record
from sendledger.edges.letter_text import masked, revealed
from sendledger.edges.postback_records import PostbackRecords
from sendledger_schemas import ids
from sendledger_schemas.envelope import decode, encode, event
from sendledger_schemas.postbacks import PostbackReceived, ReceiverAway
from sendledger_schemas.topics import POSTBACKS, RECEIVERS, SEND_REQUESTS
from tests.support.receiver import NUMBER, receipt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORDS = PostbackRecords(b"canary-pepper", 8, "retry")


RECIPIENT = ids.recipient_id(RECORDS.pepper, NUMBER).encode()


def letter(
    value: bytes,
    source: str = POSTBACKS,
    place: tuple[int, int] | None = None,
    key: bytes = RECIPIENT,
    **headers: bytes,
) -> Letter:
    """A letter about a body, or about the record at a place."""
    named = tuple((name.replace("_", "-"), content) for name, content in headers.items())
    partition, offset = place or (None, None)
    return Letter(source, 17, NOW, "E", "r", partition, offset, len(value), key=key, value=value, headers=named)


def test_a_letter_is_the_untouched_record_with_five_headers() -> None:
    """Key, value and headers stay as they came; behind them stand error, reason and place."""
    record = as_record(DeadLetter("t.v1", "E", "why", b"k", b"\xff", (("content-type", b"x"),), 3, 99))
    assert (record.topic, record.partition, record.key, record.value) == ("t.v1.dlq", 0, b"k", b"\xff")
    assert record.headers == (
        ("content-type", b"x"),
        ("__streams.errors.exception", b"E"),
        ("__streams.errors.message", b"why"),
        ("__streams.errors.topic", b"t.v1"),
        ("__streams.errors.partition", b"3"),
        ("__streams.errors.offset", b"99"),
    )


def test_a_body_that_was_never_a_record_has_no_place() -> None:
    """A postback that came by HTTP has neither partition nor offset, and none is made up."""
    names = [name for name, _ in as_record(DeadLetter("t.v1", "E", "why", None, b"")).headers]
    assert names == ["__streams.errors.exception", "__streams.errors.message", "__streams.errors.topic"]


def test_its_repr_quotes_nothing() -> None:
    """A dead letter in a log or a traceback shows no key, value or header (P7)."""
    dead = DeadLetter("t.v1", "E", "why", b"canary", b"canary", (("h", b"canary"),))
    assert "canary" not in repr(dead) + repr(letter(b"canary", h=b"canary"))


def test_a_body_that_can_be_read_by_now_keeps_its_time_of_arrival() -> None:
    """After a fix of the decoder the event says when the postback came, not when it was brought in."""
    came = NOW - timedelta(days=1)
    old = Letter(
        POSTBACKS,
        1,
        NOW,
        "E",
        "r",
        None,
        None,
        1,
        value=receipt(1),
        headers=((RECEIVED_AT, came.isoformat().encode()),),
    )
    record = readable(old, RECORDS)
    assert record
    data = decode(record.value).data
    assert isinstance(data, PostbackReceived)
    assert data.received_at == came


def test_a_record_goes_back_to_where_it_stood() -> None:
    """Topic, partition, key, value and its own headers are as before; ours are left behind."""
    value = RECORDS.keep(receipt(1), NOW).record.value
    back = readable(letter(value, place=(3, 99), content_type=b"x"), RECORDS)
    assert back
    assert (back.topic, back.partition, back.key, back.value) == (POSTBACKS, 3, RECIPIENT, value)
    assert back.headers == (("content-type", b"x"),)


def test_what_would_be_a_dead_letter_again_is_not_brought_in() -> None:
    """Still unreadable, on the wrong topic, under another key, a body of a topic that takes none: it stays there."""
    away = ReceiverAway(from_=NOW, to=NOW, receiver="r")
    elsewhere = encode(event(away, id="x", source="s", time=NOW))
    assert readable(letter(b"<broken>"), RECORDS) is None
    assert readable(letter(b"{}", place=(0, 0)), RECORDS) is None
    assert readable(letter(elsewhere, place=(0, 0)), RECORDS) is None
    assert readable(letter(receipt(1), source=SEND_REQUESTS), RECORDS) is None
    assert readable(letter(RECORDS.keep(receipt(1), NOW).record.value, place=(0, 0), key=b"another"), RECORDS) is None
    assert readable(letter(elsewhere, source=RECEIVERS, place=(0, 0)), RECORDS) is not None


@pytest.mark.parametrize(
    "body",
    [
        receipt(1) + b"<",
        b"<TO>+1 (555) 123-4888</TO>",
        b'{"to": 15551234888',
        NUMBER.encode("utf-16"),
        NUMBER.encode("utf-16-le"),
        b"\xff" + NUMBER.encode(),
        NUMBER.encode("cp500"),
        "".join(chr(0xFF10 + int(digit)) for digit in NUMBER).encode(),
    ],
)
def test_no_number_is_shown_whole(body: bytes) -> None:
    """However it is written or encoded, at most the last three digits of a number can be seen (P7)."""
    shown = masked(body)
    digits = "".join(char for char in shown if char.isdigit())
    assert NUMBER not in digits
    assert NUMBER[:8] not in digits
    assert "4123" not in shown


def test_masking_leaves_what_tells_the_fault() -> None:
    """Elements, codes and short numbers stay readable."""
    shown = masked(b'<x a="4"><CODE>N201</CODE><TO>15551234888</TO>')
    assert shown == '<x a="4"><CODE>N201</CODE><TO>********888</TO>'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<TEXT>canary</TEXT><TO>15551234888</TO>", "<TEXT>***</TEXT><TO>********888</TO>"),
        (b'<n:text a="b">canary', '<n:text a="b">***'),
        (b'{"message-text": "can\\"ary", "to": "15551234888"}', '{"message-text": "***", "to": "********888"}'),
        (b'{"text":"canary', '{"text":"***'),
        (b"<API_KEY>canary</API_KEY>", "<API_KEY>***</API_KEY>"),
        (b"<CONTEXT>kept</CONTEXT>", "<CONTEXT>kept</CONTEXT>"),
    ],
)
def test_texts_and_keys_are_hidden_where_they_can_be_told(body: bytes, shown: str) -> None:
    """The text of a message that came in, or of a request, is not shown either, closed or not (P7)."""
    assert masked(body) == shown


def test_what_is_revealed_is_harmless_to_a_terminal() -> None:
    """Asked for, numbers and texts come as they are; control characters come as escapes, and any bytes come."""
    shown = revealed(b"<TO>15551234888</TO><TEXT>hi</TEXT>\x1b]0;owned\x07\xff")
    assert shown == "<TO>15551234888</TO><TEXT>hi</TEXT>\\x1b]0;owned\\x07\\xff"


def test_a_filter_takes_what_fits_all_of_it() -> None:
    """Names, topics, a part of the reason, the time and the state, each by itself."""
    it = letter(b"", place=None)
    fits = [Wanted(), Wanted(names=[it.name]), Wanted(topics=[POSTBACKS]), Wanted(reason="R"), Wanted(since=NOW)]
    fails = [
        Wanted(names=["x"]),
        Wanted(topics=[RECEIVERS]),
        Wanted(reason="x"),
        Wanted(since=NOW + timedelta(seconds=1)),
        Wanted(state="brought-in"),
    ]
    assert [wanted.takes(it) for wanted in (*fits, Wanted(state="open"))] == [True] * 6
    assert [wanted.takes(it) for wanted in fails] == [False] * 5
