"""No text of ours makes a spreadsheet calculate, in Python's words and in DuckDB's (OWASP: CSV injection)."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendledger.domain.spreadsheet import safe_sql, safe_text

_RISKY = st.text(st.sampled_from("=+-@\t\r\n;,|\"' \u00a0\uff1d\uff0b\uff0d\uff20ax1ą😀"), max_size=12)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+4912", "'+4912"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\t=1", "'\t'=1"),
        ('"=1', "\"'=1"),
        ("'=1", "''=1"),
        ('a","=1', 'a","\'=1'),
        ("a;=1", "a;'=1"),
        ("a\n=1", "a\n'=1"),
        ("  =1", "  '=1"),
        ("\uff1d1", "'\uff1d1"),
        ("tp_0x46", "tp_0x46"),
        ("a-b", "a-b"),
        ("x = 1", "x = 1"),
        ("", ""),
    ],
)
def test_what_would_be_calculated_gets_an_apostrophe(text: str, safe: str) -> None:
    """At the beginning, and behind whatever another reader may take for a separator or a quote; nowhere else."""
    assert safe_text(text) == safe


@settings(max_examples=300)
@given(_RISKY)
def test_duckdb_says_the_same(text: str) -> None:
    """What is exported by DuckDB is as safe as what Python writes."""
    found = duckdb.execute(f"SELECT {safe_sql('?')}", [text]).fetchone()
    assert found == (safe_text(text),)
    assert not safe_text(text).startswith(("\t", "\r"))
    assert not safe_text(text).lstrip(" \u00a0").startswith(("=", "+", "-", "@"))
