"""STATUS numbers: each byte of GSM 03.40 has one claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendledger.wire.postbacks import Notification, decode_postback
from sendledger.wire.tpstatus import Said, knows, read_status

RANGES = [
    (0x00, 0x1F, "delivered"),
    (0x20, 0x3F, "trying"),
    (0x40, 0x5F, "undelivered"),
    (0x60, 0x7F, "undelivered"),
    (0x80, 0xFF, "undelivered"),
]


@pytest.mark.parametrize(("first", "last", "claim"), RANGES)
def test_every_byte_has_the_claim_of_its_range(first: int, last: int, claim: str) -> None:
    """All 256 numbers of protocol 4 are read as PROVIDER.md's ranges say, with the number as the detail."""
    for number in range(first, last + 1):
        assert read_status("4", str(number)) == Said(claim, f"tp_0x{number:02x}")  # type: ignore[arg-type]  # a row of the table


@pytest.mark.parametrize("protocol", [None, "", "3", "04x", "40", "four"])
def test_an_unknown_protocol_says_delivered_or_sent(protocol: str | None) -> None:
    """Under a protocol that we do not know 0 is delivered and any other number stays a sent claim."""
    assert read_status(protocol, "0") == Said("delivered", None)
    assert {read_status(protocol, str(number)) for number in range(1, 256)} == {Said("sent", "other")}


@pytest.mark.parametrize("status", [None, "", "256", "1000000000000", "-1", "0x46", "4 6", "٤", "1.0"])
@pytest.mark.parametrize("protocol", ["4", "9"])
def test_what_is_no_byte_stays_sent(protocol: str, status: str | None) -> None:
    """A STATUS that is no decimal byte says no more than the code N201 does."""
    assert read_status(protocol, status) == Said("sent", "other")
    assert not knows(protocol, status)


@given(st.integers(0, 255), st.sampled_from(["", " ", "\t"]), st.sampled_from(["", "0", "00"]))
def test_blanks_and_zeros_change_nothing(number: int, blank: str, zeros: str) -> None:
    """Blanks around PROTOCOL and STATUS and leading zeros do not change what is read."""
    padded = read_status(f"{blank}{zeros}4{blank}", f"{blank}{zeros}{number}{blank}")
    assert padded == read_status("4", str(number))


# What GSM 03.40, 9.2.3.15, names; the rest of each range is reserved or specific to the carrier.
NAMED = {
    "delivered": [0x00, 0x01, 0x02],
    "trying": [0x20, 0x21, 0x22, 0x23, 0x24, 0x25],
    "undelivered": [*range(0x40, 0x4A), *range(0x60, 0x66)],
}


@pytest.mark.parametrize(
    "form", ['<STATUS PROTOCOL="4" STATUS="{}"/>', '<Status protocol=" 04" status="{} "></Status>']
)
def test_every_number_of_a_receipt_has_its_claim(form: str) -> None:
    """All 256 documents, from the bytes on: one claim each, nothing left without, number and protocol kept."""
    claims: dict[str, list[int]] = {}
    for number in range(256):
        found = decode_postback(
            f'<NOTIFICATION ID="1" CREATED="2011-07-26 10:22:26-04"><ORIGIN>SMS_MT</ORIGIN><CODE>N201</CODE><BODY>'
            f"<TO>1</TO><TRACKINGID>a</TRACKINGID>{form.format(number)}</BODY></NOTIFICATION>".encode()
        )
        assert isinstance(found, Notification)
        assert (int(found.protocol or ""), int(found.status or "")) == (4, number)
        assert found.detail == f"tp_0x{number:02x}"
        claims.setdefault(str(found.claim), []).append(number)
    assert {claim: len(numbers) for claim, numbers in claims.items()} == {
        "delivered": 32,
        "trying": 32,
        "undelivered": 192,
    }
    assert all(set(numbers) <= set(claims[claim]) for claim, numbers in NAMED.items())
