"""Timelines say what happened in plain words, each kind of event in its own (DESIGN §8, P7)."""

from __future__ import annotations

from typing import get_args

import pytest

from sendledger.domain.step_words import _CLAIMS, _RESOLVED, _WITHHELD, _WORDS, told
from sendledger_schemas.decisions import Resolution
from sendledger_schemas.fields import MessageEvent
from sendledger_schemas.postbacks import Claim, PostbackReceived
from sendledger_schemas.registry import MODELS

SAID = [
    ("send-requested", {}, "it was asked for"),
    ("send-requested", {"not_before": "T1", "expires_at": "T2"}, "it was asked for, not before T1, not after T2"),
    ("attempt-started", {"attempt": 2}, "call 2 to the provider begins"),
    ("send-accepted", {"attempt": 1, "tracking_id": "SMS_1"}, "call 1: the provider took it as SMS_1"),
    ("send-rejected", {"attempt": 1, "error_code": "E110", "error_info": "bad number"},
     "call 1 was refused with E110: bad number; it is not tried again"),
    ("send-throttled", {"attempt": 1, "error_code": "E120", "retry_at": "T"},
     "call 1 came too fast (E120): not sent, tried again from T"),
    ("send-not-sent", {"attempt": 1, "reason": "refused"}, "call 1 did not go out (refused): it is due again"),
    ("send-unanswered", {"attempt": 1, "reason": "timeout"},
     "call 1 got no usable answer (timeout): perhaps sent, and not sent again by itself"),
    ("send-withheld", {"reason": "expired"}, "it is not sent: its time was over"),
    ("postback-received", {"claim": "sent"}, "the provider says: the carrier has it"),
    ("postback-received", {"claim": "undelivered", "detail": "expired"},
     "the provider says: it did not reach the handset (expired)"),
    ("postback-received", {"code": "N999"}, "the provider says: nothing about it that we know (code N999)"),
    ("doubt-resolved", {"attempt": 1, "resolution": "resend", "by": "user:ann"},
     "user:ann decided about call 1: it goes out again"),
    ("never-heard-of", {}, "never heard of"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "facts", "words"), SAID)
def test_each_event_in_plain_words(what: str, facts: dict[str, object], words: str) -> None:
    """What happened, and what follows from it."""
    assert told(what, facts) == words
    assert told(what, facts, matched=False) == f"perhaps this message's: {words}"


def test_no_kind_of_event_is_without_words() -> None:
    """Whatever can stand in a timeline has its sentence; so has each claim, reason and decision."""
    kinds = {model.TYPE for model in MODELS if issubclass(model, MessageEvent | PostbackReceived)}
    assert {kind.removeprefix("sendledger.").rpartition(".v")[0] for kind in kinds} == set(_WORDS)
    assert set(_CLAIMS) == set(get_args(Claim))
    assert set(_RESOLVED) == set(get_args(Resolution))
    assert set(_WITHHELD) == {"cancelled", "expired", "suppressed"}
