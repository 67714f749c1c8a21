"""XML without trust: what is refused, and that nothing else can happen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from sendledger.wire.xml import (
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    Node,
    XmlFault,
    element,
    is_xml_text,
    parse_xml,
)
from tests.unit.wire.strategies import junk


def nested(depth: int) -> bytes:
    """A document of that many levels."""
    return b"<a>" * depth + b"</a>" * depth


@pytest.mark.parametrize(
    ("fits", "too_much", "reason"),
    [
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "too_deep"),
        (
            b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>",
            b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
            "too_wide",
        ),
        (
            b"<a " + b" ".join(b"b%d=''" % n for n in range(MAX_ATTRIBUTES)) + b"/>",
            b"<a " + b" ".join(b"b%d=''" % n for n in range(MAX_ATTRIBUTES + 1)) + b"/>",
            "too_wide",
        ),
        (b"<a>" + b"x" * (MAX_BYTES - 7) + b"</a>", b"<a>" + b"x" * (MAX_BYTES - 6) + b"</a>", "too_large"),
    ],
    ids=["depth", "elements", "attributes", "bytes"],
)
def test_limits_hold_to_the_unit(fits: bytes, too_much: bytes, reason: str) -> None:
    """What is just within a limit is read and one more is refused with that limit's reason."""
    assert isinstance(parse_xml(fits), Node)
    found = parse_xml(too_much)
    assert isinstance(found, XmlFault)
    assert found.reason == reason


prolog = st.sampled_from(
    [
        "\n",
        "\ufeff",
        "<?p a?>",
        "<!-- <a> -->",
        "<?xml version='1.0'?>",
        "<!DOCTYPE a>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    ]
)
root = st.sampled_from(
    ["<a/>", "<a><!-- <!DOCTYPE a> --></a>", "<a><![CDATA[<!DOCTYPE a>]]></a>", "<a>&lt;!DOCTYPE</a>"]
)


@settings(max_examples=settings().max_examples * 3)
@given(st.lists(prolog, max_size=4), root)
def test_every_doctype_that_the_parser_would_see_is_refused(before: list[str], after: str) -> None:
    """Whatever stands before it, a DOCTYPE is refused; and the word inside a document is not taken for one."""
    raw = "".join([*before, after]).encode()
    found = parse_xml(raw)
    try:
        tree = etree.fromstring(raw.strip(), etree.XMLParser(load_dtd=False, no_network=True, resolve_entities=False))
    except etree.XMLSyntaxError:
        return
    has_doctype = tree.getroottree().docinfo.internalDTD is not None
    assert (found == XmlFault("doctype")) is has_doctype


@given(junk)
def test_any_bytes_are_a_tree_or_a_fault(raw: bytes) -> None:
    """No bytes make the parser raise."""
    assert isinstance(parse_xml(raw), Node | XmlFault)


def test_names_are_local_and_upper_and_values_trimmed() -> None:
    """Name spaces, case and blanks are gone from what is read."""
    found = parse_xml(b'<n:a xmlns:n="urn:n" n:Id=" 1 "><b>\n x </b><C> <d/> </C></n:a>')
    assert isinstance(found, Node)
    assert (found.name, found.attributes) == ("A", (("ID", "1"),))
    assert [(child.name, child.text) for child in found.children] == [("B", "x"), ("C", "")]


def test_a_tree_shows_no_content() -> None:
    """Printing a tree shows names only (P7)."""
    assert "15551234888" not in repr(parse_xml(b"<A ID='15551234888'>15551234888<B>15551234888</B></A>"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_written_element_is_read_with_the_same_value(value: str) -> None:
    """Every text that XML can carry comes back as it was, the blanks around it aside."""
    found = parse_xml(element("A", value).encode())
    if is_xml_text(value):
        assert isinstance(found, Node)
        assert found.text == value.strip()
    else:
        assert found == XmlFault("broken")


def test_a_lone_surrogate_is_no_xml_text() -> None:
    """Half of a pair of surrogates cannot be written in UTF-8 and is found out before."""
    assert not is_xml_text("\ud83d")
    assert is_xml_text("\U0001f600\t\r\n")
