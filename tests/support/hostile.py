"""Hostile bodies, each with its answer: the reason in the dead letters, or the claim of the event that it is.

`CANARY_FILE` and `CANARY_URL` stand where a document names a file or an address: whoever runs the cases puts in its own
and looks afterwards whether anybody has been there. Sizes are what a case needs to hurt a parser without limits; those
above 64 KiB never come so far (413), and the decoder refuses them by itself all the same.
"""

from __future__ import annotations

import gzip
import zlib

CANARY_FILE = b"/canary/file"
CANARY_URL = b"http://127.0.0.1:9/canary"
FITS = 64 * 1024

_HEAD = b'<?xml version="1.0"?>'


def notification(inside: bytes = b"", code: bytes = b"N201", to: bytes = b"15551234888", around: bytes = b"") -> bytes:
    """The page's form, with something more in its BODY and around its attributes."""
    return (
        b"<NOTIFICATION ID='1' " + around + b"><ORIGIN>SMS_MT</ORIGIN><CODE>" + code + b"</CODE><BODY><TO>" + to
        + b"</TO><TRACKINGID>SMS_1</TRACKINGID>" + inside + b"</BODY></NOTIFICATION>"
    )  # fmt: skip


def with_doctype(doctype: bytes, value: bytes = b"&x;") -> bytes:
    """A notification behind a DOCTYPE, which uses the entity x."""
    return _HEAD + doctype + notification(code=value)


def _laughs(levels: int, times: int) -> bytes:
    rows = [b'<!ENTITY l0 "ha">']
    rows += [b'<!ENTITY l%d "%b">' % (level, b"&l%d;" % (level - 1) * times) for level in range(1, levels)]
    return with_doctype(b"<!DOCTYPE NOTIFICATION [" + b"".join(rows) + b"]>", b"&l%d;" % (levels - 1))


def _nested_json(levels: int) -> bytes:
    return b'{"origin":"SMS_MT","code":"N201","to":"1","tracking-id":"a","x":' + b"[" * levels + b"]" * levels + b"}"


def _filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    return start + unit * ((FITS - len(start) - len(end)) // len(unit)) + end


_FILE, _URL = b"file://" + CANARY_FILE, CANARY_URL
_TEXT = notification().decode()
ENTITIES = {
    "billion laughs": _laughs(10, 10),
    "billion laughs in an attribute": _laughs(10, 10).replace(b"ID='1'", b"ID='&l9;'"),
    "quadratic blow-up": with_doctype(b'<!DOCTYPE a [<!ENTITY x "' + b"A" * 30_000 + b'">]>', b"&x;" * 6_000),
    "external entity, file": with_doctype(b'<!DOCTYPE a [<!ENTITY x SYSTEM "' + _FILE + b'">]>'),
    "external entity, bare path": with_doctype(b'<!DOCTYPE a [<!ENTITY x SYSTEM "' + CANARY_FILE + b'">]>'),
    "external entity, http": with_doctype(b'<!DOCTYPE a [<!ENTITY x SYSTEM "' + _URL + b'">]>'),
    "external entity, ftp": with_doctype(b'<!DOCTYPE a [<!ENTITY x SYSTEM "' + _URL.replace(b"http", b"ftp") + b'">]>'),
    "external entity, public": with_doctype(b'<!DOCTYPE a [<!ENTITY x PUBLIC "p" "' + _FILE + b'">]>'),
    "external DTD, file": with_doctype(b'<!DOCTYPE NOTIFICATION SYSTEM "' + _FILE + b'">', b"N201"),
    "external DTD, http": with_doctype(b'<!DOCTYPE NOTIFICATION SYSTEM "' + _URL + b'">', b"N201"),
    "parameter entity": with_doctype(b'<!DOCTYPE a [<!ENTITY % p SYSTEM "' + _FILE + b'"> %p;]>', b"N201"),
    "parameter entity, http": with_doctype(b'<!DOCTYPE a [<!ENTITY % p SYSTEM "' + _URL + b'"> %p;]>', b"N201"),
    "DOCTYPE behind a comment": _HEAD + b"<!-- x -->\n<?p?><!DOCTYPE a>" + notification(),
    "DOCTYPE behind a mark": b"\xef\xbb\xbf<!DOCTYPE a>" + notification(),
    "DOCTYPE in the middle": notification(b"<!DOCTYPE a>"),
    "undefined entity": notification(b"<X>&nbsp;</X>"),
}
INCLUDES = {
    "XInclude": notification(
        b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="' + _FILE + b'" parse="text"/>'
    ),
    "XInclude, http": notification(b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="' + _URL + b'"/>'),
    "schemaLocation": notification(
        around=b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x '
        + _URL + b'" xsi:noNamespaceSchemaLocation="' + _FILE + b'"'
    ),
    "instruction: a style sheet": _HEAD + b'<?xml-stylesheet type="text/xsl" href="' + _FILE + b'"?>' + notification(),
    "instruction: a model": _HEAD + b'<?xml-model href="' + _URL + b'"?>' + notification(),
    "instructions, many": b"<?p x?>" * 9_000 + b"<a/>",
    "xml:base": notification(around=b'xml:base="' + _URL + b'"'),
}  # fmt: skip
SHAPES = {
    "100,000 levels": b"<a>" * 100_000 + b"</a>" * 100_000,
    "levels that fit": b"<a>" * 9_362 + b"</a>" * 9_362,
    "255 levels": b"<a>" * 255 + b"</a>" * 255,
    "levels without end": b"<a>" * 21_000,
    "200,000 attributes": b"<a " + b" ".join(b"b%d=''" % number for number in range(200_000)) + b"/>",
    "attributes that fit": b"<a " + b" ".join(b"b%d=''" % number for number in range(6_700)) + b"/>",
    "one attribute, often": _filled(b"<a ", b"b='' ", b"/>"),
    "elements that fit": _filled(b"<a>", b"<b/>", b"</a>"),
    "name spaces that fit": b"<a " + b" ".join(b"xmlns:n%d='u'" % number for number in range(3_900)) + b"/>",
    "a long name": _filled(b"<", b"a", b"/>"),
    "huge text": notification(b"x" * 10_000_000),
    "text that fits": notification(b"<X>" + b"x" * 65_000 + b"</X>"),
    "character references that fit": _filled(b"<a>", b"&#65;", b"</a>"),
    "a huge reference": notification(b"&#99999999999999999999;"),
    "comments that fit": _filled(b"<a>", b"<!---->", b"</a>"),
    "a comment without end": _filled(b"<a><!--", b"-", b""),
    "a prolog without end": _filled(b"", b"<!-- -->", b"<!--"),
    "instructions without end": _filled(b"", b"<?p?>", b"<?"),
    "brackets without end": b"<" * FITS,
    "JSON, 100,000 levels": _nested_json(100_000),
    "JSON, levels that fit": _nested_json(32_000),
    "JSON, levels within the limit": _nested_json(500),
    "JSON, names that fit": b"{" + b",".join(b'"%d":0' % number for number in range(6_500)) + b"}",
    "JSON, one name often": b"{" + b",".join([b'"a":0'] * 10_000) + b"}",
    "JSON, digits that fit": b'{"origin":"SMS_MT","code":"N201","tracking-id":"a","to":' + b"9" * 65_000 + b"}",
}
ENCODINGS = {
    "UTF-7, declared": b'<?xml version="1.0" encoding="utf-7"?>+ADw-NOTIFICATION/+AD4-',
    "UTF-7, in a value": b'<?xml version="1.0" encoding="utf-7"?>' + notification(code=b"+AE4-201"),
    "UTF-16 with a mark": _TEXT.encode("utf-16"),
    "UTF-16 without a mark": _TEXT.encode("utf-16-le"),
    "UTF-16, the other end": _TEXT.encode("utf-16-be"),
    "UTF-16, declared only": b'<?xml version="1.0" encoding="utf-16"?>' + notification(),
    "UTF-32": _TEXT.encode("utf-32"),
    "UTF-16 with a DOCTYPE": f"<!DOCTYPE a [<!ENTITY x 'y'>]>{_TEXT}".encode("utf-16"),
    "EBCDIC": f'<?xml version="1.0" encoding="cp037"?>{_TEXT}'.encode("cp037"),
    "Latin-1, declared": b'<?xml version="1.0" encoding="latin-1"?>' + notification(b"<X>\xe4</X>"),
    "an encoding nobody has": b'<?xml version="1.0" encoding="canary"?>' + notification(),
    "NUL": notification(b"\0"),
    "NUL behind the end": notification() + b"\0",
    "NUL, referred to": notification(b"&#0;"),
    "not UTF-8": notification(b"<X>\xff\xfe</X>"),
    "half a character": notification(b"<X>\xc3</X>"),
    "overlong": notification(b"<X>\xc0\xbc</X>"),
    "a surrogate": notification(b"<X>\xed\xa0\x80</X>"),
    "JSON, UTF-16": b'{"origin":"SMS_MT"}'.decode().encode("utf-16"),
    "JSON, NUL": b'{"origin":"SMS_MT","code":"N201","to":"1","tracking-id":"a\\u0000"}',
}
FORMS = {
    "two roots": notification() + notification(),
    "trailing junk": notification() + b"junk",
    "a trailing comment": notification() + b"<!-- junk -->",
    "JSON, trailing junk": b'{"origin":"SMS_MT","code":"N201","to":"1","tracking-id":"a"} {}',
    "gzip bomb": gzip.compress(b"<a>" * 10_000_000, 9)[:FITS],
    "zlib": zlib.compress(notification()),
    "duplicate elements, the same": notification(b"<TO>15551234888</TO>"),
    "duplicate elements": notification(b"<TO>15550000000</TO>"),
    "duplicate TRACKINGID": notification(b"<TRACKINGID>SMS_2</TRACKINGID>"),
    "duplicate CODE outside": notification().replace(b"<BODY>", b"<CODE>N202</CODE><BODY>"),
    "two bodies": notification().replace(b"</BODY>", b"</BODY><BODY><TO>15550000000</TO></BODY>"),
    "duplicate attributes": notification(around=b"ID='2'"),
    "attributes by another case": notification(around=b"id='2'"),
    "CDATA": notification(code=b"<![CDATA[N201]]>"),
    "CDATA, a document in it": notification(to=b"<![CDATA[<TO>1</TO>]]>"),
    "CDATA without end": notification(b"<![CDATA["),
    "name spaces": b"<n:NOTIFICATION xmlns:n='urn:x' xmlns='urn:y'>" + notification()[22:-15] + b"</n:NOTIFICATION>",
    "name spaces, one name twice": notification(b"<n:TO xmlns:n='urn:x'>15550000000</n:TO>"),
    "a name space that is not declared": notification(b"<n:X/>"),
    "values inside a value": notification(to=b"1<TRACKINGID>SMS_9</TRACKINGID>5551234888"),
    "a number as a code": notification(code=b"15551234888"),
}
BODIES: dict[str, bytes] = {**ENTITIES, **INCLUDES, **SHAPES, **ENCODINGS, **FORMS}

NO_CLAIM = "an event without a claim"
_OF_ENTITIES = dict.fromkeys(ENTITIES, "doctype") | {"DOCTYPE in the middle": "broken", "undefined entity": "broken"}
_OF_INCLUDES = dict.fromkeys(INCLUDES, "sent") | {"instructions, many": "unknown_form"}
_OF_SHAPES = dict.fromkeys(SHAPES, "broken") | {
    "100,000 levels": "too_large",
    "200,000 attributes": "too_large",
    "huge text": "too_large",
    "JSON, 100,000 levels": "too_large",
    "255 levels": "too_deep",
    "attributes that fit": "too_wide",
    "elements that fit": "too_wide",
    "name spaces that fit": "unknown_form",
    "character references that fit": "unknown_form",
    "comments that fit": "unknown_form",
    "text that fits": "sent",
    "a prolog without end": "doctype",  # whatever else begins with `<!` before the root is taken for one
    "JSON, levels within the limit": "sent",
    "JSON, names that fit": "no_origin",
    "JSON, one name often": "no_origin",
}
_OF_ENCODINGS = dict.fromkeys(ENCODINGS, "encoding") | {
    "UTF-7, declared": "broken",
    "UTF-7, in a value": NO_CLAIM,  # read as UTF-8: a code that nobody knows
    "UTF-16 without a mark": "broken",  # as UTF-8 it has a NUL in every second place
    "UTF-16, the other end": "broken",
    "UTF-16, declared only": "sent",
    "an encoding nobody has": "sent",
    "NUL": "broken",
    "NUL behind the end": "broken",
    "NUL, referred to": "broken",
    "JSON, NUL": "bad_value",
}
_OF_FORMS = dict.fromkeys(FORMS, "broken") | {
    "a trailing comment": "sent",
    "gzip bomb": "encoding",
    "zlib": "encoding",
    "duplicate elements, the same": "sent",
    "duplicate elements": "ambiguous",
    "duplicate TRACKINGID": "ambiguous",
    "duplicate CODE outside": "ambiguous",
    "two bodies": "ambiguous",
    "attributes by another case": "ambiguous",
    "CDATA": "sent",
    "CDATA, a document in it": "sent",
    "name spaces": "sent",
    "name spaces, one name twice": "ambiguous",
    "values inside a value": "no_recipient",
    "a number as a code": NO_CLAIM,
}
ANSWERS: dict[str, str] = {**_OF_ENTITIES, **_OF_INCLUDES, **_OF_SHAPES, **_OF_ENCODINGS, **_OF_FORMS}
"""Name of a body → reason of its dead letter, claim of its event, or `NO_CLAIM`."""


def pointed(body: bytes, file: str, url: str) -> bytes:
    """The body with a real file and a real address where the canaries stand."""
    elsewhere = url.encode()
    return (
        body.replace(CANARY_FILE, file.encode())
        .replace(CANARY_URL, elsewhere)
        .replace(CANARY_URL.replace(b"http", b"ftp"), elsewhere.replace(b"http", b"ftp"))
    )
