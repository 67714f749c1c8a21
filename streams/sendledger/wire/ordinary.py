"""The quick way through an ordinary postback: what the page and 1.3 show, in plain ASCII, two levels deep.

The parser is the same lxml, set the same way (xml.py); what is saved is the general tree and the rules for what nobody
sends. Whatever is out of the ordinary (a comment, an entity, a name twice, a name in lower case, other
letters, too many of anything, broken XML) is None here, and decided by the general way alone: so each document has one
meaning, and that both ways agree where this one answers is tested (tests/unit/wire/test_ordinary.py).

The page's own two notifications, to the letter and in printable ASCII without `&`, `<`, `>` and quotes in their values,
are well-formed by their shape alone: one regular expression reads them (1.5 µs; the parser and its tree take 10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from sendledger.wire.xml import MAX_BYTES, new_parser

_MOST_TAGS = 64  # opening and closing ones: far below MAX_ELEMENTS
_MOST_EQUALS = 12  # so no element can have MAX_ATTRIBUTES
_DECLARATION = re.compile(rb"""<\?xml version=(?:'1\.0'|"1\.0")\s*\?>""")
_EXTRAORDINARY = (b"<!", b"<?", b"&")
_BLANK = r"[ \t\r\n]"
_VALUE = r"([ !#-%'-;=?-~]*)"  # printable ASCII that needs no escape, neither between tags nor in quotes
_PAGE = re.compile(
    (
        rf'_*<NOTIFICATION_+(?:ID|id)="{_VALUE}"_+(?:CREATED|created)="{_VALUE}"_*>_*'
        rf"<ORIGIN>{_VALUE}</ORIGIN>_*<CODE>{_VALUE}</CODE>_*<BODY>_*"
        rf"<HISTORYID>{_VALUE}</HISTORYID>_*<TO>{_VALUE}</TO>_*<TRACKINGID>{_VALUE}</TRACKINGID>_*"
        rf'(?:<STATUS_+PROTOCOL="{_VALUE}"_+STATUS="{_VALUE}"_*/>_*)?'
        rf"<TIMESTAMP>{_VALUE}</TIMESTAMP>_*</BODY>_*</NOTIFICATION>_*"
    ).replace("_", _BLANK)
)
_PAGE_NAMES = (
    *("@ID", "@CREATED", "ORIGIN", "CODE", "HISTORYID", "TO", "TRACKINGID"),
    *("STATUS@PROTOCOL", "STATUS@STATUS", "TIMESTAMP"),
)
_ROOT_ATTRIBUTES = {"ID": "@ID", "id": "@ID", "CREATED": "@CREATED", "created": "@CREATED"}
_STATUS_ATTRIBUTES = {"PROTOCOL": "STATUS@PROTOCOL", "STATUS": "STATUS@STATUS"}


class _OutOfTheOrdinary(Exception):
    pass


def read_page(raw: bytes) -> dict[str, str] | None:
    """The named values of one of the page's two notifications, as `gather` tells them; None for any other bytes."""
    if not raw.isascii() or (shape := _PAGE.fullmatch(raw.decode("ascii"))) is None:
        return None
    found: dict[str, str] = {}
    for name, value in zip(_PAGE_NAMES, shape.groups(), strict=True):
        if value and (trimmed := value.strip()):
            found[name] = trimmed
    return found


def read_ordinary(raw: bytes, roots: Iterable[str], wanted: frozenset[str]) -> tuple[str, dict[str, str]] | None:
    """The root's name, one of `roots`, and the wanted names with their trimmed values, as `gather` tells them.

    None: this document is none for the quick way. Never raises.
    """
    if raw.startswith(b"<?xml") and (declared := _DECLARATION.match(raw)):
        raw = raw[declared.end() :]
    if len(raw) > MAX_BYTES or not raw.isascii() or raw.count(b"<") > _MOST_TAGS or raw.count(b"=") > _MOST_EQUALS:
        return None
    for sign in _EXTRAORDINARY:
        if sign in raw:
            return None
    found: dict[str, str] = {}
    try:
        root = etree.fromstring(raw.strip(), new_parser())
        name = root.tag
        if name not in roots:
            return None
        _attributes(root, _ROOT_ATTRIBUTES, found)
        for child in root:
            if child.tag == "BODY":
                for grandchild in child:
                    _leaf(grandchild, wanted, found)
            else:
                _leaf(child, wanted, found)
    except (etree.LxmlError, ValueError, _OutOfTheOrdinary):
        return None
    return name, found


def _leaf(element: etree._Element, wanted: frozenset[str], found: dict[str, str]) -> None:
    name = element.tag
    if name not in wanted and not name.isupper():
        raise _OutOfTheOrdinary
    if len(element):
        raise _OutOfTheOrdinary
    if name == "STATUS":
        _attributes(element, _STATUS_ATTRIBUTES, found)
    if name in wanted and (value := (element.text or "").strip()) and found.setdefault(name, value) is not value:
        raise _OutOfTheOrdinary


def _attributes(element: etree._Element, names: dict[str, str], found: dict[str, str]) -> None:
    for attribute, value in element.items():
        name = names.get(str(attribute))
        if name is None:
            raise _OutOfTheOrdinary
        if (trimmed := str(value).strip()) and found.setdefault(name, trimmed) is not trimmed:
            raise _OutOfTheOrdinary
