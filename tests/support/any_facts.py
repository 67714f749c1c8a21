"""Events of every kind that the fold reads: with any values, as our producers write them, and a plain one of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st

from sendledger.domain.facts import Fact
from sendledger_schemas import envelope
from sendledger_schemas.attempts import RequestPosition, WithheldReason
from sendledger_schemas.decisions import Resolution
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.registry import BY_TYPE
from sendledger_schemas.responses import ErrorClass, UnansweredReason
from tests.bench.event_bytes import Sms

words = st.text(st.one_of(st.sampled_from('"\\/\n\t\x00\x1f\x7f\u2028é😀\U0010ffff'), st.characters(codec="utf-8")))
texts = words.filter(bool)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 — see there
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("message_id", "recipient_id", "incarnation"), texts.map(lambda text: text[:64])),
    "campaign_id": texts.map(lambda text: text[:128]),
    **dict.fromkeys(("error_code", "error_info", "by", "note", "worker", "origin", "code", "raw", "id"), words),
    **dict.fromkeys(("operator_id", "campaign_ref", "detail", "history_id", "notification_id"), st.none() | words),
    **dict.fromkeys(("not_before", "expires_at", "provider_time", "provider_timestamp"), st.none() | instants),
    **dict.fromkeys(("retry_at", "received_at", "time"), instants),
    "to": st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    "sender": texts.map(lambda text: text[:20]),
    "text": texts.map(lambda text: text[:160]),
    "attempt": st.sampled_from((1, 9, 10, 2**31 - 1)) | st.integers(1, 2**31 - 1),
    "request": st.builds(RequestPosition, partition=st.integers(0, 99), offset=st.integers(0, 2**40)),
    "tracking_id": texts,
    "duration_ms": st.floats(0, allow_nan=False, allow_infinity=False),
    "error_class": st.sampled_from(get_args(ErrorClass)),
    "resolution": st.sampled_from(get_args(Resolution)),
    "claim": st.none() | st.sampled_from(get_args(Claim)),
    "SendWithheld.reason": st.sampled_from(get_args(WithheldReason)),
    "SendUnanswered.reason": st.sampled_from(get_args(UnansweredReason)),
    "SendNotSent.reason": words,
    "PostbackReceived.tracking_id": st.none() | words,
}
FACTS: tuple[Any, ...] = get_args(Fact)


@st.composite
def values_of(draw: st.DrawFn, type_name: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Values for these fields of `data`, within the bounds of models and structs."""
    model = BY_TYPE[type_name].__name__
    return {name: draw(VALUES[f"{model}.{name}" if f"{model}.{name}" in VALUES else name]) for name in names}


@st.composite
def produced(draw: st.DrawFn) -> bytes:
    """An event of any kind, as a producer of ours writes it."""
    type_name = draw(st.sampled_from(FACTS)).__struct_config__.tag
    model = BY_TYPE[type_name]
    data = model(**draw(values_of(type_name, tuple(model.model_fields))))
    return envelope.encode(envelope.event(data, id=draw(words), source="api", time=draw(instants)))


@st.composite
def any_facts(draw: st.DrawFn) -> Fact:
    """A fact of any kind, its time in any zone."""
    kind = draw(st.sampled_from(FACTS))
    data = msgspec.structs.fields(kind)[2].type
    zone = timezone(timedelta(minutes=draw(st.integers(-1439, 1439))))
    time = draw(instants).replace(tzinfo=zone)
    fields = draw(values_of(kind.__struct_config__.tag, data.__struct_fields__))
    made: Fact = kind(id=draw(words), time=time, data=data(**fields))
    return made


SMS = Sms(7, 1234, "spring-sale", 32)
_TIMES = '"not_before":"2026-03-01T12:00:00.000000Z","expires_at":"2026-03-02T12:00:00.000000Z"'
LOG = (
    *(SMS.requested(0), SMS.withheld(1), SMS.started(2), SMS.accepted(3), SMS.rejected(4), SMS.throttled(5)),
    *(SMS.unanswered(6), *(SMS.heard(7, claim, 5) for claim in ("sent", "delivered", "undelivered", "submit_failed"))),
    SMS._event("send-requested", "api", 8, f'"to":"15550001234","operator_id":"380",{_TIMES}'),
    SMS._event("send-not-sent", "sender", 9, '"attempt":1,"reason":"connection refused"'),
    SMS._event("doubt-resolved", "api", 10, '"attempt":1,"resolution":"resend","by":"me","note":""'),
)
"""At least one event of each kind, as a producer writes it."""
