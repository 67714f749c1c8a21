"""The provider's documents: each file under schemas/samples is read as its line in the index says."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from sendledger.wire.codes import ErrorClass
from sendledger.wire.postbacks import Notification, Undecodable, decode_postback
from sendledger.wire.provider_side import RequestFault, decode_request
from sendledger.wire.sendsms import Accepted, Failed, SendSms, Throttled, Unreadable, decode_response

SAMPLES: Final = Path(__file__).parents[3] / "schemas" / "samples"
INDEX: Final[list[dict[str, Any]]] = json.loads((SAMPLES / "index.json").read_text())
NUMBER: Final = "15551234888"
SECRETS: Final = (NUMBER, "qTFkykO9JTfahCOqJ0V2Wf5Cg1t8iWlZ", "Hello Jerry")

Read = Notification | Undecodable | Accepted | Failed | Throttled | Unreadable | SendSms | RequestFault


def read(reader: str, raw: bytes) -> Read:
    """The document as the named reader takes it."""
    match reader:
        case "postback":
            return decode_postback(raw)
        case "response":
            return decode_response(raw, NUMBER)
        case "request":
            return decode_request(raw)
        case _:
            raise AssertionError(reader)


def plain(value: object) -> object:
    """A field as JSON can write it."""
    match value:
        case datetime():
            return value.isoformat()
        case ErrorClass():
            return value.name
        case _:
            return value


def as_json(found: Read) -> dict[str, object]:
    """Kind and fields, absent ones left out."""
    values = {field.name: plain(getattr(found, field.name)) for field in fields(found)}
    return {"kind": type(found).__name__} | {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("line", INDEX, ids=lambda line: str(line["file"]))
def test_a_sample_says_what_its_clause_says(line: dict[str, Any]) -> None:
    """Each sample document is read exactly as the index says: these fields and no others."""
    found = read(line["reader"], (SAMPLES / line["file"]).read_bytes())
    assert as_json(found) == line["expect"], line["clause"]


@pytest.mark.parametrize("line", INDEX, ids=lambda line: str(line["file"]))
def test_no_sample_shows_a_number_text_or_key(line: dict[str, Any]) -> None:
    """What is read from a document never shows phone number, text or key when it is printed (P7, P8)."""
    shown = repr(read(line["reader"], (SAMPLES / line["file"]).read_bytes()))
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("line", INDEX, ids=lambda line: str(line["file"]))
def test_every_reader_survives_every_sample(line: dict[str, Any]) -> None:
    """A document that is sent to the wrong reader gives a value, never an exception."""
    raw = (SAMPLES / line["file"]).read_bytes()
    assert [read(reader, raw) for reader in ("postback", "response", "request")]


def test_the_index_is_whole() -> None:
    """Every sample of the provider's stands once in the index, with a reader and a clause, and is small."""
    listed = [line["file"] for line in INDEX]
    present = {
        str(path.relative_to(SAMPLES))
        for folder in ("page", "1.3", "v2", "broken", "hostile")
        for path in (SAMPLES / folder).iterdir()
    }
    assert sorted(listed) == sorted(present)
    assert all(line["reader"] and line["clause"] for line in INDEX)
    assert max((SAMPLES / name).stat().st_size for name in listed) < 16_000
