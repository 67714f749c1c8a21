"""One event of a message in plain words, for timelines. What is added to a name is in the event's own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Facts = Mapping[str, Any]
"""The fields of an event's `data`, as JSON has them, without ids, number and text."""


def told(what: str, facts: Facts, *, matched: bool = True) -> str:
    """A sentence about the event `what`; `matched` False: it may be another message's."""
    say = _WORDS.get(what)
    words = what.replace("-", " ") if say is None else say(facts)
    return words if matched else f"perhaps this message's: {words}"


def _requested(facts: Facts) -> str:
    limits = [f"not {name} {facts[key]}" for key, name in (("not_before", "before"), ("expires_at", "after"))
              if facts.get(key)]  # fmt: skip
    return ", ".join(["it was asked for", *limits])


def _rejected(facts: Facts) -> str:
    info = f": {facts['error_info']}" if facts.get("error_info") else ""
    return f"{_call(facts)} was refused with {facts.get('error_code')}{info}; it is not tried again"


def _postback(facts: Facts) -> str:
    claim = facts.get("claim")
    detail = f" ({facts['detail']})" if facts.get("detail") and facts.get("detail") != claim else ""
    said = _CLAIMS.get(claim or "", f"nothing about it that we know (code {facts.get('code')})")
    return f"the provider says: {said}{detail}"


def _call(facts: Facts) -> str:
    return f"call {facts.get('attempt')}"


_CLAIMS: Final[Mapping[str, str]] = {
    "sent": "the carrier has it",
    "delivered": "it reached the handset",
    "undelivered": "it did not reach the handset",
    "submit_failed": "the carrier did not take it",
    "trying": "not yet there, the carrier goes on trying",
}
_RESOLVED: Final[Mapping[str, str]] = {
    "sent": "it counts as sent",
    "withhold": "it is withheld for good",
    "resend": "it goes out again",
}
_WITHHELD: Final[Mapping[str, str]] = {
    "cancelled": "its campaign was cancelled",
    "expired": "its time was over",
    "suppressed": "its recipient gets nothing",
}
_WORDS: Final[Mapping[str, Callable[[Facts], str]]] = {
    "send-requested": _requested,
    "attempt-started": lambda facts: f"{_call(facts)} to the provider begins",
    "send-accepted": lambda facts: f"{_call(facts)}: the provider took it as {facts.get('tracking_id')}",
    "send-rejected": _rejected,
    "send-throttled": lambda facts: (
        f"{_call(facts)} came too fast ({facts.get('error_code')}): not sent, tried again from {facts.get('retry_at')}"
    ),
    "send-not-sent": lambda facts: f"{_call(facts)} did not go out ({facts.get('reason')}): it is due again",
    "send-unanswered": lambda facts: (
        f"{_call(facts)} got no usable answer ({facts.get('reason')}): perhaps sent, and not sent again by itself"
    ),
    "send-withheld": lambda facts: f"it is not sent: {_WITHHELD.get(facts.get('reason', ''), 'withheld')}",
    "postback-received": _postback,
    "doubt-resolved": lambda facts: (
        f"{facts.get('by')} decided about call {facts.get('attempt')}: "
        f"{_RESOLVED.get(facts.get('resolution', ''), facts.get('resolution'))}"
    ),
}
