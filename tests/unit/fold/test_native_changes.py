"""The decoder of `streams/foldcore` may refuse more than Python's; what it accepts is the same fact, whatever comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendledger.domain.facts import decode_fact
from tests.support.any_facts import FACTS, LOG, VALUES, produced
from tests.support.foldcore import agrees, native

MANY = settings(max_examples=settings().max_examples * 8)

Fields = list[tuple[str, str]]
ODD = r"""
null true false nul 0 1 -0 -1 01 -01 00 1.0 1e3 1E+2 1. .5 +1 1e - NaN Infinity 1e999
2147483647 2147483648 4294967297 18446744073709551617
"" "x" "12" "\u0031\u00e9" "\ud83d\ude00ab" "\ud800" "\ude00" "\ude00\ud83d" "\ud83d\ud83d" "\ud83d\ue000"
"\ud83dx" "\ud83d\n" "\u12g4" "\u+123" "\u12 "\q" "\"
{} [1,] [,1] {"a":1,} {1:2} {"a":1,"a":2} [ { [{"a":["\n",1.5e-3]}]
"expired" "\u0065xpired" "Expired" "sent" "crash" "resend" "submit_failed" "trying"
"2026-03-01T12:00:00Z" "2026-02-29T12:00:00Z" "2026-03-01T12:00:00" "\u0032026-03-01T12:00:00Z"
"sendledger.send-accepted.v2" "send-accepted.v1" "sendledger.campaign-paused.v1"
"""
TOKENS = (
    *(*ODD.split(), *(f'"{kind.__struct_config__.tag}"' for kind in FACTS)),
    *('"\t"', '"\x1f"', '"\x7f"', "[1 2]", '{"a" 1}', "9" * 5000),
    *('"' + "y" * length + '"' for length in (64, 65, 128, 129, 4096, 4097)),
    *("[" * depth + "]" * depth for depth in (1, 31, 32, 33, 34, 2000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (1, 32, 33, 2000)),
)
NAMES = (*VALUES, "type", "data", "extra", "typ\\u0065", "message\\u005fid", "\\ud800", "a\\nb", "a\x01", "")
SPACES = (*[""] * 12, *[" "] * 4, "\n\t\r ", "\x0c", "\u00a0", "\ufeff")
PIECES = [piece.encode("latin-1") for piece in '"\\,:}{]0\xff\xc3'] + [b"null", b"\xed\xa0\x80", "😀".encode()]


INNER = "the data"  # stands for them among the envelope's fields
Parts = dict[bool, Fields]


def parts_of(raw: bytes) -> Parts:
    """The fields of the envelope (False) and of its data (True), the values as JSON."""
    plain = json.loads(raw)
    data = [(name, json.dumps(value)) for name, value in plain["data"].items()]
    return {False: [(name, INNER if name == "data" else json.dumps(plain[name])) for name in plain], True: data}


def whole(parts: Parts, spaces: tuple[str, str] = ("", "")) -> bytes:
    """The event of these parts, with white space of envelope and data between all its tokens."""
    outer, inner = (
        f"{{{space}" + f"{space},{space}".join(f'"{n}"{space}:{space}{v}' for n, v in fields) + f"{space}}}"
        for space, fields in zip(spaces, (parts[False], parts[True]), strict=True)
    )
    return (spaces[0] + outer.replace(INNER, inner) + spaces[0]).encode()


def known(raw: bytes) -> set[str]:
    """The names of the fields that are read of this event."""
    fact = decode_fact(raw)
    return {"type", "data", *fact.__struct_fields__, *fact.data.__struct_fields__}


@pytest.mark.parametrize("raw", LOG, ids=range(len(LOG)))
def test_no_other_facts_from_one_other_value(raw: bytes) -> None:
    """Each field of each event with each odd value, or left out: what Rust accepts, Python reads in the same way."""
    for inner, fields in parts_of(raw).items():
        for place, (name, _) in enumerate(fields):
            for tokens in ([], *([(name, token)] for token in TOKENS)):
                parts = parts_of(raw)
                parts[inner][place : place + 1] = tokens
                agrees(whole(parts))


@pytest.mark.parametrize("raw", LOG, ids=range(len(LOG)))
def test_a_known_field_stands_once(raw: bytes) -> None:
    """Of two, Python would have to choose; fields that are not read may stand as often as they like."""
    for inner, fields in parts_of(raw).items():
        for name, value in fields:
            for again in ((name, value), (name, "null")):
                for place in (0, len(fields)):
                    parts = parts_of(raw)
                    parts[inner].insert(place, again)
                    assert (native(whole(parts)) is None) == (name in known(raw))


@pytest.mark.parametrize("raw", LOG, ids=range(len(LOG)))
def test_a_name_in_disguise_is_still_the_name(raw: bytes) -> None:
    """Also a field whose name is written with an escape stands twice."""
    for inner, fields in parts_of(raw).items():
        for name, _ in fields:
            for place in (0, len(fields)):
                parts = parts_of(raw)
                parts[inner].insert(place, (f"\\u{ord(name[0]):04x}{name[1:]}", "null"))
                agrees(whole(parts))


@pytest.mark.parametrize("place", [b"60856", b"spring-sale", b"specversion"], ids=["skipped", "read", "a name"])
@pytest.mark.parametrize("piece", [b"\xff", b"\x80", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_what_is_no_utf_8_is_for_python(place: bytes, piece: bytes) -> None:
    """Wherever it stands: of what is not read, Python does not look at it, and has the last word."""
    assert place in LOG[0]
    assert native(LOG[0].replace(place, piece)) is None


@st.composite
def changed_fields(draw: st.DrawFn) -> bytes:
    """An event with fields swapped, doubled, left out, put in, or with other values, in other places of the text."""
    parts = parts_of(draw(st.sampled_from(LOG)))
    for _ in range(draw(st.integers(1, 3))):
        fields = parts[draw(st.booleans())]
        place, other = (draw(st.integers(0, len(fields) - 1)) for _ in range(2))
        name, value = fields[place]
        match draw(st.sampled_from(("value", "value", "swap", "double", "leave", "more", "name"))):
            case "value":
                fields[place] = (name, draw(st.sampled_from(TOKENS)))
            case "swap":
                fields[place], fields[other] = fields[other], fields[place]
            case "double":
                fields.insert(other, (name, draw(st.sampled_from((value, *TOKENS)))))
            case "leave" if len(fields) > 1:
                del fields[place]
            case "name":
                fields[place] = (draw(st.sampled_from(NAMES)), value)
            case _:
                fields.insert(place, (draw(st.sampled_from(NAMES)), draw(st.sampled_from(TOKENS))))
    return whole(parts, (draw(st.sampled_from(SPACES)), draw(st.sampled_from(SPACES))))


@st.composite
def changed_bytes(draw: st.DrawFn) -> bytes:
    """An event with bytes replaced, put in, left out, or pieces of it standing twice."""
    raw = draw(st.sampled_from(LOG) | produced())
    for _ in range(draw(st.integers(1, 3))):
        place, length = draw(st.integers(0, len(raw))), draw(st.sampled_from((1, 1, 2, 5)) | st.integers(0, 300))
        rest = raw[place + length :]
        match draw(st.sampled_from(("replace", "piece", "leave", "double", "copy"))):
            case "replace":
                raw = raw[:place] + draw(st.binary(min_size=1, max_size=1)) + raw[place + 1 :]
            case "piece":
                raw = raw[:place] + draw(st.sampled_from(PIECES)) + raw[place:]
            case "leave":
                raw = raw[:place] + rest
            case "double":
                raw = raw[: place + length] + raw[place : place + length] + rest
            case _:
                raw = raw[:place] + draw(st.sampled_from(TOKENS)).encode() + rest
    return raw


@MANY
@given(changed_fields())
def test_no_other_facts_from_changed_fields(raw: bytes) -> None:
    """Whatever the fields are and wherever they stand: what Rust accepts, Python reads in the same way."""
    agrees(raw)


@MANY
@given(changed_bytes())
@example(b"")
def test_no_other_facts_from_changed_bytes(raw: bytes) -> None:
    """Whatever has happened to the bytes: what Rust accepts, Python reads in the same way."""
    agrees(raw)
