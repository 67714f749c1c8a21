"""The judge of chaos rounds: right when all is right, and each wrong is named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendledger.domain.facts import decode_fact
from sendledger.domain.plain import Seen, account
from sendledger.simulator.entries import Submission, to_line
from sendledger_schemas import envelope
from sendledger_schemas.registry import Data
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendUnanswered
from sendledger_schemas.topics import FOLD_SOURCES, TOPICS
from tests.chaos.done import Done, Hold
from tests.chaos.hands import Hand
from tests.chaos.judge import judge
from tests.chaos.plan import plan
from tests.chaos.provider import Provider
from tests.support import story
from tests.support.sender_truth import Ours, sha256_of
from tests.support.story import START

Line = dict[str, Any]
"""Some fields of a call's line."""

WORKER = Hand(pid=1, number=0, arm="")
CLAIMED = [story.started()]
TAKEN: Line = {"outcome": "accepted", "answer": "success", "tracking_id": "T1"}
REFUSED: Line = {"outcome": "rejected", "answer": "failure", "code": "E110"}
THROTTLED: Line = {"outcome": "throttled", "answer": "failure", "code": "E120"}
LOST: Line = {"outcome": "dropped", "answer": "reset_before"}


def asked() -> SendRequested:
    """The one request."""
    found = story.requested()
    assert isinstance(found, SendRequested)
    return found


def call(mono: float = 10.0, **given: Any) -> Submission:
    """A line of the ledger about it."""
    base = {"seq": 1, "n": 1, "to": asked().to, "sender": None, "campaign_ref": None, "operator_id": None}
    text = sha256_of(asked().text)
    return Submission(mono=mono, wall=mono, text_sha256=text, method="POST", path="/", **{**base, **given})


def log(events: Sequence[Data]) -> Ours:
    """The request and these, folded; claimed by the one worker."""
    topics = {model: topic for topic in FOLD_SOURCES for model in TOPICS[topic].events}
    seens = []
    for offset, data in enumerate([asked(), *events]):
        when = START + timedelta(seconds=offset)
        fact = decode_fact(envelope.encode(envelope.event(data, id=str(offset), source="tests", time=when)))
        seens.append(Seen(FOLD_SOURCES.index(topics[type(data)]), offset, offset, fact))
    attempts = {data.attempt for data in events if data.TYPE == story.started().TYPE}  # type: ignore[union-attr]
    silences: dict[tuple[str, int], set[str]] = defaultdict(set)
    for data in events:
        if isinstance(data, SendUnanswered):
            silences[data.message_id, data.attempt].add(data.reason)
    workers = {(asked().message_id, n): WORKER.worker for n in attempts}
    return Ours(account(sorted(seens)).messages, workers, silences)


def judged(path: Path, events: Sequence[Data], calls: Sequence[Submission], **over: Any) -> list[str]:
    """What the judge says."""
    ledger = path / "ledger.jsonl"
    ledger.write_bytes(b"".join(to_line(one) for one in calls) + b'{"kind": "torn')
    done = replace(Done(plan(1, 1), [asked()], [WORKER]), **over)
    return judge(done, log(events), Provider(ledger, 1, None)).violations  # type: ignore[arg-type]  # it asks nobody


AGAIN = [*CLAIMED, story.throttled(), story.started(attempt=2)]
RIGHT: dict[str, tuple[list[Data], list[Line]]] = {
    "accepted": ([*CLAIMED, story.accepted("T1")], [TAKEN]),
    "rejected": ([*CLAIMED, story.rejected()], [REFUSED]),
    "throttled, then accepted": ([*AGAIN, story.accepted("T1", attempt=2)], [THROTTLED, TAKEN]),
    "in doubt, and there": ([*CLAIMED, story.unanswered()], [TAKEN]),
    "in doubt, and not there": ([*CLAIMED, story.unanswered()], [LOST]),
    "taken for dead, and slow": ([*CLAIMED, story.unanswered(reason="crash"), story.unanswered()], [TAKEN]),
}
WRONG: dict[str, tuple[list[Data], list[Line], str]] = {
    "twice": ([*CLAIMED, story.accepted("T1")], [TAKEN, TAKEN], "submitted 2 times"),
    "twice, one unknown": ([*AGAIN, story.accepted("T1", attempt=2)], [LOST, TAKEN], "submitted 2 times"),
    "accepted by nobody": ([*CLAIMED, story.accepted("T1")], [], "it is not"),
    "accepted under another name": ([*CLAIMED, story.accepted("T2")], [TAKEN], "it is not"),
    "rejected by nobody": ([*CLAIMED, story.rejected()], [TAKEN], "it is not"),
    "a throttle for a rejection": ([*CLAIMED, story.rejected()], [THROTTLED], "it is not"),
    "withheld, but out": ([*CLAIMED, story.withheld()], [TAKEN], "the provider"),
    "withheld by nobody": ([story.withheld()], [], "nobody said so"),
    "suppressed by nobody": ([story.withheld("suppressed")], [], "nobody said so"),
    "expired without an end": ([story.withheld("expired")], [], "nobody said so"),
    "left queued": ([], [], "not at its end"),
    "left attempting": (CLAIMED, [TAKEN], "not at its end"),
    "not sent, but it was": ([*CLAIMED, story.not_sent()], [TAKEN], "whose answer says that it was not"),
    "an answer in order, unread": (
        [*CLAIMED, story.unanswered(reason="unreadable")],
        [TAKEN],
        "the answer was in order",
    ),
    "a death of the living": ([*CLAIMED, story.unanswered(reason="crash")], [], "neither killed nor stopped"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_no_violation(tmp_path: Path, name: str) -> None:
    """Each bucket as the provider knows it."""
    events, calls = RIGHT[name]
    assert judged(tmp_path, events, [call(**one) for one in calls]) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_is_named_with_its_message(tmp_path: Path, name: str) -> None:
    """One line, that begins with the message's id."""
    events, calls, said = WRONG[name]
    (line,) = judged(tmp_path, events, [call(**one) for one in calls])
    assert line.startswith(asked().message_id)
    assert said in line


def test_a_lost_request_and_a_foreign_call_are_found(tmp_path: Path) -> None:
    """A request that is no message; a call that nobody asked for."""
    other = asked().model_copy(update={"message_id": "other"})
    assert any("differ" in line for line in judged(tmp_path, *_fine(), requests=[asked(), other]))
    foreign = call(**TAKEN | {"to": "15550009999"})
    assert any("nobody's" in line for line in judged(tmp_path, _fine()[0], [*_fine()[1], foreign]))


@pytest.mark.parametrize(("mono", "late"), [(10.9, False), (11.1, True), (14.9, True), (15.1, False)])
@pytest.mark.parametrize("target", ["*", "c1", asked().to])
def test_a_call_in_a_pause_is_found(tmp_path: Path, mono: float, target: str, *, late: bool) -> None:
    """From a second after the pause was acknowledged until the resume; of the campaign, the account, or the number."""
    events, calls = RIGHT["accepted"]
    found = judged(tmp_path, events, [call(mono, **one) for one in calls], holds=[Hold(target, 10.0, 15.0)])
    assert bool(found) == late
    assert judged(tmp_path, events, [call(mono, **one) for one in calls], holds=[Hold("c2", 10.0, 15.0)]) == []


@pytest.mark.parametrize(("wall", "early"), [(9.9, True), (10.1, False)])
def test_a_call_before_its_time_is_found(tmp_path: Path, wall: float, *, early: bool) -> None:
    """By the simulator's wall clock, the machine's."""
    events, calls = RIGHT["accepted"]
    scheduled = asked().model_copy(update={"not_before": datetime.fromtimestamp(10.0, UTC)})
    found = judged(tmp_path, events, [call(wall, **one) for one in calls], requests=[scheduled])
    assert ["before" in line for line in found] == [True] * early


def test_what_was_withheld_for_a_reason_is_right(tmp_path: Path) -> None:
    """Cancelled or suppressed by us, or an end of its own."""
    ends = asked().model_copy(update={"expires_at": START})
    assert judged(tmp_path, [story.withheld("cancelled")], [], cancelled={"c1"}) == []
    assert judged(tmp_path, [story.withheld("suppressed")], [], suppressed={asked().to}) == []
    assert judged(tmp_path, [story.withheld("expired")], [], requests=[ends]) == []


def test_one_call_of_a_sleeper_that_was_past_its_second_look_is_excused(tmp_path: Path) -> None:
    """Right after it wakes; not later."""
    sleeper = Hand(pid=1, number=0, arm="", sleeps=[(9.0, 13.0)])
    events, calls = RIGHT["accepted"]
    pause = [Hold("*", 10.0, 15.0)]
    assert judged(tmp_path, events, [call(13.1, **one) for one in calls], holds=pause, hands=[sleeper]) == []
    assert judged(tmp_path, events, [call(13.9, **one) for one in calls], holds=pause, hands=[sleeper]) != []


def _fine() -> tuple[list[Data], list[Submission]]:
    events, calls = RIGHT["accepted"]
    return events, [call(**one) for one in calls]
