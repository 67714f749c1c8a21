"""Adoption in the plain domain, each condition of DESIGN §4 both ways (the library is held to the same elsewhere)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from sendledger.domain.plain import Account, Seen, account
from sendledger.domain.settled import bucket
from sendledger_schemas.registry import Data
from tests.support import story
from tests.support.story import Log, postback

MINUTE = 60.0
WINDOW = 72 * 60 * MINUTE
STARTED = 1_000.0  # seconds of the story
DOUBT: list[tuple[Data, float]] = [
    (story.requested(), 0),
    (story.started(), STARTED),
    (story.unanswered(), STARTED + 30),
]
Told = Data | tuple[Data, float]


def told(*facts: Told) -> Account:
    """The facts of one recipient, each when it happened (by default: behind all others)."""
    log = Log()
    for number, fact in enumerate(facts):
        data, when = fact if isinstance(fact, tuple) else (fact, STARTED + 100 + number)
        log.add(data, when, event_id=f"{data.TYPE} {number}")
    return account(Seen(topic, offset, 0, fact) for topic, offset, fact in log.in_order())


def where(*facts: Told, message: str = "m1") -> str:
    """The bucket of a message by these facts."""
    return bucket(told(*facts).messages[message])


def came(tracking: str = "T9", received: float = STARTED + 60) -> Data:
    """A receipt under a TRACKINGID that no response has named."""
    return postback("delivered", tracking, received=received)


def test_one_unmatched_trackingid_and_one_candidate() -> None:
    """The postback that can only be this attempt's settles it, and is no orphan."""
    found = told(*DOUBT, came())
    assert bucket(found.messages["m1"]) == "delivered"
    assert found.messages["m1"].tracking_id == "T9"
    assert found.orphans == 0


def test_two_unmatched_trackingids_settle_nothing() -> None:
    """Nobody can say which one it is: both are orphans."""
    found = told(*DOUBT, came("T8"), came("T9"))
    assert bucket(found.messages["m1"]) == "in_doubt"
    assert found.orphans == 2


def test_a_trackingid_that_is_somebodys_is_not_counted() -> None:
    """With a second one that a response has named, there is one unmatched still."""
    other = [story.requested("m2"), story.started("m2"), story.accepted("T8", "m2")]
    facts = [*DOUBT, *other, came("T8"), came("T9")]
    assert where(*facts) == "delivered"
    assert where(*facts, message="m2") == "delivered"
    assert told(*facts).messages["m1"].tracking_id == "T9"


def test_two_notices_under_one_trackingid_are_one() -> None:
    """Sent and delivered come under the same name."""
    assert where(*DOUBT, postback("sent", "T9", received=STARTED + 40), came("T9")) == "delivered"


SECOND = [story.requested("m2"), story.started("m2")]


@pytest.mark.parametrize(
    ("more", "candidate"),
    [
        ([], True),
        ([story.unanswered("m2")], True),
        ([story.unanswered("m2"), story.resolved("sent", "m2")], True),
        ([story.unanswered("m2"), story.resolved("withhold", "m2")], True),
        ([story.unanswered("m2"), story.resolved("resend", "m2")], True),
        ([story.accepted("T8", "m2")], False),
        ([story.unanswered("m2"), story.accepted("T8", "m2")], False),
        ([story.rejected("m2")], False),
        ([story.throttled("m2")], False),
        ([story.not_sent("m2")], False),
    ],
    ids=["open", "unanswered", "sent", "withhold", "resend", "accepted", "late", "rejected", "throttled", "not sent"],
)
def test_a_second_candidate_settles_nothing(more: Sequence[Data], *, candidate: bool) -> None:
    """Unanswered, open and resolved attempts may be it; answered ones, and those that never left, may not."""
    assert where(*DOUBT, *SECOND, *more, came()) == ("in_doubt" if candidate else "delivered")


def test_attempts_of_one_message_are_candidates_too() -> None:
    """The first is in doubt and resolved by resend, the second unanswered: either may be it, until one is answered."""
    again = [story.resolved("resend"), story.started(attempt=2), story.unanswered(attempt=2)]
    assert where(*DOUBT, *again, came()) == "in_doubt"
    assert where(*DOUBT, *again, came(), story.rejected(attempt=2)) == "delivered"


@pytest.mark.parametrize("resolution", ["sent", "withhold", "resend"])
def test_a_resolved_attempt_is_adopted_all_the_same(resolution: str) -> None:
    """Evidence stands above an operator's word."""
    assert where(*DOUBT, story.resolved(resolution), came()) == "delivered"  # type: ignore[arg-type]  # of the three


def test_an_open_attempt_is_not_settled() -> None:
    """It may be answered yet."""
    assert where(story.requested(), (story.started(), STARTED), came()) == "attempting"


@pytest.mark.parametrize(
    ("received", "adopted"),
    [
        (STARTED - 5 * MINUTE - 1, False),
        (STARTED - 5 * MINUTE, True),
        (STARTED, True),
        (STARTED + WINDOW, True),
        (STARTED + WINDOW + 1, False),
    ],
)
def test_it_has_to_come_within_the_window(received: float, *, adopted: bool) -> None:
    """From five minutes before the attempt started (clocks differ) to 72 hours after it, by its first arrival."""
    assert where(*DOUBT, came(received=received)) == ("delivered" if adopted else "in_doubt")


def test_the_first_arrival_counts_not_the_last() -> None:
    """What came first under the name before the attempt cannot be this attempt's, whatever comes later."""
    early = postback("sent", "T9", received=STARTED - 10 * MINUTE)
    assert where(*DOUBT, early, came(received=STARTED + 60)) == "in_doubt"


def test_a_late_response_puts_everything_into_place() -> None:
    """Its own: nothing changes but that it is known. Another's: the adoption never was, and the doubt is back."""
    assert where(*DOUBT, came(), story.accepted("T9")) == "delivered"
    other = [story.requested("m2"), story.started("m2"), story.accepted("T9", "m2")]
    assert where(*DOUBT, came(), *other) == "in_doubt"
    assert where(*DOUBT, came(), *other, message="m2") == "delivered"
    found = told(*DOUBT, came(), story.accepted("T7"))
    assert bucket(found.messages["m1"]) == "accepted"
    assert found.orphans == 1


def test_the_order_of_the_facts_does_not_matter() -> None:
    """Whichever order they are told in, the same attempt is adopted."""
    log = Log()
    for data, when in [*DOUBT, (came(), 0.0)]:
        log.add(data, when)
    seen = [Seen(topic, offset, 0, fact) for topic, offset, fact in log.in_order()]
    assert {bucket(account(order).messages["m1"]) for order in itertools.permutations(seen)} == {"delivered"}
