"""CloudEvents 1.0 in structured JSON: the envelope of every event on the log (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationError
from pydantic_core import from_json, to_json

from sendledger_schemas.fields import Instant, format_instant
from sendledger_schemas.registry import BY_TYPE, Data

CONTENT_TYPE = b"application/cloudevents+json"
HEADERS: list[tuple[str, bytes]] = [("content-type", CONTENT_TYPE)]
_PREFIX = "sendledger."


class UnreadableEvent(Exception):
    """These bytes are no event of ours: they go to the dead letters. The message names fields, never their values."""


class UnknownVersion(Exception):
    """A known event in a version that this program does not know: the worker is older than its log and must stop."""


class Event(BaseModel):
    """One event: what happened (`data`), when (`time`), to which message (`subject`), told by whom (`source`)."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: str = "1.0"
    id: str
    type: str
    source: str
    subject: str | None = None
    time: Instant
    datacontenttype: str = "application/json"
    data: SerializeAsAny[Data]


def event(data: Data, *, id: str, source: str, time: datetime) -> Event:  # noqa: A002 — CloudEvents' own word
    """Wrap `data`; the subject is its message, or else its campaign, where it has one."""
    subject = getattr(data, "message_id", None) or getattr(data, "campaign_id", None)
    return Event(id=id, type=data.TYPE, source=source, subject=subject, time=time, data=data)


def encode(happened: Event) -> bytes:
    """The event as it stands on the log; optional fields without a value are left out."""
    return happened.model_dump_json(exclude_none=True, by_alias=True).encode()


def encode_each(named: Iterable[tuple[str, Data]], *, source: str, time: datetime) -> list[bytes]:
    """Events of one moment and one source, from (id, data): each as `encode` of its `event`, at a third of the price.

    `data` is valid by its type already; what is left is to write it down, and the time once for all.
    """
    made_at = to_json(format_instant(time))
    made_by = b',"source":' + to_json(source)
    written = []
    for name, data in named:
        subject = getattr(data, "message_id", None) or getattr(data, "campaign_id", None)
        about = b"" if subject is None else b',"subject":' + to_json(subject)
        head = b'{"specversion":"1.0","id":%b,"type":%b' % (to_json(name), to_json(data.TYPE))
        body = data.__pydantic_serializer__.to_json(data, exclude_none=True, by_alias=True)
        tail = (b',"time":', made_at, b',"datacontenttype":"application/json","data":', body, b"}")
        written.append(b"".join((head, made_by, about, *tail)))
    return written


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors()[:5])


def model_of(type_name: object) -> type[Data]:
    """The model of a type name; UnknownVersion for another version of a known type, else UnreadableEvent."""
    if isinstance(type_name, str):
        if (model := BY_TYPE.get(type_name)) is not None:
            return model
        name, dot_v, version = type_name.rpartition(".v")
        if dot_v and version.isdigit() and any(known.rpartition(".v")[0] == name for known in BY_TYPE):
            message = f"{type_name} is newer than this program: update it before it reads this log"
            raise UnknownVersion(message)
    message = "type: not a Sendledger event"
    raise UnreadableEvent(message)


def decode(raw: bytes) -> Event:
    """Bytes of a record's value → Event. Errors: UnreadableEvent, UnknownVersion."""
    try:
        fields: Any = from_json(raw)
    except ValueError:
        message = "not JSON"
        raise UnreadableEvent(message) from None
    if not isinstance(fields, dict):
        message = "not a JSON object"
        raise UnreadableEvent(message)
    model = model_of(fields.get("type"))
    try:
        data = model.model_validate_json(to_json(fields.get("data")))
        return Event.model_validate({**fields, "data": data, "time": _time(fields.get("time"))})
    except ValidationError as error:
        raise UnreadableEvent(_faults(error)) from None


class _Wrapped(msgspec.Struct):
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_wrapped = msgspec.json.Decoder(_Wrapped).decode


def decode_data(raw: bytes) -> Data:
    """The `data` of a record's value, as `decode` gives it, without the envelope around it; at a third of the price.

    For records that a reader has held for events before: envelopes without id or time pass. Errors: as `decode`.
    """
    try:
        found = _wrapped(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(raw).data  # which knows what to say
    model = model_of(found.type)
    try:
        return model.model_validate_json(bytes(found.data))
    except ValidationError as error:
        raise UnreadableEvent(_faults(error)) from None


def _time(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        message = "time: not a time"
        raise UnreadableEvent(message) from None
