"""What the sender does about one message: given facts, when asked at a time, then a decision."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sendledger.domain.facts import Postback, decode_fact, micros
from sendledger.domain.message import Message, evolve, initial
from sendledger.domain.sending import (
    BACKOFF_MOST,
    CLAIM_KEEPS,
    CONTROL_KEEPS,
    CRASH_MARGIN,
    SECOND,
    Circumstances,
    Decision,
    Done,
    Due,
    InFlight,
    Open,
    Parked,
    Queued,
    Wait,
    Withhold,
    dead,
    decide,
    open_attempt,
    place,
    second_look,
    won,
)
from sendledger_schemas import envelope
from sendledger_schemas.registry import Data
from sendledger_schemas.responses import SendNotSent
from tests.support import story
from tests.support.story import at

WEEK = 7 * 24 * 3600 * SECOND
NOON = micros(at(0))
OPEN = Circumstances("open")


def given(*facts: tuple[int, Data] | Data) -> Message:
    """A message with these facts; an offset may be given, else each follows the one before it on its topic."""
    message: Message | None = None
    follow: dict[int, int] = {}
    for entry in facts:
        data = entry[1] if isinstance(entry, tuple) else entry
        topic = story.TOPIC_OF[type(data)]
        offset = entry[0] if isinstance(entry, tuple) else follow.get(topic, 0)
        follow[topic] = offset + 1
        raw = envelope.encode(envelope.event(data, id=str(offset), source="tests", time=at(offset)))
        fact = decode_fact(raw)
        assert not isinstance(fact, Postback)
        message = evolve(message or initial(fact), offset, fact)
    assert message is not None
    return message


def when(message: Message, around: Circumstances = OPEN, seconds: float = 0) -> Decision:
    """The decision so many seconds after noon."""
    return decide(message, around, WEEK, micros(at(seconds)))


def not_sent(reason: str, attempt: int = 1) -> Data:
    """SendNotSent with a reason."""
    return SendNotSent(**story.names("m1", "r1", "c1"), attempt=attempt, reason=reason)


REQUEST = story.requested()


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ([REQUEST], Due(1)),
        ([story.started()], InFlight()),
        ([REQUEST, story.started()], InFlight()),
        ([REQUEST, story.started(), story.accepted("T1")], Done()),
        ([REQUEST, story.started(), story.rejected()], Done()),
        ([REQUEST, story.started(), story.unanswered()], Done()),
        ([REQUEST, story.started(), story.throttled()], Wait(micros(at(60)))),
        ([REQUEST, story.started(), not_sent("stale")], Due(2)),
        ([REQUEST, story.started(), not_sent("paused")], Due(2)),
        ([REQUEST, story.started(), not_sent("refused")], Wait(NOON + SECOND)),
        ([REQUEST, story.started(), story.unanswered(), story.resolved("resend")], Due(2)),
        ([REQUEST, story.started(), story.unanswered(), story.resolved("sent")], Done()),
        ([REQUEST, story.started(), story.unanswered(), story.resolved("withhold")], Done()),
        ([REQUEST, story.started(), story.unanswered(), story.accepted("T1")], Done()),
        ([REQUEST, story.started(), story.unanswered(), not_sent("stale")], Due(2)),
        ([REQUEST, story.withheld()], Done()),
        ([REQUEST, story.started(), not_sent("stale"), story.started(attempt=2)], InFlight()),
        (
            [REQUEST, story.started(), not_sent("stale"), story.started(attempt=2), story.accepted("T", attempt=2)],
            Done(),
        ),
    ],
)
def test_only_what_provably_did_not_go_out_goes_again(facts: list[Data], decision: Decision) -> None:
    """Rule 1: attempt n+1 follows only a throttle, a call that never began, or an operator's resend."""
    assert when(given(*facts)) == decision


@pytest.mark.parametrize(
    ("around", "decision"),
    [
        (Circumstances("cancelled"), Withhold("cancelled")),
        (Circumstances("cancelled", suppressed=True), Withhold("cancelled")),
        (Circumstances("open", suppressed=True), Withhold("suppressed")),
        (Circumstances("paused", suppressed=True), Withhold("suppressed")),
        (Circumstances("paused"), Parked()),
        (Circumstances("open", busy=True), InFlight()),
        (Circumstances("open", cut=1), Withhold("expired")),
        (Circumstances("paused", cut=1), Withhold("expired")),
    ],
)
def test_orders_and_circumstances_decide_about_a_message_that_is_due(around: Circumstances, decision: Decision) -> None:
    """Cancelled, suppressed and expired are withheld also while paused; paused is parked; one call a recipient."""
    assert when(given(REQUEST), around) == decision


def test_an_open_attempt_is_never_withheld() -> None:
    """What is under way gets its end from its call, whatever people order meanwhile."""
    assert when(given(REQUEST, story.started()), Circumstances("cancelled")) == InFlight()


def test_a_request_expires_at_its_time_or_by_default() -> None:
    """Each request has an end: its own, or the default after it was asked for."""
    own = given(story.requested(expires_at=at(100)))
    assert (when(own, seconds=99), when(own, seconds=100)) == (Due(1), Withhold("expired"))
    week = timedelta(days=7).total_seconds()
    assert when(given(REQUEST), seconds=week - 1) == Due(1)
    assert when(given(REQUEST), seconds=week) == Withhold("expired")


def test_a_scheduled_message_waits_for_its_time() -> None:
    """`not_before` holds, and nothing else of a request's times does."""
    scheduled = given(story.requested(not_before=at(600)))
    assert when(scheduled) == Wait(micros(at(600)))
    assert when(scheduled, seconds=600) == Due(1)


def test_a_request_from_a_clock_that_is_ahead_goes_at_once() -> None:
    """Another machine's clock is no reason to wait."""
    assert when(given(REQUEST), seconds=-30) == Due(1)


def test_calls_that_could_not_begin_are_tried_ever_less_often() -> None:
    """1 s, 2 s, 4 s … 60 s behind the last one; an end of another kind starts the count anew."""
    facts: list[Data] = [REQUEST]
    waits = []
    for attempt in range(1, 10):
        facts += [story.started(attempt=attempt), not_sent("refused", attempt)]
        decision = when(given(*facts), seconds=-100)
        assert isinstance(decision, Wait)
        waits.append(decision.until - micros(at(attempt - 1)))
    assert waits[:4] == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert waits[-1] == BACKOFF_MOST
    assert when(given(*facts, story.started(attempt=10), not_sent("stale", 10)), seconds=0) == Due(11)


def test_the_first_claim_in_log_order_wins() -> None:
    """Rule 4: whoever wrote it, and however late the other one was read."""
    both = given(REQUEST, (7, story.started()), (9, story.started()))
    assert won(both, 1, 7)
    assert not won(both, 1, 9)
    assert not won(given(REQUEST), 1, 7)


def test_a_claim_behind_a_withholding_is_void_and_before_it_is_not() -> None:
    """SendWithheld is arbitrated like a claim."""
    assert not won(given(REQUEST, (5, story.withheld()), (6, story.started())), 1, 6)
    assert won(given(REQUEST, (6, story.started()), (7, story.withheld())), 1, 6)


def test_a_withholding_behind_an_open_attempt_counts_once_that_has_ended_unsent() -> None:
    """Before that the attempt's own end is what counts; afterwards no further attempt follows."""
    open_one = [REQUEST, (6, story.started()), (7, story.withheld())]
    assert place(given(*open_one), WEEK) == Open(1)
    assert when(given(*open_one, story.throttled()), seconds=100) == Done()
    assert when(given(*open_one, story.accepted("T1"))) == Done()
    assert not won(given(*open_one, story.throttled(), (9, story.started(attempt=2))), 2, 9)


def test_a_void_claim_leaves_nothing_open() -> None:
    """A claim behind a withholding needs no end: it was never called."""
    void = given(REQUEST, (5, story.withheld()), (6, story.started()))
    assert open_attempt(void) is None
    assert place(void, WEEK) is None


def test_where_a_message_waits() -> None:
    """A queued message knows its request's offset, its time and its end; an attempt may be read before its request."""
    assert place(given((41, REQUEST)), WEEK) == Queued(41, 0, micros(at(41)) + WEEK)
    assert place(given(story.started()), WEEK) == Open(1)
    assert place(given(story.started(), story.accepted("T1")), WEEK) is None


@pytest.mark.parametrize(
    ("facts", "around", "ages", "expired", "objection"),
    [
        ([], OPEN, (0.1, 0.1), False, None),
        ([], OPEN, (CLAIM_KEEPS + 0.1, 0.1), False, "stale"),
        ([], OPEN, (0.1, CONTROL_KEEPS + 0.1), False, "stale"),
        ([], Circumstances("paused"), (0.1, 0.1), False, "paused"),
        ([], Circumstances("cancelled"), (0.1, 0.1), False, "cancelled"),
        ([], Circumstances("open", suppressed=True), (0.1, 0.1), False, "suppressed"),
        ([], OPEN, (0.1, 0.1), True, "expired"),
        ([story.unanswered()], OPEN, (0.1, 0.1), False, "stale"),
        ([story.resolved("sent")], OPEN, (0.1, 0.1), False, "stale"),
        ([not_sent("stale")], OPEN, (0.1, 0.1), False, "stale"),
    ],
)
def test_the_second_look(
    facts: list[Data],
    around: Circumstances,
    ages: tuple[float, float],
    expired: bool,  # noqa: FBT001 — a column of the table
    objection: str | None,
) -> None:
    """Rule 5: everything that may have changed since the claim is asked again, and old knowledge is none."""
    message = given(REQUEST, story.started(), *facts)
    still_open = open_attempt(message) == 1
    found = second_look(around, still_open=still_open, claim_age=ages[0], control_age=ages[1], expired=expired)
    assert found == objection


def test_a_claim_is_dead_only_when_its_call_must_have_ended() -> None:
    """The call's deadline, plus what a claim may wait before its call, plus time for the answer to be written."""
    deadline = 30 * SECOND
    assert not dead(NOON, NOON + deadline + CRASH_MARGIN, deadline)
    assert dead(NOON, NOON + deadline + CRASH_MARGIN + 1, deadline)
    assert CRASH_MARGIN > 2 * CLAIM_KEEPS * SECOND
