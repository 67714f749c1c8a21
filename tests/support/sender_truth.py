"""What the log and the provider's ledger say together about the requests of a test, and whether that is right.

The log is folded the plain way (`domain/plain.py`); the ledger is the simulator's own and shares no code with us.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import TopicPartition

from sendledger.config import Settings
from sendledger.domain.facts import Started, Unanswered, decode_fact
from sendledger.domain.message import Attempt
from sendledger.domain.plain import Seen, account
from sendledger.domain.settled import Facts, bucket
from sendledger.edges.kafka import consumer
from sendledger.simulator.ledger_reader import read_ledger
from sendledger.simulator.truth import Message as Theirs
from sendledger_schemas.envelope import decode
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import FOLD_SOURCES

Name = tuple[str, int]
"""Message and number of the attempt."""


@dataclass(frozen=True)
class Ours:
    """The log, folded. `workers`: who wrote the first claim of each attempt, as its event names him.

    `silences`: the reasons of all SendUnanswered of an attempt; the fold keeps the first.
    """

    messages: Mapping[str, Facts]
    workers: Mapping[Name, str]
    silences: Mapping[Name, set[str]] = field(default_factory=dict)

    def buckets(self) -> Counter[str]:
        """How many messages are in each."""
        return Counter(bucket(facts) for facts in self.messages.values())

    def under_way(self) -> list[str]:
        """Messages that are neither at their end nor in doubt."""
        return [name for name, facts in self.messages.items() if bucket(facts) in ("queued", "attempting")]

    def attempts(self) -> list[tuple[Name, Attempt]]:
        """All attempts of all messages."""
        return [
            ((name, number), attempt)
            for name, facts in self.messages.items()
            for number, attempt in facts.message.attempts.items()
        ]

    def of(self, worker: str) -> dict[Name, Attempt]:
        """The attempts that this worker claimed first."""
        return {name: attempt for name, attempt in self.attempts() if self.workers.get(name) == worker}


async def read_ours(settings: Settings) -> Ours:
    """Fold everything that is on the log now."""
    recipients: dict[str, list[Seen]] = defaultdict(list)
    claims: dict[Name, tuple[int, str]] = {}
    silences: dict[Name, set[str]] = defaultdict(set)
    async with consumer(settings.kafka) as reader:
        places = [TopicPartition(topic, number) for topic in FOLD_SOURCES for number in range(settings.partitions)]
        reader.assign(places)
        ends = await reader.end_offsets(places)
        await reader.seek_to_beginning(*places)
        while [place for place in places if await reader.position(place) < ends[place]]:
            for place, records in (await reader.getmany(timeout_ms=200)).items():
                for record in records:
                    fact = decode_fact(record.value)
                    seen = Seen(FOLD_SOURCES.index(place.topic), record.offset, record.timestamp, fact)
                    recipients[fact.data.recipient_id].append(seen)
                    if isinstance(fact, Unanswered):
                        silences[fact.data.message_id, fact.data.attempt].add(fact.data.reason)
                    if isinstance(fact, Started):
                        name, worker = (fact.data.message_id, fact.data.attempt), _worker(record.value)
                        claims[name] = min(claims.get(name, (record.offset, worker)), (record.offset, worker))
    messages: dict[str, Facts] = {}
    for seens in recipients.values():
        messages.update(account(sorted(seens)).messages)
    return Ours(messages, {name: worker for name, (_, worker) in claims.items()}, silences)


def sha256_of(text: str) -> str:
    """What the ledger keeps of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _worker(raw: bytes) -> str:
    return str(getattr(decode(raw).data, "worker"))  # noqa: B009 — the event's type is known by its fact


@dataclass
class Verdict:
    """What is wrong, one line each; and what was counted on the way."""

    violations: list[str] = field(default_factory=list)
    buckets: Counter[str] = field(default_factory=Counter)
    submissions: int = 0
    doubts_that_are_out: int = 0

    def __str__(self) -> str:
        buckets = ", ".join(f"{count} {name}" for name, count in sorted(self.buckets.items()))
        out = f"{self.doubts_that_are_out} of those in doubt are with the provider"
        return f"{buckets}; {self.submissions} submissions; {out}; {len(self.violations)} violations"


def judge(ours: Ours, ledger: Path, requests: Sequence[SendRequested], suspects: set[str]) -> Verdict:
    """Compare. `suspects`: workers that were killed or paused; only their attempts may be in doubt for no other reason.

    Never twice: of one message at most one submission was not throttled. Never lost: each request is in one bucket,
    and at its end. Never wrong: the bucket is what the provider knows; what it has and we do not know is in doubt.
    """
    theirs = {(message.to, message.text_sha256): message for message in read_ledger(ledger).messages}
    verdict = Verdict(buckets=ours.buckets())
    if extra := set(ours.messages) ^ {request.message_id for request in requests}:
        verdict.violations.append(f"requests and messages differ: {sorted(extra)[:5]}")
    for request in requests:
        facts = ours.messages.get(request.message_id)
        if facts is None:
            continue
        them = theirs.get((request.to, sha256_of(request.text)))
        verdict.submissions += 0 if them is None else len(them.submissions)
        found = bucket(facts)
        if (fault := _fault(facts, found, them, ours, suspects)) is not None:
            verdict.violations.append(f"{request.message_id} is {found}: {fault}")
        verdict.doubts_that_are_out += found == "in_doubt" and them is not None and bool(them.accepted)
    return verdict


def _fault(facts: Facts, found: str, them: Theirs | None, ours: Ours, suspects: set[str]) -> str | None:
    calls = [] if them is None else [call for call in them.submissions if call.outcome != "throttled"]
    attempts = facts.message.attempts
    if len(calls) > 1:
        return f"submitted {len(calls)} times"
    began = [n for n, attempt in attempts.items() if attempt.response is None or attempt.response.kind != "not_sent"]
    if them is not None and len(them.submissions) > len(began):
        return "a call was made whose answer says that it was not"
    outcome = calls[0].outcome if calls else "none"
    match found:
        case "accepted":
            told = {attempt.response.tracking_id for attempt in attempts.values() if attempt.response is not None}
            return None if outcome == "accepted" and calls[0].tracking_id in told else f"the provider says {outcome}"
        case "rejected":
            return None if outcome == "rejected" else f"the provider says {outcome}"
        case "in_doubt":
            last = max(attempts)
            lost = attempts[last].silence
            if lost is not None and lost.reason != "crash":
                return None if calls else "no answer came, and no call did"
            worker = ours.workers.get((facts.message.message_id, last))
            return None if worker in suspects else f"{worker} was neither killed nor paused"
        case _:
            return f"it is not at its end, and the provider says {outcome}"
