"""Who has a token can claim something about a message, and nothing else: given these events, then this body, then this.

The bodies go the whole way: decoder, event, fold's library. DESIGN §4 (adoption) says all that a claim about an unknown
TRACKINGID may do; whatever else is forged or impossible is counted as an orphan, or is not folded at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sendledger.domain.facts import decode_fact
from sendledger.edges.postback_records import PostbackRecords
from sendledger_schemas import ids
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import FOLD_SOURCES, POSTBACKS
from tests.support import story
from tests.support.receiver import NUMBER, receipt
from tests.support.story import Folded, Log

PEPPER = b"canary-pepper"
RECORDS = PostbackRecords(PEPPER, 8, "receiver")
HERE, OTHER = (ids.recipient_id(PEPPER, number) for number in (NUMBER, "15550000000"))
STARTED = 1_000.0  # seconds of the story

ASKED: list[tuple[Data, float]] = [(story.requested(recipient=HERE), 0)]
OPEN = [*ASKED, (story.started(recipient=HERE), STARTED)]
DOUBT = [*OPEN, (story.unanswered(recipient=HERE), STARTED + 30)]
ACCEPTED = [*OPEN, (story.accepted("SMS_1", recipient=HERE), STARTED + 1)]
REJECTED = [*OPEN, (story.rejected(recipient=HERE), STARTED + 1)]
SETTLED = [*ACCEPTED, (story.postback("undelivered", "SMS_1", HERE, STARTED + 9, detail="failed"), STARTED + 9)]
WITHHELD = [*ASKED, (story.withheld(recipient=HERE), 5)]
ELSEWHERE: list[tuple[Data, float]] = [
    (story.requested("m2", OTHER), 0),
    (story.started("m2", OTHER), STARTED),
    (story.accepted("SMS_2", "m2", OTHER), STARTED + 1),
]


@dataclass
class Told:
    """Numbers of campaign `c1` (all its counters), its messages' states, and the orphans."""

    numbers: dict[str, int] = field(default_factory=dict)
    states: dict[str, dict[str, object]] = field(default_factory=dict)
    orphans: dict[str, int] = field(default_factory=dict)


def told(given: list[tuple[Data, float]], *bodies: tuple[bytes, float]) -> Told:
    """What the fold publishes of these events and of these bodies, each received at its second."""
    log, folded, found = Log(), Folded(), Told()
    for number, (data, when) in enumerate(given):
        log.add(data, when, event_id=f"given {number}")
    for body, when in bodies:
        record = RECORDS.keep(body, story.START + timedelta(seconds=when)).record
        if record.topic == POSTBACKS:
            log.topics[FOLD_SOURCES.index(POSTBACKS)].append(record.value)
    folded.batch(log.in_order())
    for raw in folded.published.values():
        partial = json.loads(raw)
        into = found.orphans if partial["campaign_id"] == "_none" else found.numbers
        if partial["day"] is None:
            into.update(partial["counters"])
    for key, raw in folded.states.items():
        state = json.loads(raw)
        found.states[key] = {name: value for name, value in state.items() if name not in {"to", "version"}}
    return found


LATER = STARTED + 60
UNKNOWN = (receipt(9), LATER)


@pytest.mark.parametrize(
    "given",
    [ASKED, OPEN, ACCEPTED, REJECTED, SETTLED, WITHHELD],
    ids=["queued", "attempting", "accepted", "rejected", "undelivered", "withheld"],
)
def test_an_unknown_trackingid_changes_nothing_and_is_counted(given: list[tuple[Data, float]]) -> None:
    """Where nothing is in doubt, no number and no message moves; the postback is an orphan of the campaign."""
    before, after = told(given), told(given, UNKNOWN)
    assert (after.numbers, after.states) == (before.numbers, before.states)
    assert (before.orphans.get("orphans", 0), after.orphans) == (0, {"orphans": 1, "orphans:c1": 1})


def test_a_recipient_that_nobody_sent_to_is_an_orphan_of_no_campaign() -> None:
    """Any number may be claimed to have got something; it stands under `_none` alone."""
    stranger = (receipt(9, to="15559999999"), LATER)
    before, after = told(ACCEPTED), told(ACCEPTED, stranger)
    assert (after.numbers, after.states) == (before.numbers, before.states)
    assert after.orphans == {"orphans": 1}


def test_a_known_trackingid_with_another_recipient_changes_nothing() -> None:
    """The TRACKINGID of one recipient's message says nothing beside another's number, in either direction."""
    given = [*ACCEPTED, *ELSEWHERE]
    crossed = [(receipt(2), LATER), (receipt(1, to="15550000000"), LATER)]
    before, after = told(given), told(given, *crossed)
    assert (after.numbers, after.states) == (before.numbers, before.states)
    assert after.orphans == {"orphans": 2, "orphans:c1": 2}


def test_the_doubt_rule_and_nothing_else() -> None:
    """One unknown TRACKINGID settles the one doubt of its recipient; a second one, and the doubt is back."""
    one = told(DOUBT, UNKNOWN)
    assert (one.numbers["b:delivered"], one.orphans.get("orphans", 0)) == (1, 0)
    two = told(DOUBT, UNKNOWN, (receipt(8), LATER))
    assert (two.numbers["b:in_doubt"], two.orphans["orphans"]) == (1, 2)
    assert "b:delivered" not in two.numbers


@pytest.mark.parametrize("when", [STARTED - 301, STARTED + 72 * 3600 + 1], ids=["before the attempt", "too late"])
def test_outside_its_window_not_even_a_doubt_moves(when: float) -> None:
    """A claim from before the attempt, or from after 72 hours, settles no doubt."""
    found = told(DOUBT, (receipt(9), when))
    assert (found.numbers["b:in_doubt"], found.orphans["orphans"]) == (1, 1)


def test_a_later_answer_unmasks_a_forged_claim() -> None:
    """When the real response names another TRACKINGID, what the forger had settled is undone."""
    found = told([*DOUBT, (story.accepted("SMS_1", recipient=HERE), LATER + 60)], UNKNOWN)
    assert (found.numbers["b:accepted"], found.orphans["orphans"]) == (1, 1)


def test_a_claim_about_a_known_message_is_a_claim() -> None:
    """It settles what is open, cannot unsettle what is final (the message is conflicted), and causes no new attempt."""
    settled = told(ACCEPTED, (receipt(1), LATER))
    assert settled.numbers["b:delivered"] == 1
    conflict = told(SETTLED, (receipt(1), LATER))
    # The page's receipt names a time of 2011, before any of ours: what counts is the earlier of two finals.
    assert (conflict.numbers["requested"], conflict.numbers["conflicted"]) == (1, 1)
    assert conflict.states["m1"]["attempts"] == 1


FOREIGN = receipt(1).replace(b"SMS_MT", b"SMS_MO")
UNKNOWN_CODE = receipt(1).replace(b"N201", b"N299")


@pytest.mark.parametrize("body", [FOREIGN, UNKNOWN_CODE, b"<broken>"], ids=["other origin", "unknown code", "broken"])
@pytest.mark.parametrize("given", [ACCEPTED, DOUBT, SETTLED], ids=["accepted", "in doubt", "undelivered"])
def test_what_claims_nothing_is_not_folded(given: list[tuple[Data, float]], body: bytes) -> None:
    """Other origins, unknown codes and what cannot be read change no number, not even that of the orphans."""
    before, after = told(given), told(given, (body, LATER))
    assert after == before


def test_an_event_says_who_received_it_and_when_by_our_clock() -> None:
    """A forger chooses the provider's times, not ours: the windows are counted by the time of arrival."""
    record = RECORDS.keep(receipt(1), datetime(2026, 3, 1, tzinfo=UTC)).record
    fact = decode_fact(record.value)
    assert record.key == HERE.encode()
    assert fact.data.recipient_id == HERE
    assert json.loads(record.value)["data"]["received_at"] == "2026-03-01T00:00:00.000000Z"
