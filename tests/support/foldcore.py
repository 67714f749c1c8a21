"""What `streams/foldcore` reads of an event and writes of a time (`probe.rs`), beside what Python does."""

from __future__ import annotations

import ctypes
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

import sendledger.edges
from sendledger.domain import facts
from sendledger.domain.facts import Fact, decode_fact, micros
from sendledger_schemas.envelope import UnknownVersion, UnreadableEvent
from sendledger_schemas.registry import BY_TYPE
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS

LIBRARY = ctypes.CDLL(str(Path(sendledger.edges.__file__).with_name("libfoldcore.native")))
LIBRARY.foldcore_probe.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p)
LIBRARY.foldcore_probe_time.argtypes = (ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
LIBRARY.foldcore_free.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def call(function: Any, *arguments: Any) -> bytes | None:
    """What a function of the probe tells, or None; a panic fails the test."""
    out, size = ctypes.c_void_p(), ctypes.c_size_t()
    told = function(*arguments, ctypes.byref(out), ctypes.byref(size))
    assert told in {0, 1}, "a panic"
    if not told:
        return None
    try:
        return ctypes.string_at(out, size.value)
    finally:
        LIBRARY.foldcore_free(out, size)


def native(raw: bytes) -> dict[str, Any] | None:
    """The fact as Rust reads it."""
    told = call(LIBRARY.foldcore_probe, raw, len(raw))
    return None if told is None else json.loads(told)


def told(fact: Fact) -> dict[str, Any]:
    """The fact as Python reads it, in the words of the probe."""
    tag = fact.__struct_config__.tag
    topic = next(name for name, topic in TOPICS.items() if BY_TYPE[str(tag)] in topic.events)
    fields = {"kind": type(fact).__name__, **msgspec.structs.asdict(fact.data)}
    fields |= {"id": fact.id} if isinstance(fact, facts.Postback) else {"at": fact.time}
    if isinstance(fact, facts.Requested):
        fields["to_last3"] = fields.pop("to")[-3:]
    values = {name: micros(value) if isinstance(value, datetime) else value for name, value in fields.items()}
    return {**values, "topic": FOLD_SOURCES.index(topic), "recipient": fact.data.recipient_id}


def python(raw: bytes) -> dict[str, Any] | None:
    """The fact as Python reads it, or None if it is none."""
    try:
        return told(decode_fact(raw))
    except (UnreadableEvent, UnknownVersion):
        return None


def agrees(raw: bytes) -> None:
    """Rust refuses, or both read the same fact."""
    read = native(raw)
    assert read is None or read == python(raw)


def time_of(at: int) -> bytes | None:
    """Microseconds since 1970 as Rust writes them."""
    return call(LIBRARY.foldcore_probe_time, at, 0)


def day_of(hour: int) -> bytes | None:
    """The day of an hour since 1970 as Rust writes it."""
    return call(LIBRARY.foldcore_probe_time, hour, 1)
