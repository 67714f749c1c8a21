"""The truth about each message and campaign, folded from a ledger file, to compare the program's numbers with.

`read_ledger(path)` → `Truth`; `truth.messages` → `Message`; `truth.summary(campaign_ref)` → `Summary`.
It shares no code with the fold that it judges.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sendledger.simulator.entries import Entry, Postback, Started, Submission, Switched, Try, Undelivered, from_line
from sendledger.simulator.truth import Bucket, Message, Notified


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The numbers of one campaign. `buckets`, `details` and `double` count messages, the rest calls or postbacks.

    `never_notified`: accepted, and no notice of it was ever confirmed. `repeats`: confirmed deliveries of a body that
    had been confirmed before. `orphans`: confirmed postbacks with a TRACKINGID that nobody was given. `uncertain`:
    messages with a notice that was posted but not confirmed.
    """

    messages: int
    submissions: int
    accepted: int
    throttled: int
    dropped: int
    rejected: dict[str, int]
    buckets: dict[Bucket, int]
    details: dict[str, int]
    never_notified: int
    double: int
    conflicted: int
    repeats: int
    orphans: int
    uncertain: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything in a ledger. `anonymous`: calls without a readable TO. `torn`: lines cut by a crash."""

    messages: Sequence[Message] = field(repr=False)
    anonymous: Sequence[Submission] = field(repr=False)
    torn: int
    _index: dict[tuple[str, str | None], list[Message]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for message in self.messages:
            self._index.setdefault((message.to, message.campaign_ref), []).append(message)

    @property
    def campaign_refs(self) -> list[str | None]:
        """The CAMPAIGNREFs that came, in order of their first call."""
        return list(dict.fromkeys(message.campaign_ref for message in self.messages))

    def of(self, to: str, campaign_ref: str | None) -> list[Message]:
        """The messages to one number in one campaign: one for each text."""
        return list(self._index.get((to, campaign_ref), ()))

    def summary(self, campaign_ref: str | None, *, in_doubt: Iterable[str] = ()) -> Summary:
        """One campaign's numbers.

        `in_doubt`: numbers (TO) whose answer the sender is known not to have read, because it was killed or gave up:
        unless a confirmed notice settles them, they count as `in_doubt`, whatever the answer was.
        """
        return _summary([message for message in self.messages if message.campaign_ref == campaign_ref], set(in_doubt))


def read_ledger(path: Path) -> Truth:
    """Folds the whole file; runs that were appended to one file are kept apart."""
    fold = _Fold()
    with path.open("rb") as lines:
        for line in lines:
            entry = from_line(line)
            if entry is None:
                fold.torn += line.strip() != b""
            else:
                fold.apply(entry)
    return Truth(list(fold.messages.values()), fold.anonymous, fold.torn)


class _Fold:
    def __init__(self) -> None:
        self.run = 0
        self.messages: dict[tuple[int, str, str | None, str], Message] = {}
        self.anonymous: list[Submission] = []
        self.torn = 0
        self._last: Message | None = None
        self._notified: dict[int, Notified] = {}

    def apply(self, entry: Entry) -> None:
        match entry:
            case Started():
                self.run += 1
                self._notified = {}
            case Submission():
                self._submission(entry)
            case Postback():
                self._notified[entry.postback] = notified = Notified(entry)
                if self._last is not None:  # a call's postbacks follow its line
                    self._last.postbacks.append(notified)
            case Try():
                self._notified[entry.postback].tries.append(entry.http_status)
            case Undelivered() | Switched():
                pass

    def _submission(self, entry: Submission) -> None:
        if entry.to is None or entry.text_sha256 is None:
            self.anonymous.append(entry)
            self._last = None
            return
        key = (self.run, entry.to, entry.campaign_ref, entry.text_sha256)
        self._last = self.messages.setdefault(key, Message(entry.to, entry.campaign_ref, entry.text_sha256))
        self._last.submissions.append(entry)


def _summary(messages: list[Message], in_doubt: set[str]) -> Summary:
    calls = list(chain.from_iterable(message.submissions for message in messages))
    posts = list(chain.from_iterable(message.postbacks for message in messages))
    outcomes = Counter(call.outcome for call in calls)
    finals = [message.final for message in messages if message.bucket == "undelivered"]
    return Summary(
        messages=len(messages),
        submissions=len(calls),
        accepted=outcomes["accepted"],
        throttled=outcomes["throttled"],
        dropped=outcomes["dropped"],
        rejected=dict(Counter(call.code or "" for call in calls if call.outcome == "rejected")),
        buckets=dict(Counter(_bucket(message, in_doubt) for message in messages)),
        details=dict(Counter(final.detail or "other" for final in finals if final is not None)),
        never_notified=sum(bool(message.accepted) and not message.acknowledged for message in messages),
        double=sum(len(message.accepted) > 1 for message in messages),
        conflicted=sum(message.conflicted for message in messages),
        repeats=sum(_repeats(message) for message in messages),
        orphans=sum(post.acknowledged and post.entry.why == "stray" for post in posts),
        uncertain=sum(message.uncertain for message in messages),
    )


def _bucket(message: Message, in_doubt: set[str]) -> Bucket:
    doubted = message.to in in_doubt and not message.acknowledged and message.submissions
    return "in_doubt" if doubted else message.bucket


def _repeats(message: Message) -> int:
    arrivals: dict[str, int] = defaultdict(int)
    for notified in message.postbacks:
        arrivals[notified.entry.body_id] += notified.arrivals[0]
    return sum(max(0, count - 1) for count in arrivals.values())
