"""What the log and the provider's ledger say together about a round, and whether that is right.

The log is folded the plain way (`domain/plain.py`); the ledger is the simulator's and shares no code with us. Of the
ledger only the lines of the calls are used, each with its time.

| it must be | by the ledger |
|---|---|
| never twice | of a message's calls at most one was not throttled |
| never lost | each request is a message in one bucket, and neither queued nor attempting |
| accepted, rejected | the provider has it, with that TRACKINGID; it refused it, with that code |
| withheld | every call was throttled, and there was a reason: cancelled or suppressed by us, or an end of its own |
| scheduled | no call came before its time |
| in doubt | no call came, or the provider's answer got lost or was none: each reason as far as the ledger can tell |
| at rest | from 1 s after a pause, cancel or suppression was acknowledged no call of it came, until it was resumed |

Of a call at rest it is taken off how late the simulator may have heard it (`Provider.lateness`). A sender that is
stopped between its second look and its first byte finishes that call when it wakes, which no program can help: of each
sleep as many such calls as can have been there are no violations, and are counted (`excused`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.domain.settled import Facts, bucket
from sendledger.simulator.entries import Submission, from_line
from sendledger_schemas.requests import SendRequested
from tests.chaos.done import Done, Hold
from tests.chaos.hands import Hand
from tests.chaos.plan import ACCOUNT
from tests.chaos.provider import Provider
from tests.support.sender_truth import Ours, sha256_of

HOLDS_WITHIN = 1.0
_WAKING = 0.5
Text = tuple[str, str]
"""TO and the hash of the text: what makes a message unique in the ledger."""


@dataclass
class Verdict:
    """What is wrong, one line each, with the message; and what was counted on the way."""

    violations: list[str] = field(default_factory=list)
    buckets: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    submissions: int = 0
    throttled: int = 0
    excused: int = 0

    def __str__(self) -> str:
        buckets = ", ".join(f"{count} {name}" for name, count in sorted(self.buckets.items()))
        return f"{self.messages} messages: {buckets}; {self.submissions} calls; {len(self.violations)} violations"


def judge(done: Done, ours: Ours, provider: Provider) -> Verdict:
    """Compare."""
    calls = calls_of(provider.ledger)
    verdict = Verdict(buckets=ours.buckets(), messages=len(done.requests), faults=done.faults)
    verdict.violations += done.troubles
    names = {request.message_id for request in done.requests}
    if extra := set(ours.messages) ^ names:
        verdict.violations.append(f"requests and messages differ: {sorted(extra)[:5]}")
    if sum(verdict.buckets.values()) != len(names):
        verdict.violations.append(f"{len(names)} requests, {sum(verdict.buckets.values())} in buckets")
    texts = {(request.to, sha256_of(request.text)) for request in done.requests}
    verdict.violations += [f"a call of nobody's: text {text[:8]}" for to, text in calls if (to, text) not in texts]
    struck = {hand.worker for hand in done.hands if hand.was_struck}
    for request in done.requests:
        facts = ours.messages.get(request.message_id)
        if facts is None:
            continue
        theirs = calls[request.to, sha256_of(request.text)]
        verdict.submissions += len(theirs)
        verdict.throttled += sum(call.outcome == "throttled" for call in theirs)
        fault = _Message(request, facts, theirs, ours, struck, done).fault(verdict.doubts)
        if fault is not None:
            told = ", ".join(f"{call.outcome} ({call.answer})" for call in theirs) or "no call"
            verdict.violations.append(f"{request.message_id} is {bucket(facts)}: {fault}; the provider: {told}")
    _rest(done, ours, calls, provider, verdict)
    return verdict


def calls_of(ledger: Path) -> dict[Text, list[Submission]]:
    """All calls of all lives of the provider, in order; a line that a kill has torn is none."""
    calls: dict[Text, list[Submission]] = defaultdict(list)
    with ledger.open("rb") as lines:
        for line in lines:
            entry = from_line(line)
            if isinstance(entry, Submission):
                calls[entry.to or "", entry.text_sha256 or ""].append(entry)
    return calls


@dataclass(frozen=True)
class _Message:
    request: SendRequested
    facts: Facts
    theirs: Sequence[Submission]
    ours: Ours
    struck: set[str]
    done: Done

    def fault(self, doubts: Counter[str]) -> str | None:
        """What is wrong with it; `doubts` counts why, if it is in doubt."""
        final = [call for call in self.theirs if call.outcome != "throttled"]
        if len(final) > 1:
            return f"submitted {len(final)} times"
        attempts = self.facts.message.attempts
        began = [n for n, one in attempts.items() if one.response is None or one.response.kind != "not_sent"]
        if len(self.theirs) > len(began):
            return "a call was made whose answer says that it was not"
        if (due := self.request.not_before) and any(call.wall < due.timestamp() for call in self.theirs):
            return f"it was called before {due}"
        call = final[0] if final else None
        match bucket(self.facts):
            case "accepted":
                told = {one.response.tracking_id for one in attempts.values() if one.response is not None}
                return None if call and call.outcome == "accepted" and call.tracking_id in told else "it is not"
            case "rejected":
                codes = {one.response.code for one in attempts.values() if one.response is not None}
                return None if call and call.outcome == "rejected" and call.code in codes else "it is not"
            case "in_doubt":
                return self._doubt(call, doubts)
            case "cancelled" | "suppressed" | "expired" as reason:
                return "the provider knows it" if call else self._unless_withheld_for(reason)
            case _:
                return f"it is not at its end: {self.facts.message}, {self._workers()}"

    def _workers(self) -> str:
        claims = {n: worker for (name, n), worker in self.ours.workers.items() if name == self.request.message_id}
        return f"claimed by {claims}"

    def _unless_withheld_for(self, reason: str) -> str | None:
        said = {
            "cancelled": self.request.campaign_id in self.done.cancelled,
            "suppressed": self.request.to in self.done.suppressed,
            "expired": self.request.expires_at is not None,
        }
        return None if said[reason] else "nobody said so"

    def _doubt(self, call: Submission | None, doubts: Counter[str]) -> str | None:
        name = self.request.message_id, max(self.facts.message.attempts)
        # Taken for dead though alive, it may have a doubt of its own behind that one: the margin is short here.
        why = min(self.ours.silences.get(name, set()) - {"crash"}, default="crash")
        came = call if call is not None else next(reversed(self.theirs), None)
        known = "no call" if call is None else "the provider has it" if call.outcome == "accepted" else "it has it not"
        doubts[f"{why}, {known}"] += 1
        if why in ("unreadable", "http_5xx"):
            plain = came is None or came.answer in ("success", "failure")
            return f"{why}, but the answer was in order" if plain else None
        if why != "crash":
            return None
        worker = self.ours.workers.get(name)
        return None if worker in self.struck else f"crash, but {worker} was neither killed nor stopped"


def _rest(done: Done, ours: Ours, calls: dict[Text, list[Submission]], provider: Provider, verdict: Verdict) -> None:
    """No call starts while it must not."""
    hands = {hand.worker: hand for hand in done.hands}
    workers: dict[str, set[str]] = defaultdict(set)
    for (name, _), worker in ours.workers.items():
        workers[name].add(worker)
    for hold in done.holds:
        left: Counter[Hand] = Counter()
        for request in done.requests:
            if hold.target not in (ACCOUNT, request.campaign_id, request.to):
                continue
            for call in calls[request.to, sha256_of(request.text)]:
                late = call.mono - provider.lateness(call.mono) - hold.since
                if late <= HOLDS_WITHIN or call.mono >= hold.until:
                    continue
                woken = _woken((hands[worker] for worker in workers[request.message_id] if worker in hands), hold, call)
                if woken is not None and left[woken] < 1 + ("request_" in woken.arm):
                    left[woken] += 1
                    verdict.excused += 1
                    continue
                verdict.violations.append(
                    f"{request.message_id} was called {late:.2f} s after {hold.target} was to be at rest"
                )


def _woken(hands: Iterable[Hand], hold: Hold, call: Submission) -> Hand | None:
    """Who slept when the hold began to count, and made this call right after waking."""
    for hand in hands:
        for stopped, woke in hand.sleeps:
            if stopped < hold.since + HOLDS_WITHIN and woke < call.mono < woke + _WAKING:
                return hand
    return None
