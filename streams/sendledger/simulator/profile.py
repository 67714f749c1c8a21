"""What the simulated provider is like: shares, delays and forms, as one value that can be switched while it runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

Form = Literal["page", "1.3", "v2"]
Range = tuple[float, float]

THROTTLE_CODES = frozenset({"E106", "E120"})
_SHARES = (
    "no_receipt",
    "submit_failed",
    "never_notified",
    "early",
    "late",
    "shuffle",
    "repeat",
    "conflict",
    "stray",
    "foreign",
    "garbled",
)
_RANGES = ("latency_ms", "sent_after", "receipt_after", "late_after")
_ROUNDING = 1e-9


class Misbehaviour(StrEnum):
    """A way not to give the answer that the page promises. `…_before` and `…_after`: taking the message."""

    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_429 = "http_429"
    HTTP_301 = "http_301"
    HTML = "html"
    TRUNCATED = "truncated"
    BROKEN = "broken"
    EMPTY = "empty"
    CUT_SHORT = "cut_short"
    NO_TRACKING_ID = "no_tracking_id"
    OTHER_TO = "other_to"
    UNKNOWN_CODE = "unknown_code"
    HUGE = "huge"
    DRIP = "drip"


def _is_split(shares: list[float]) -> bool:
    return all(share >= 0 for share in shares) and sum(shares) <= 1 + _ROUNDING


def _check(holds: bool, complaint: str) -> None:  # noqa: FBT001  # reads as an assertion
    if not holds:
        raise ValueError(complaint)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares are between 0 and 1. Delays are provider's seconds (real seconds = provider's seconds times the scale).

    `latency_ms`, `hang_seconds` and `drip_seconds` (between two bytes) are real time. `receipts`: STATUS number
    (GSM 03.40) to its share of all receipts, the rest is 0. `errors`: ERRORCODE to its share of all submissions.
    """

    form: Literal["page", "1.3", "v2", "mixed"] = "page"
    latency_ms: Range = (2, 10)
    errors: dict[str, float] = {}
    misbehave: dict[Misbehaviour, float] = {}
    receipts: dict[int, float] = {}
    no_receipt: float = 0
    submit_failed: float = 0
    never_notified: float = 0
    early: float = 0
    late: float = 0
    shuffle: float = 0
    repeat: float = 0
    conflict: float = 0
    stray: float = 0
    foreign: float = 0
    garbled: float = 0
    sent_after: Range = (0.1, 1)
    receipt_after: Range = (0.5, 5)
    late_after: Range = (60, 600)
    rate: float | None = None
    burst: float = 1
    throttle_code: Literal["E106", "E120"] = "E120"
    retry_after: int = 2
    hang_seconds: float = 120
    drip_seconds: float = 0.5
    huge_bytes: int = 100 * 2**20

    def __post_init__(self) -> None:
        """Raises ValueError, naming the field, if a share, a range, a rate or a number is impossible."""
        for name in _SHARES:
            _check(0 <= getattr(self, name) <= 1, f"{name}: a share lies between 0 and 1")
        for name in _RANGES:
            low, high = getattr(self, name)
            _check(0 <= low <= high, f"{name}: a range is two numbers, neither below 0, the smaller one first")
        _check(_is_split([*self.errors.values(), *self.misbehave.values()]), "errors and misbehave: over 1 together")
        _check(_is_split(list(self.receipts.values())), "receipts: shares over 1 together")
        _check(all(0 <= number <= 255 for number in self.receipts), "receipts: a STATUS number is 0 to 255")  # noqa: PLR2004  # a byte
        _check(self.rate is None or self.rate > 0, "rate: calls per second, above 0")
        _check(self.burst >= 1, "burst: at least 1 call")
        _check(min(self.hang_seconds, self.drip_seconds, self.huge_bytes) >= 0, "a duration or size is not below 0")


CALM = Profile()
MIXED = Profile(
    form="mixed",
    latency_ms=(5, 40),
    errors={"E110": 0.01, "E628": 0.005, "E715": 0.005, "E120": 0.01},
    receipts={70: 0.02, 64: 0.01, 65: 0.005, 66: 0.005, 48: 0.02, 99: 0.005},
    no_receipt=0.1,
    submit_failed=0.005,
    never_notified=0.005,
    early=0.05,
    late=0.02,
    shuffle=0.05,
    repeat=0.03,
    conflict=0.002,
)
HOSTILE = msgspec.structs.replace(
    MIXED,
    misbehave={kind: 0.004 for kind in Misbehaviour if kind is not Misbehaviour.HUGE} | {Misbehaviour.HUGE: 0.0005},
    early=0.2,
    late=0.1,
    shuffle=0.2,
    repeat=0.2,
    conflict=0.02,
    foreign=0.02,
    garbled=0.02,
    hang_seconds=30,
)
PRESETS = {"calm": CALM, "mixed": MIXED, "hostile": HOSTILE}


def as_json(profile: Profile) -> dict[str, Any]:
    """The profile as JSON can hold it; what `POST /switch` takes, whole or in part."""
    built: dict[str, Any] = msgspec.to_builtins(profile, str_keys=True)
    return built


def changed(profile: Profile, changes: dict[str, Any]) -> Profile:
    """The profile with some fields replaced (whole fields: a new `errors` forgets the old one).

    Raises:
        ValueError: a field is unknown or its value impossible; says which.
    """
    merged = as_json(profile) | changes
    try:
        return msgspec.convert(merged, Profile, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
