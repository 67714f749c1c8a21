"""Whether evidence speaks against a resend: the same fold as everybody's numbers decides."""

from __future__ import annotations

import pytest

from sendledger.agents.sender_evidence import may_resend
from sendledger.domain.message import Message
from sendledger.domain.sending import is_resend
from sendledger_schemas.postbacks import Claim
from sendledger_schemas.registry import Data
from tests.support import story
from tests.unit.sender.test_sending import given

DOUBT = [story.requested(), story.started(), story.unanswered(), story.resolved("resend")]


def asked(*facts: Data) -> bool:
    """Whether the message may go again, by these facts about its recipient."""
    log = story.Log()
    for data in facts:
        log.add(data)
    return may_resend(Message("m1", "c1", "r1"), log.in_order())


def test_an_operators_word_counts_without_evidence() -> None:
    """In doubt and resolved by resend: it is queued."""
    assert asked(*DOUBT)


@pytest.mark.parametrize("claim", ["sent", "delivered", "undelivered"])
def test_a_postback_that_adopts_the_attempt_speaks_against_it(claim: Claim) -> None:
    """Exactly one unknown TRACKINGID and one candidate: the message was sent, and is not sent again."""
    assert not asked(*DOUBT, story.postback(claim))


def test_a_late_answer_speaks_against_it() -> None:
    """The real response came after the operator's decision."""
    assert not asked(*DOUBT, story.accepted("T1"))


def test_ambiguous_postbacks_leave_it_to_the_operator() -> None:
    """Two unknown TRACKINGIDs settle nothing, so the decision stands."""
    assert asked(*DOUBT, story.postback("sent", "T1"), story.postback("sent", "T2"))


def test_a_postback_of_another_message_is_no_evidence() -> None:
    """Its TRACKINGID is known to belong to somebody else."""
    other = [story.requested("m2"), story.started("m2"), story.accepted("T1", "m2")]
    assert asked(*DOUBT, *other, story.postback("delivered", "T1"))


def test_only_a_resend_is_looked_at() -> None:
    """First attempts and retries of throttled ones need no evidence."""
    assert is_resend(given(*DOUBT))
    assert not is_resend(given(story.requested()))
    assert not is_resend(given(story.requested(), story.started(), story.throttled()))
    assert is_resend(given(*DOUBT, story.started(attempt=2), story.throttled(attempt=2))), "nothing went out since"
