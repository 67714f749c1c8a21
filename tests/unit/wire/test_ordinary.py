"""The quick way and the general way: where the quick one answers, both say the same."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.wire import postbacks
from sendledger.wire.ordinary import read_ordinary
from sendledger.wire.postbacks import decode_postback
from tests.support.receiver import SAMPLES, receipt

FILES = sorted(path for path in SAMPLES.glob("*/*") if path.suffix == ".xml")
PIECES = (
    *(b"<NOTIFICATION", b"<POSTBACK", b"<notification", b"<X:POSTBACK", b"</NOTIFICATION>", b"</POSTBACK>", b"<BODY>"),
    *(
        b"</BODY>",
        b"<TO>15551234888</TO>",
        b"<to>1</to>",
        b"<TO/>",
        b"<CODE>N201</CODE>",
        b"<CODE> </CODE>",
        b"<Extra/>",
    ),
    *(b"<ORIGIN>SMS_MT</ORIGIN>", b"<TRACKINGID>SMS_1</TRACKINGID>", b"<STATUS>", b"</STATUS>", b"<A><B/></A>"),
    *(b'<STATUS PROTOCOL="4" STATUS="0"/>', b'<STATUS protocol="4"/>', b'<STATUS STATUS="x">', b' ID="1"', b' id=" 2"'),
    *(b' CREATED="2011-07-26 10:22:26.975911-04"', b' xmlns="u"', b' xmlns:X="u"', b">", b"/>", b" ", b"\r\n", b"text"),
    *(
        b"<!-- c -->",
        b"<![CDATA[x]]>",
        b"<?pi?>",
        b'<?xml version="1.0"?>',
        b"&amp;",
        b"&#49;",
        b"<!DOCTYPE x>",
        b"\x01",
    ),
    *(b"\xef\xbb\xbf", b"\xc3\xa4", b'="', b"<TIMESTAMP>2011-07-26 10:22:25.262743-04</TIMESTAMP>"),
)


def generally(raw: bytes) -> object:
    """What the general way alone says."""
    return postbacks._from_xml(raw) if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else None


def check(raw: bytes) -> bool:
    """Both ways agree; whether the quick one answered at all."""
    quick = read_ordinary(raw, postbacks._FORMS, postbacks._WANTED)
    if quick is None:
        return False
    assert postbacks._notification(postbacks._FORMS[quick[0]], quick[1]) == generally(raw)
    return True


@pytest.mark.parametrize("name", [str(path.relative_to(SAMPLES)) for path in FILES])
def test_each_sample_means_the_same_both_ways(name: str) -> None:
    """No sample, hostile and broken ones included, has two meanings."""
    check((SAMPLES / name).read_bytes())


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_any_pieces_mean_the_same_both_ways(raw: bytes) -> None:
    """Whatever is put together of tags, attributes, values and what XML has besides."""
    check(raw)


@given(st.sampled_from(FILES), st.data())
def test_a_sample_with_something_changed_means_the_same_both_ways(path: object, data: st.DataObject) -> None:
    """Documents that are nearly ordinary: a piece put in, or a stretch cut out or doubled."""
    raw = data.draw(st.sampled_from(FILES)).read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    end = min(len(raw), start + data.draw(st.integers(0, 40)))
    change: Callable[[], bytes] = data.draw(
        st.sampled_from(
            [
                lambda: raw[:start] + data.draw(st.sampled_from(PIECES)) + raw[start:],
                lambda: raw[:start] + raw[end:],
                lambda: raw[:end] + raw[start:],
                lambda: re.sub(rb">[^<]*<", b"><", raw, count=1),
            ]
        )
    )
    check(change())


@pytest.mark.parametrize("form", ["page/notification-sent.xml", "page/notification-receipt.xml", "1.3/delivered.xml"])
def test_what_the_provider_shows_goes_the_quick_way(form: str) -> None:
    """Else the quick way would be quick for nobody."""
    assert check((SAMPLES / form).read_bytes())
    assert check(receipt(1))


@pytest.mark.parametrize(
    "change", [b"<!-- x -->", b"<?x?>", b"<TO>1</TO>", b"<x/>", b"&amp;", b"\xc3\xa4", b"<A><B/></A>"]
)
def test_what_is_out_of_the_ordinary_is_left_to_the_general_way(change: bytes) -> None:
    """Comments, instructions, entities, names twice, other letters and more levels are decided in one place only."""
    raw = receipt(1).replace(b"<ORIGIN>", change + b"<ORIGIN>", 1)
    assert not check(raw)
    assert decode_postback(raw) == generally(raw)
