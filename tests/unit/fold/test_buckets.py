"""The bucket of a message: each line of DESIGN §4's table, given events, then the bucket."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import json

from sendledger.domain.facts import Postback
from sendledger.domain.message import Message, evolve, initial, sendable
from sendledger.domain.postbacks import MOST_REPEATS
from sendledger_schemas.registry import Data
from sendledger_schemas.states import MessageState
from tests.support.story import (
    Folded,
    Log,
    accepted,
    at,
    not_sent,
    postback,
    rejected,
    requested,
    resolved,
    started,
    throttled,
    unanswered,
    withheld,
)

DAY = 86_400.0


def fold(*events: Data | tuple[Data, float]) -> Folded:
    """All events, each topic in the given order, folded as one batch."""
    log = Log()
    for number, event in enumerate(events):
        data, when = event if isinstance(event, tuple) else (event, number)
        log.add(data, when, event_id=repr(data))
    result = Folded()
    result.batch(log.in_order())
    return result


def state(result: Folded, message: str = "m1") -> MessageState:
    """The published state of a message."""
    return MessageState.model_validate_json(result.states[message])


def counters(result: Folded, campaign: str = "c1") -> dict[str, int]:
    """The campaign's main counters."""
    record = json.decode(result.published[f"{campaign}/3/0"])
    counted: dict[str, int] = record["counters"]
    return counted


CASES: list[tuple[str, list[Data], str]] = [
    ("asked for", [requested()], "queued"),
    ("claimed", [requested(), started()], "attempting"),
    ("accepted", [requested(), started(), accepted("T1")], "accepted"),
    ("accepted, its claim not read yet", [requested(), accepted("T1")], "accepted"),
    ("rejected", [requested(), started(), rejected()], "rejected"),
    ("throttled goes back", [requested(), started(), throttled()], "queued"),
    ("never left goes back", [requested(), started(), not_sent()], "queued"),
    ("second attempt", [requested(), started(), throttled(), started(attempt=2)], "attempting"),
    ("second accepted", [requested(), started(), throttled(), accepted("T1", attempt=2)], "accepted"),
    ("unanswered", [requested(), started(), unanswered()], "in_doubt"),
    ("late answer beats doubt", [requested(), started(), unanswered(), accepted("T1")], "accepted"),
    ("late rejection beats doubt", [requested(), started(), unanswered(), rejected()], "rejected"),
    ("operator: it was sent", [requested(), started(), unanswered(), resolved("sent")], "accepted"),
    ("operator: give it up", [requested(), started(), unanswered(), resolved("withhold")], "cancelled"),
    ("operator: again", [requested(), started(), unanswered(), resolved("resend")], "queued"),
    (
        "decision beats a later throttle",
        [requested(), started(), unanswered(), resolved("sent"), throttled()],
        "accepted",
    ),
    (
        "answer beats a decision",
        [requested(), started(), unanswered(), resolved("withhold"), accepted("T1")],
        "accepted",
    ),
    ("withheld", [requested(), withheld("suppressed")], "suppressed"),
    ("withheld behind an open claim waits", [requested(), started(), withheld("cancelled")], "attempting"),
    ("withheld behind a claim that never left", [requested(), started(), withheld("expired"), not_sent()], "expired"),
    ("a claim behind a withheld is void", [requested(), withheld("cancelled"), started()], "cancelled"),
    ("sent notice", [requested(), started(), accepted("T1"), postback("sent")], "sent"),
    ("still trying", [requested(), started(), accepted("T1"), postback("trying")], "sent"),
    ("delivered", [requested(), started(), accepted("T1"), postback("sent"), postback("delivered")], "delivered"),
    ("receipt before all else", [postback("delivered"), requested(), started(), accepted("T1")], "delivered"),
    (
        "sent after delivered",
        [requested(), accepted("T1"), postback("delivered"), postback("sent", received=90)],
        "delivered",
    ),
    ("undelivered", [requested(), accepted("T1"), postback("undelivered", detail="expired")], "undelivered"),
    ("not submitted", [requested(), accepted("T1"), postback("submit_failed")], "undelivered"),
    ("another number's receipt", [requested(), accepted("T1"), postback("delivered", recipient="r2")], "accepted"),
]


@pytest.mark.parametrize(("events", "bucket"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bucket(events: list[Data], bucket: str) -> None:
    """The first line of the table that holds is the bucket, and the message counts there once."""
    result = fold(*events)
    assert state(result).bucket == bucket
    assert counters(result)["requested"] == 1
    assert [name for name in counters(result) if name.startswith("b:")] == [f"b:{bucket}"]


def test_a_message_without_its_request_is_nowhere() -> None:
    """Facts without a request publish no state and count nothing."""
    result = fold(started(), accepted("T1"), postback("delivered"))
    assert result.states == {}
    assert "c1/3/0" not in result.published


def test_adoption_settles_a_lone_doubt() -> None:
    """An unmatched TRACKINGID settles the one unanswered attempt of its recipient."""
    result = fold(requested(), started(), unanswered(), postback("delivered", "T9"))
    assert state(result).bucket == "delivered"
    assert state(result).tracking_id == "T9"
    assert counters(result, "_none") == {}


def test_adoption_does_not_touch_an_open_attempt() -> None:
    """An attempt that may still be answered waits: the postback is an orphan until then."""
    result = fold(requested(), started(), postback("delivered", "T9"))
    assert state(result).bucket == "attempting"
    assert counters(result, "_none") == {"orphans": 1, "orphans:c1": 1}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([postback("sent", "T8")], "two unmatched TRACKINGIDs"),
        ([requested("m2"), started("m2"), unanswered("m2")], "two unanswered attempts"),
        ([requested("m2"), started("m2")], "another attempt is still open"),
        ([requested("m2"), started("m2"), unanswered("m2"), resolved("sent", "m2")], "a resolved one may be it too"),
    ],
)
def test_ambiguity_stays_in_doubt(more: list[Data], why: str) -> None:
    """With two candidates on either side nothing is adopted."""
    result = fold(requested(), started(), unanswered(), postback("delivered", "T9"), *more)
    assert state(result).bucket == "in_doubt", why


@pytest.mark.parametrize(
    ("received", "bucket"),
    [(-301.0, "in_doubt"), (-299.0, "delivered"), (3 * DAY - 5, "delivered"), (3 * DAY + 5, "in_doubt")],
)
def test_adoption_has_a_window(received: float, bucket: str) -> None:
    """From 5 minutes before the attempt (clocks) to 72 hours after it, by the arrival of the first postback."""
    result = fold(
        (requested(), 0), (started(), 0), (unanswered(), 0), (postback("delivered", "T9", received=received), 0)
    )
    assert state(result).bucket == bucket


def test_adoption_is_undone_when_the_response_comes() -> None:
    """Derived from the facts each time: once T9's own response is read, the other message is in doubt again."""
    events = [requested(), started(), unanswered(), requested("m2"), postback("delivered", "T9")]
    assert state(fold(*events)).bucket == "delivered"
    result = fold(*events, started("m2"), accepted("T9", "m2"))
    assert state(result).bucket == "in_doubt"
    assert state(result, "m2").bucket == "delivered"


def test_a_doubt_says_since_when_and_why() -> None:
    """Of several attempts the last doubtful one; once it is settled there is neither."""
    events = [(requested(), 0), (started(), 10), (throttled(), 11), (started(attempt=2), 80)]
    doubt = (unanswered(attempt=2), 110.0)
    found = state(fold(*events, doubt))
    assert (found.bucket, found.doubt_reason, found.doubt_since) == ("in_doubt", "timeout", at(110))
    settled = state(fold(*events, doubt, (accepted("T1", attempt=2), 120)))
    assert (settled.bucket, settled.doubt_reason, settled.doubt_since) == ("accepted", None, None)


def test_a_conflict_is_kept_counted_and_settled_by_provider_time() -> None:
    """Two different finals: both stay, the first by the provider's clock counts, and the message is conflicted."""
    late_good = postback("delivered", received=100, provider=50)
    early_bad = postback("undelivered", received=200, provider=40, detail="failed")
    result = fold(requested(), accepted("T1"), late_good, early_bad)
    assert state(result).bucket == "undelivered"
    assert state(result).conflicted
    assert counters(result)["conflicted"] == 1


def test_a_repeated_postback_counts_as_repeat_and_nothing_else() -> None:
    """The same body delivered again is the same event: only the count of repeats tells, once a delivery."""
    first, second, third = (postback("delivered", received=10 + n, provider=9) for n in range(3))
    once = told([first])
    assert told([first, second, third]) == {**once, "repeat": 2}
    assert told([first, second, first, second, third, second]) == {**once, "repeat": 2}


def test_one_delivery_that_is_logged_twice_is_no_repeat() -> None:
    """What the receiver spooled although Kafka had it is on the log twice, and the provider said it once."""
    delivered = postback("delivered")
    assert told([delivered, delivered, delivered]) == told([delivered])


def test_a_body_that_comes_for_ever_does_not_grow_its_document() -> None:
    """Repeats of one body are counted up to a limit that no provider reaches."""
    flood = [postback("delivered", received=10 + n, provider=9) for n in range(MOST_REPEATS + 50)]
    assert told(flood)["repeat"] == MOST_REPEATS


def told(bodies: list[Data]) -> dict[str, int]:
    """The counters of one message after these deliveries of one body."""
    log = Log()
    for data in (requested(), accepted("T1")):
        log.add(data)
    for number, data in enumerate(bodies):
        log.add(data, number, event_id="one body")
    result = Folded()
    result.batch(log.in_order())
    return counters(result)


def test_orphans_are_counted_with_the_campaigns_of_their_recipient() -> None:
    """A postback that matches nothing is visible under `_none` and with each campaign of that recipient."""
    result = fold(requested(), postback("sent", "T7"), postback("sent", "T7", recipient="r9"))
    assert counters(result, "_none") == {"orphans": 2, "orphans:c1": 1}


def message(*events: Data) -> Message:
    """A message after its own events."""
    log = Log()
    for event in events:
        log.add(event)
    known: Message | None = None
    for _, offset, fact in log.in_order():
        assert not isinstance(fact, Postback)
        known = evolve(known or initial(fact), offset, fact)
    assert known is not None
    return known


SENDABLE: list[tuple[str, list[Data], int | None]] = [
    ("fresh", [requested()], 1),
    ("open", [requested(), started()], None),
    ("accepted", [requested(), started(), accepted("T1")], None),
    ("rejected", [requested(), started(), rejected()], None),
    ("unanswered", [requested(), started(), unanswered()], None),
    ("throttled", [requested(), started(), throttled()], 2),
    ("never left", [requested(), started(), not_sent()], 2),
    ("resend", [requested(), started(), unanswered(), resolved("resend")], 2),
    ("counted as sent", [requested(), started(), unanswered(), resolved("sent")], None),
    ("given up, then throttled", [requested(), started(), resolved("withhold"), throttled()], None),
    ("withheld", [requested(), withheld()], None),
    ("no request yet", [started(), throttled()], None),
]


@pytest.mark.parametrize(("events", "attempt"), [case[1:] for case in SENDABLE], ids=[case[0] for case in SENDABLE])
def test_sendable(events: list[Data], attempt: int | None) -> None:
    """Attempt n + 1 follows only a provable failure of n, or an operator's resend (DESIGN §6, rule 1)."""
    due = sendable(message(*events))
    assert (due and due[0]) == attempt


def test_a_throttled_message_waits_until_its_time() -> None:
    """A throttled attempt names the time from which the next one may go."""
    due = sendable(message(requested(), started(), throttled()))
    assert due is not None
    assert due[1] == round((at(0) + timedelta(seconds=60)).timestamp() * 1e6)
