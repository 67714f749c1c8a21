"""How calls end: outcome → event, retry times, and what pauses a campaign."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sendledger.domain.call_ends import (
    IN_A_ROW,
    NeverBegan,
    NoAnswer,
    Outcome,
    Refused,
    Streaks,
    Taken,
    TooFast,
    response_to,
)
from sendledger.domain.message import Message
from sendledger_schemas.responses import SendThrottled
from tests.support import story
from tests.support.story import at
from tests.unit.sender.test_sending import given

MESSAGE = given(story.requested(), story.started())
CAMPAIGN = Refused("E714", "", "campaign")


def ended(outcome: Outcome, message: Message = MESSAGE, attempt: int = 1) -> dict[str, object]:
    """The data of the event, without the ids."""
    response = response_to(message, attempt, outcome, ended=at(5), seconds=0.25)
    assert (response.message_id, response.campaign_id, response.recipient_id) == ("m1", "c1", "r1")
    own = response.model_dump(exclude={"message_id", "campaign_id", "recipient_id"})
    return {"type": response.TYPE.split(".")[1], **own}


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Taken("SMS_1"), {"type": "send-accepted", "tracking_id": "SMS_1", "duration_ms": 250.0}),
        (
            Refused("E110", "bad", "message"),
            {"type": "send-rejected", "error_code": "E110", "error_info": "bad", "error_class": "message"},
        ),
        (TooFast("HTTP_429", 7.0), {"type": "send-throttled", "error_code": "HTTP_429", "retry_at": at(12)}),
        (NeverBegan("dns"), {"type": "send-not-sent", "reason": "dns"}),
        (NoAnswer("http_5xx", "http_502"), {"type": "send-unanswered", "reason": "http_5xx"}),
    ],
)
def test_each_end_of_a_call_has_its_event(outcome: Outcome, event: dict[str, object]) -> None:
    """The table of the module's first lines; details for people's eyes do not go to the log."""
    assert ended(outcome) == {"attempt": 1, **event}


def test_a_throttled_message_waits_longer_each_time() -> None:
    """1 s, 2 s, 4 s … and never more than a minute, where the provider does not say how long."""
    facts = [story.requested()]
    waits = []
    for attempt in range(1, 10):
        facts.append(story.started(attempt=attempt))
        response = response_to(given(*facts), attempt, TooFast("E120"), ended=at(0), seconds=0)
        assert isinstance(response, SendThrottled)
        waits.append((response.retry_at - at(0)).total_seconds())
        facts.append(story.throttled(attempt=attempt))
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == 60


def test_a_providers_wish_to_wait_for_ever_is_cut_at_a_day() -> None:
    """Retry-After is honoured within reason."""
    response = response_to(MESSAGE, 1, TooFast("HTTP_429", 1e6), ended=at(0), seconds=0)
    assert isinstance(response, SendThrottled)
    assert response.retry_at == at(0) + timedelta(days=1)


def test_five_campaign_class_rejections_in_a_row_pause_their_campaign() -> None:
    """Another campaign's are counted apart, and after the fifth the count starts anew."""
    streaks = Streaks()
    told = [(streaks.ended("c", CAMPAIGN), streaks.ended("d", CAMPAIGN) if turn == 0 else False) for turn in range(10)]
    assert [first for first, _ in told] == [turn % IN_A_ROW == IN_A_ROW - 1 for turn in range(10)]
    assert not any(second for _, second in told)


@pytest.mark.parametrize("between", [Taken("T"), Refused("E110", "", "message")])
def test_an_answer_of_another_kind_ends_the_row(between: Outcome) -> None:
    """The provider took the campaign's word for once, so its id is not what is wrong."""
    streaks = Streaks()
    ends = [*[CAMPAIGN] * 4, between, *[CAMPAIGN] * 4]
    assert not any(streaks.ended("c", outcome) for outcome in ends)


@pytest.mark.parametrize("between", [TooFast("E120"), NeverBegan("dns"), NoAnswer("timeout")])
def test_an_end_that_says_nothing_about_the_campaign_does_not_end_the_row(between: Outcome) -> None:
    """Throttles, refused connections and doubts are neither for nor against it."""
    streaks = Streaks()
    ends = [*[CAMPAIGN] * 4, between, CAMPAIGN]
    assert [streaks.ended("c", outcome) for outcome in ends][-1]
