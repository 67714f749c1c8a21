"""XML in and out, without trust: the only place that knows lxml.

A document becomes a tree of plain values with upper-case local names, or a fault with a reason from a closed list.
No fault carries content: a document may hold phone numbers, texts and keys (P7, P8). How the parser is set is
DESIGN §7; limits on depth and width are ours, far above anything that the provider's page shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lxml import etree

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_ELEMENTS = 256
MAX_ATTRIBUTES = 16

XmlReason = Literal["empty", "too_large", "encoding", "doctype", "broken", "too_deep", "too_wide"]

_BOM = b"\xef\xbb\xbf"
_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A bare carriage return would be read back as a line feed (XML 1.0, section 2.11).
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
_ESCAPED = re.compile(f"[{''.join(map(chr, _ESCAPES))}]")


class Node(NamedTuple):
    """One element: upper-case local name, attributes with upper-case names, trimmed text (of leaves only).

    A named tuple, because a frozen dataclass takes four times as long to make, and each postback needs a dozen.
    """

    name: str
    attributes: tuple[tuple[str, str], ...]
    text: str
    children: tuple[Node, ...]

    def __repr__(self) -> str:
        return f"Node({self.name}, {len(self.children)} children)"


@dataclass(frozen=True, slots=True)
class XmlFault:
    """Why a document is none that we read."""

    reason: XmlReason


def parse_xml(raw: bytes) -> Node | XmlFault:
    """The tree of a document of at most 64 KiB of UTF-8, whatever its declaration says; never raises."""
    if len(raw) > MAX_BYTES:
        return XmlFault("too_large")
    body = raw.strip().removeprefix(_BOM).strip()
    if not body:
        return XmlFault("empty")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return XmlFault("encoding")
    if _has_doctype(text):
        return XmlFault("doctype")
    try:
        root = etree.fromstring(body, new_parser())
    except (etree.LxmlError, ValueError):
        return XmlFault("broken")
    return _Elements().node(root, 1)


def escape(value: str) -> str:
    """A value as it stands between two tags or in double quotes."""
    return value.translate(_ESCAPES) if _ESCAPED.search(value) else value  # most have nothing to escape


def element(name: str, value: str) -> str:
    """`<NAME>value</NAME>`, with nothing added."""
    return f"<{name}>{escape(value)}</{name}>"


def is_xml_text(value: str) -> bool:
    """Whether XML 1.0 can carry each character of it (section 2.2: no control characters, no lone surrogates)."""
    return _NOT_XML.search(value) is None


def new_parser() -> etree.XMLParser:
    """A parser for one document, set as DESIGN §7 says. The bytes have been looked at for a DOCTYPE before."""
    # `decompress` is newer than lxml's published types. Comments and instructions are dropped while parsing, so that
    # they cannot split a value in two.
    return etree.XMLParser(  # type: ignore[call-arg]
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        decompress=False,
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
    )


def _has_doctype(text: str) -> bool:
    # A DOCTYPE can only stand between the prolog and the root, and nothing else that begins with `<!` can. It is
    # refused before libxml2 sees it: entities in attribute values are expanded whatever the parser's settings.
    prolog = _PROLOG.match(text)
    return text.startswith("<!", prolog.end() if prolog else 0)


class _Elements:
    """One walk over a document: its nodes, and whether it is larger than what we read."""

    def __init__(self) -> None:
        self._left = MAX_ELEMENTS

    def node(self, found: etree._Element, depth: int) -> Node | XmlFault:
        self._left -= 1
        if depth > MAX_DEPTH:
            return XmlFault("too_deep")
        if self._left < 0:
            return XmlFault("too_wide")
        attributes: tuple[tuple[str, str], ...] = ()
        if count := len(found.attrib):
            if count > MAX_ATTRIBUTES:  # before their values are asked for: that takes the square of their number
                return XmlFault("too_wide")
            attributes = tuple([(_local(str(name)), str(value).strip()) for name, value in found.items()])
        tag: object = found.tag
        if not isinstance(tag, str):
            return XmlFault("broken")  # an entity that nobody resolves; there is none without a DOCTYPE
        name = _local(tag)
        if len(found) == 0:
            return Node(name, attributes, (found.text or "").strip(), ())
        children: list[Node] = []
        for child in found:
            below = self.node(child, depth + 1)
            if isinstance(below, XmlFault):
                return below
            children.append(below)
        return Node(name, attributes, "", tuple(children))


def _local(name: str) -> str:
    return (name.rpartition("}")[2] if "}" in name else name).upper()
