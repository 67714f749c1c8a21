"""What the ledger knows about one message: its calls, its postbacks, and where it therefore belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sendledger.simulator.behaviour import Claim
from sendledger.simulator.entries import Postback, Submission

Bucket = Literal["queued", "in_doubt", "rejected", "accepted", "sent", "delivered", "undelivered"]

FINAL: frozenset[Claim] = frozenset({"delivered", "undelivered", "submit_failed"})
_ACKNOWLEDGED = 200


@dataclass(slots=True)
class Notified:
    """One postback and how its deliveries ended, in order: an HTTP status, or None where there was no answer."""

    entry: Postback = field(repr=False)
    tries: list[int | None] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """Whether it got its 200."""
        return _ACKNOWLEDGED in self.tries

    @property
    def arrivals(self) -> tuple[int, int]:
        """How often it arrived at least (200s) and at most (every try that was not refused may have)."""
        return self.tries.count(_ACKNOWLEDGED), len(self.tries)


@dataclass(slots=True)
class Message:
    """All calls of one run with the same TO, CAMPAIGNREF and text, and the postbacks of those that were accepted."""

    to: str = field(repr=False)
    campaign_ref: str | None
    text_sha256: str = field(repr=False)
    submissions: list[Submission] = field(default_factory=list, repr=False)
    postbacks: list[Notified] = field(default_factory=list, repr=False)

    @property
    def accepted(self) -> list[Submission]:
        """The calls that the provider took: more than one is a message sent twice."""
        return [call for call in self.submissions if call.outcome == "accepted"]

    @property
    def rejected_code(self) -> str | None:
        """The ERRORCODE of the last final refusal."""
        return next((call.code for call in reversed(self.submissions) if call.outcome == "rejected"), None)

    @property
    def throttled(self) -> int:
        """How many calls were told to come again."""
        return sum(call.outcome == "throttled" for call in self.submissions)

    @property
    def acknowledged(self) -> list[Postback]:
        """The notices that somebody confirmed with a 200, each once, in the order of the provider's time."""
        unique = {notified.entry.body_id: notified.entry for notified in self._notices() if notified.acknowledged}
        return sorted(unique.values(), key=lambda entry: (entry.created, entry.body_id))

    @property
    def uncertain(self) -> bool:
        """A notice was posted and never confirmed: whether it arrived is not known here."""
        confirmed = {entry.body_id for entry in self.acknowledged}
        return any(notified.tries and notified.entry.body_id not in confirmed for notified in self._notices())

    @property
    def finals(self) -> list[Postback]:
        """The confirmed notices that settle the message."""
        return [entry for entry in self.acknowledged if entry.claim in FINAL]

    @property
    def final(self) -> Postback | None:
        """The one that counts: the first by the provider's time (the policy `first-final`)."""
        return next(iter(self.finals), None)

    @property
    def conflicted(self) -> bool:
        """Whether the confirmed final notices contradict each other."""
        return len({entry.claim == "delivered" for entry in self.finals}) > 1

    @property
    def bucket(self) -> Bucket:
        """Where the message belongs, if every answer of the provider was read and every confirmed postback counted."""
        final = self.final
        if final is not None:
            return "delivered" if final.claim == "delivered" else "undelivered"
        if self.acknowledged:
            return "sent"
        if any(call.outcome == "accepted" and call.answer == "success" for call in self.submissions):
            return "accepted"
        if any(call.outcome in {"accepted", "dropped"} for call in self.submissions):
            return "in_doubt"
        return "rejected" if self.rejected_code is not None else "queued"

    def _notices(self) -> Iterable[Notified]:
        return (notified for notified in self.postbacks if notified.entry.claim and notified.entry.why != "stray")
