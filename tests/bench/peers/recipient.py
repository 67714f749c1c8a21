"""The peers' fold in Python: one document a recipient, and a campaign's counts by difference. Needs msgspec alone.

The same rules as in the Java of `kafka_streams/`: what a message comes to is a function of the set of its events.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

BUCKETS = (
    *("queued", "attempting", "in_doubt", "cancelled", "expired", "suppressed"),
    *("rejected", "accepted", "sent", "delivered", "undelivered"),
)
FINAL = {"delivered": "delivered", "undelivered": "undelivered", "submit_failed": "undelivered"}
CAMPAIGN, REQUESTED, REJECTED, WITHHELD, TRACKING, STARTED, ANSWERED, SILENT = range(8)
TELL_EVERY = 1.0  # seconds

Document = dict[str, Any]
"""`m`: message → [campaign, requested, …] as the constants number them; `t`: TRACKINGID → [bucket, time and id]."""


class Data(msgspec.Struct, gc=False):
    """The fields that the fold needs, of any event."""

    message_id: str | None = None
    campaign_id: str | None = None
    tracking_id: str | None = None
    claim: str | None = None
    reason: str | None = None
    provider_time: str | None = None
    received_at: str | None = None
    attempt: int = 0


class Event(msgspec.Struct, gc=False):
    """One event."""

    id: str
    type: str
    data: Data


decode = msgspec.json.Decoder(Event).decode


def bucket(document: Document, message: list[Any]) -> str | None:
    """Where a message stands; None without its request."""
    if not message[REQUESTED]:
        return None
    if message[TRACKING]:
        came = document["t"].get(message[TRACKING])
        return "accepted" if came is None else came[0] or "sent"
    if message[REJECTED]:
        return "rejected"
    if message[SILENT] & ~message[ANSWERED]:
        return "in_doubt"
    if message[STARTED] & ~message[ANSWERED]:
        return "attempting"
    return message[WITHHELD] or "queued"


def apply(document: Document, event: Event) -> tuple[str, str | None, str | None] | None:
    """Fold one event into the document. Returns (campaign, bucket before, bucket after) of the message it is about."""
    data = event.data
    if data.message_id is None:
        found = [m for m in document["m"].values() if m[TRACKING] and m[TRACKING] == data.tracking_id]
        if not found:
            _postback(document, event)
            return None
        message = found[0]
        before = bucket(document, message)
        _postback(document, event)
    else:
        message = document["m"].setdefault(data.message_id, [data.campaign_id, False, False, "", "", 0, 0, 0])
        before = bucket(document, message)
        _own(message, event)
    return message[CAMPAIGN], before, bucket(document, message)


def _own(message: list[Any], event: Event) -> None:
    data = event.data
    match event.type.split(".")[1]:
        case "send-requested":
            message[REQUESTED] = True
        case "attempt-started":
            message[STARTED] |= 1 << data.attempt
        case "send-withheld":
            message[WITHHELD] = data.reason
        case "send-unanswered":
            message[SILENT] |= 1 << data.attempt
        case "send-accepted":
            message[ANSWERED] |= 1 << data.attempt
            message[TRACKING] = data.tracking_id
        case "send-rejected":
            message[ANSWERED] |= 1 << data.attempt
            message[REJECTED] = True
        case "send-throttled" | "send-not-sent":
            message[ANSWERED] |= 1 << data.attempt
        case unknown:
            raise ValueError(unknown)


def _postback(document: Document, event: Event) -> None:
    data = event.data
    if data.claim is None:
        return
    came = document["t"].setdefault(data.tracking_id or "", ["", ""])
    claimed = FINAL.get(data.claim, "")
    by = (data.provider_time or data.received_at or "") + event.id
    if claimed and (not came[0] or by < came[1]):
        came[0], came[1] = claimed, by


class Tally:
    """The campaigns' counts, told every second and at the end; and the watch: first event taken, last one done.

    `write(key, value)`: puts a record on the topic for the counts. Counts stay in memory: the peers could keep them in
    a store only with another hop through a topic, so this is in their favour.
    """

    def __init__(self, events: int, write: Callable[[bytes, bytes], object]) -> None:
        self._left, self._write = events, write
        self._counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(BUCKETS, 0))
        self._next_told = self.first = self.last = 0.0

    def begin(self) -> None:
        """The first event is taken."""
        if not self.first:
            self.first = time.perf_counter()

    def done(self, change: tuple[str, str | None, str | None] | None) -> bool:
        """One event is done. Returns whether it was the last."""
        if change is not None and change[1] != change[2]:
            counts = self._counts[change[0]]
            if change[1] is not None:
                counts[change[1]] -= 1
            if change[2] is not None:
                counts[change[2]] += 1
        self._left -= 1
        if self._left % 1_000 == 0:
            self._watch()
        return self._left == 0

    def _watch(self) -> None:
        self.last = time.perf_counter()
        if self.last > self._next_told:
            self._next_told = self.last + TELL_EVERY
            self.tell()

    def tell(self) -> None:
        """Write the counts."""
        for campaign, counts in self._counts.items():
            told = {**counts, "requested": sum(counts.values())}
            self._write(f"{campaign}/all".encode(), msgspec.json.encode(told))

    def result(self) -> str:
        """One line of JSON. Errors: RuntimeError if events are missing."""
        if self._left:
            raise RuntimeError(f"{self._left} events are missing")
        return msgspec.json.encode({"seconds": self.last - self.first}).decode()
