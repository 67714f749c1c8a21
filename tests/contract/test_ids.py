"""Ids are what the standards say, however quickly they are made."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from sendledger_schemas import ids


def plainly(digest: bytes) -> str:
    """The first 16 bytes as the standard library writes them."""
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


@given(st.binary(min_size=8, max_size=64), st.text(st.characters(codec="ascii"), max_size=20), st.binary(max_size=99))
def test_ids_are_base_32_of_the_standard_s_hashes(pepper: bytes, to: str, body: bytes) -> None:
    """RFC 4648 without padding, in lower case, of HMAC-SHA256 and SHA-256."""
    keyed = hmac.new(pepper, ids.digits_of(to).encode(), hashlib.sha256).digest()
    assert ids.recipient_id(pepper, to) == plainly(keyed)
    assert ids.body_id(body) == plainly(hashlib.sha256(body).digest())
