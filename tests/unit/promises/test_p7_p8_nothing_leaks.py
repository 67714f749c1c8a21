"""P7, P8: numbers, texts, bodies, keys and tokens are not in what is stored, published, raised, shown or logged."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import pkgutil
import random
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from rocksdict import AccessType, Options, Rdict

import sendledger
from sendledger.config import load
from sendledger.domain.facts import decode_fact
from sendledger.setting_types import ApiToken
from sendledger_schemas import envelope
from sendledger_schemas.envelope import UnknownVersion, UnreadableEvent
from sendledger_schemas.registry import BY_TYPE, Data
from sendledger_schemas.states import CampaignPartial, CampaignState, MessageState
from tests.support import partition, story
from tests.support.story import Folded
from tests.unit.promises.logs import events, log_of

NUMBER, TEXT = "15559170001", "quartz-heron-4711"
CANARIES = (NUMBER, TEXT)
SOURCES = Path(sendledger.__file__).parent
PERSONAL = {"to", "text", "raw", "api_key"}
UNHURRIED = settings(deadline=None, max_examples=40)  # time is no promise of these


def marked(data: Data) -> Data:
    """The event with the canaries in every place that personal data may have on the log."""
    update = {"to": NUMBER, "text": TEXT, "raw": f"<TO>{NUMBER}</TO><TEXT>{TEXT}</TEXT>"}
    return data.model_copy(update={name: value for name, value in update.items() if name in type(data).model_fields})


@UNHURRIED
@given(st.integers(0, 2**32))
def test_the_fold_stores_and_publishes_no_number_and_no_text(seed: int) -> None:
    """P7: no document, partial or message state holds more of a number than its last three digits."""
    result = Folded()
    result.batch(log_of([(marked(data), when) for data, when in events(seed)]).in_order())
    written = b"".join([*result.stored, *result.stored.values(), *result.published.values(), *result.states.values()])
    for canary in CANARIES:
        assert canary.encode() not in written
    assert all(json.loads(state)["to_last3"] == NUMBER[-3:] for state in result.states.values())


def test_the_sender_stores_no_number_and_no_text(tmp_path: Path) -> None:
    """P7: what a sender keeps on disk of its partition is offsets, not contents."""
    log = partition.Log()
    for number in range(20):
        log.add(marked(story.requested(f"m{number}", f"r{number}")))
    worker = partition.worker(tmp_path, log)
    worker.read()
    assert len(worker.go()) == 20
    worker.read()
    worker.close()
    store = Rdict(str(worker.path), options=Options(raw_mode=True), access_type=AccessType.read_only())
    kept = b"".join(key + value for key, value in store.items())
    store.close()
    assert b"m19" in kept
    for canary in CANARIES:
        assert canary.encode() not in kept


def broken(data: Data, chance: random.Random) -> bytes:
    """An event of the log with one field spoilt by a canary, or cut off in the middle."""
    fields: dict[str, Any] = json.loads(envelope.encode(envelope.event(data, id="e", source="s", time=story.START)))
    inner = fields["data"]
    spoilt: Any = chance.choice((NUMBER + "x" * 300, [NUMBER], {"a": TEXT}, int(NUMBER), True))
    where = chance.choice((fields, inner, inner))
    where["time" if where is fields else chance.choice(list(inner))] = spoilt
    raw = json.dumps(fields).encode()
    return raw[: chance.randint(1, len(raw))] if chance.random() < 0.2 else raw


def told_by(decode: Callable[[bytes], object], raw: bytes) -> str:
    """What a log would show of the refusal, traceback and all."""
    try:
        decode(raw)
    except (UnreadableEvent, UnknownVersion) as error:
        return "".join(traceback.format_exception(error))
    return ""


@UNHURRIED
@given(st.integers(0, 2**32))
def test_an_unreadable_event_is_told_without_quoting_it(seed: int) -> None:
    """P7: dead letters, logs and tracebacks get the field and the fault, never the value; from both decoders."""
    chance = random.Random(seed)
    for data, _ in events(seed):
        raw = broken(marked(data), chance)
        told = told_by(envelope.decode, raw) + told_by(decode_fact, raw)
        assert not [canary for canary in CANARIES if canary in told], told


@pytest.mark.parametrize("name", sorted(BY_TYPE))
def test_the_text_form_of_an_event_hides_what_is_personal(name: str) -> None:
    """P7: of whatever event a log or a traceback shows the repr, number, text and raw postback are not in it."""
    shown = [field for field, info in BY_TYPE[name].model_fields.items() if field in {"text", "raw"} and info.repr]
    assert shown == []
    to = BY_TYPE[name].model_fields.get("to")
    assert to is None or not to.repr or to.annotation is not str


def modules() -> Iterator[Any]:
    """Every module of the program."""
    for found in pkgutil.walk_packages(sendledger.__path__, "sendledger."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_no_type_shows_what_is_personal_or_secret() -> None:
    """P7, P8: each dataclass hides fields that are called like numbers, texts, bodies and keys, wherever it stands."""
    loose = []
    for module in modules():
        for kind in vars(module).values():
            if not (isinstance(kind, type) and kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind)):
                continue
            mine = "__repr__" in vars(kind) and "dataclass" not in getattr(vars(kind)["__repr__"], "__qualname__", "")
            names = [f.name for f in dataclasses.fields(kind) if f.repr and f.name in PERSONAL and "str" in str(f.type)]
            names += [f.name for f in dataclasses.fields(kind) if f.repr and f.name in PERSONAL and f.type == "bytes"]
            if names and not mine:
                loose.append(f"{module.__name__}.{kind.__name__}: {', '.join(names)}")
    assert loose == []


LOGGERS = {"log", "_log", "logger"}
LEVELS = {"debug", "info", "warning", "warn", "error", "exception", "critical"}
UNSPEAKABLE = PERSONAL | {"body", "digits", "token", "tokens", "pepper", "get_secret_value", "headers"}


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call of a logger in the sources of the program, the simulator's apart (it is the provider)."""
    for path in sorted(SOURCES.rglob("*.py")):
        if "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                speaker = node.func.value
                name = speaker.attr if isinstance(speaker, ast.Attribute) else getattr(speaker, "id", "")
                if name in LOGGERS:
                    yield f"{path.relative_to(SOURCES)}:{node.lineno}", node


def test_no_log_line_is_given_what_it_must_not_tell() -> None:
    """P7, P8: the first wall: no call of a logger is handed a number, a text, a body, a path, a token or a key."""
    calls, loose = list(log_calls()), []
    for place, call in calls:
        for part in [*call.args, *(keyword.value for keyword in call.keywords)]:
            said = {node.attr for node in ast.walk(part) if isinstance(node, ast.Attribute)}
            said |= {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
            # The path of a request holds the token; elsewhere a path is a file's.
            named = said & (UNSPEAKABLE | ({"path"} if place.startswith(("edges/receiver", "edges/api")) else set()))
            if named:
                loose.append(f"{place}: {sorted(named)}")
    assert len(calls) > 30, "the search is blind"
    assert loose == []


SECRET = "canary-secret-0123456789-abcdef"


def test_no_form_of_the_settings_shows_a_secret() -> None:
    """P8: repr, str, JSON, echo and a copy of settings full of secrets show none of them."""
    names = ("SENDLEDGER_PROVIDER_API_KEY", "SENDLEDGER_RECIPIENT_PEPPER", "SENDLEDGER_POSTBACK_TOKENS")
    given_ = dict.fromkeys((*names, "KAFKA_SASL_PASSWORD", "KAFKA_SSL_PASSWORD"), SECRET)
    loaded = load({**given_, "SENDLEDGER_API_TOKENS": f"admin:{SECRET}"}, None)
    own = loaded.on("127.0.0.1:9092")
    for each in (loaded, own):
        for form in (repr(each), str(each), f"{each.kafka!r}", f"{each.echo()}", f"{each.model_dump()}"):
            assert SECRET not in form
    assert loaded.kafka.sasl_password == SecretStr(SECRET)
    assert SECRET not in repr(ApiToken(scope="read", token=SecretStr(SECRET)))


def test_every_event_refuses_without_quoting() -> None:
    """P7: a model of what stands on the log, handed rubbish, does not quote it in its error."""
    for model in (*BY_TYPE.values(), envelope.Event, CampaignState, MessageState, CampaignPartial):
        with pytest.raises(ValidationError) as refused:
            model.model_validate({"to": [TEXT], "text": {NUMBER: TEXT}, "by": [TEXT], "message_id": [TEXT]})
        assert not [canary for canary in CANARIES if canary in str(refused.value)], model
