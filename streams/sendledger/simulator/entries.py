"""The lines of the ledger: one JSON object each, told apart by `kind`. Test truth: phone numbers stand here in full.

`mono` is the machine's monotonic clock and `wall` UNIX time, both in seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sendledger.simulator.behaviour import Claim, Why
from sendledger.simulator.profile import Form

Outcome = Literal["accepted", "rejected", "throttled", "dropped"]
TryError = Literal["timeout", "refused", "reset", "unreadable"]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    mono: float
    wall: float


class Started(_Entry, frozen=True, kw_only=True, tag="start"):
    """The simulator began: a new run in the same file. TRACKINGIDs begin anew, so they are unique only within a run."""

    seed: int
    profile: dict[str, Any]


class Switched(_Entry, frozen=True, kw_only=True, tag="switch"):
    """From here on the profile is this one."""

    profile: dict[str, Any]


class Submission(_Entry, frozen=True, kw_only=True, tag="submission"):
    """One call, written before its answer.

    `seq` counts all calls, `n` those of this TO, text and CAMPAIGNREF that came past the throttle (0: this one did
    not). `outcome`: `accepted` = the provider has the message; `dropped` = it has not, and does not say so. `answer`:
    `success`, `failure`, or the misbehaviour. `code`: ERRORCODE, or `429`.
    """

    seq: int
    n: int
    to: str | None
    sender: str | None = msgspec.field(name="from")
    campaign_ref: str | None
    operator_id: str | None
    text_sha256: str | None
    method: str
    path: str
    outcome: Outcome
    answer: str
    code: str | None = None
    tracking_id: str | None = None
    history_id: str | None = None


class Postback(_Entry, frozen=True, kw_only=True, tag="postback"):
    """One postback to come, written together with its submission, before the answer to the call.

    `postback` is its number in this run. `body_id` is the id that `sms.postbacks.v1` gives this body. `created` is the
    provider's time of the event (UNIX), `due` the monotonic time of the first try. `claim` is None for noise.
    """

    postback: int
    tracking_id: str
    to: str
    why: Why
    claim: Claim | None
    detail: str | None
    status: int | None
    form: Form
    body_id: str
    created: float
    due: float
    early: bool


class Try(_Entry, frozen=True, kw_only=True, tag="try"):
    """One delivery of a postback came to its end: an HTTP status, or why there was none."""

    postback: int
    attempt: int = msgspec.field(name="try")
    http_status: int | None
    error: TryError | None


class Undelivered(_Entry, frozen=True, kw_only=True, tag="undelivered"):
    """A postback that never got a 200: all tries used up, the simulator stopped, or no address to post to."""

    postback: int
    tries: int
    reason: Literal["given_up", "shutdown", "no_callback"]


Entry = Started | Switched | Submission | Postback | Try | Undelivered

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def to_line(entry: Entry) -> bytes:
    """The entry as one line, with its end."""
    return _ENCODER.encode(entry) + b"\n"


def from_line(line: bytes) -> Entry | None:
    """The entry of a line, or None if the line was torn by a crash."""
    try:
        return _DECODER.decode(line)
    except msgspec.DecodeError:
        return None
