"""Made-up requests, notices and documents for the properties of the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from sendledger.wire.provider_side import FLAT_STATUS, Notice
from sendledger.wire.sendsms import SendSms

digits = st.text("0123456789", min_size=6, max_size=15).filter(lambda text: not text.startswith("00"))
ids = st.text("ABCDEFabcdef0123456789_=-", min_size=1, max_size=40)
texts = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=160)
    .map(str.strip)
    .filter(bool)
)
instants = st.datetimes(datetime(2011, 1, 1), datetime(2037, 1, 1)).map(lambda when: when.replace(tzinfo=UTC))  # noqa: DTZ001  # made aware at once
offsets = st.integers(-12, 14)
requests = st.builds(
    SendSms,
    api_key=ids,
    to=digits,
    sender=ids,
    text=texts,
    operator_id=st.none() | ids,
    campaign_ref=st.none() | digits,
)


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """A notice with a code and a text that belong together, created after its time stamp."""
    code, text = draw(st.sampled_from(sorted(FLAT_STATUS.values())))
    timestamp = draw(instants)
    return Notice(
        to=draw(digits),
        tracking_id=draw(ids),
        history_id=draw(ids),
        notification_id=draw(ids),
        timestamp=timestamp,
        created=timestamp + timedelta(microseconds=draw(st.integers(0, 10**9))),
        code=code,
        status_text=text,
        operator_id=draw(st.none() | ids),
    )


fragments = st.sampled_from(
    [
        b"<NOTIFICATION ID='1'>",
        b"<NOTIFICATION id=' 1 ' created='2011-07-26 10:22:26-04'>",
        b"</NOTIFICATION>",
        b"<POSTBACK>",
        b"</POSTBACK>",
        b"<RESPONSE>",
        b"</RESPONSE>",
        b"<REQUEST>",
        b"</REQUEST>",
        b"<BODY>",
        b"</BODY>",
        b"<ORIGIN>SMS_MT</ORIGIN>",
        b"<CODE>N201</CODE>",
        b"<CODE>E202</CODE>",
        b"<TO>15551234888</TO>",
        b"<TRACKINGID>SMS_1</TRACKINGID>",
        b"<STATUS PROTOCOL='4' STATUS='70'/>",
        b"<STATUS>Success</STATUS>",
        b"<STATUS>Failure</STATUS>",
        b"<ERRORCODE>E106</ERRORCODE>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"<!-- -->",
        b"<?p?>",
        b"&b;",
        b"<![CDATA[",
        b"]]>",
        b'{"origin":"SMS_MT","code":"N201",',
        b'"to":15551234888,',
        b'"tracking-id":"a"}',
        b"\xef\xbb\xbf",
        b"\xff",
        b"\x00",
    ]
)
junk = st.binary(max_size=300) | st.lists(fragments | st.binary(max_size=4), max_size=14).map(b"".join)
