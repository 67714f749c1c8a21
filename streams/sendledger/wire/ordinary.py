"""The quick way through an ordinary postback: what the page and 1.3 show, in plain ASCII, two levels deep.

The parser is the same lxml, set the same way (xml.py); what is saved is the general tree and the rules for what nobody
sends. Whatever is out of the ordinary (a comment, an entity, a name twice, a name in lower case, other
letters, too many of anything, broken XML) is None here, and decided by the general way alone: so each document has one
meaning, and that both ways agree where this one answers is tested (tests/unit/wire/test_ordinary.py).
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
_ROOT_ATTRIBUTES = {"ID": "@ID", "id": "@ID", "CREATED": "@CREATED", "created": "@CREATED"}
_STATUS_ATTRIBUTES = {"PROTOCOL": "STATUS@PROTOCOL", "STATUS": "STATUS@STATUS"}


class _OutOfTheOrdinary(Exception):
    pass


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
