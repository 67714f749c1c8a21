"""One partition of the sender: its queue, its store and its arbitration, on a log in memory and a real RocksDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.agents.sender_queue import PASSED_OVER_AT_ONCE, WITHHELD_AT_ONCE
from sendledger_schemas.topics import SEND_REQUESTS
from tests.support import story
from tests.support.partition import WEEK, Log, log_of, ready, worker
from tests.support.story import at


def test_requests_go_in_the_order_of_the_log(tmp_path: Path) -> None:
    """First asked, first sent, over many windows of the queue."""
    it = ready(tmp_path, log_of(600))
    assert it.picked(600) == [f"m{number}" for number in range(600)]
    assert it.picked(600) == []


def test_nothing_is_picked_before_the_journal_is_read(tmp_path: Path) -> None:
    """A sender that does not know what was attempted must not attempt anything."""
    log = log_of(2)
    log.add(story.started("m0", "r0"))
    it = worker(tmp_path, log)
    it.read(SEND_REQUESTS)
    assert it.picked() == []
    it.read()
    assert it.picked() == ["m1"]


def test_a_paused_campaign_holds_up_nobody(tmp_path: Path) -> None:
    """Ten thousand parked messages in front cost another campaign nothing; a resume lets them go in order."""
    log = log_of(10_000, campaign="parked")
    log.add(story.requested("other", "r-other", "going"))
    it = ready(tmp_path, log)
    it.orders.standings["parked"] = "paused"
    assert it.picked() == ["other"]
    assert it.picked() == []
    it.orders.standings["parked"] = "open"
    assert it.picked(2) == ["m0", "m1"]


def test_a_recipient_has_one_call_at_a_time(tmp_path: Path) -> None:
    """The next message to the same number waits until the first one's call has ended, also across campaigns."""
    log = log_of(3, recipient="same")
    log.add(story.requested("m3", "same", "c2"))
    it = ready(tmp_path, log)
    seen = []
    for turn in range(4):
        (won,) = it.go()
        assert it.picked() == []
        seen.append(won.message.message_id)
        log.add(story.accepted(f"T{turn}", won.message.message_id, "same", won.message.campaign_id))
        it.read()
    assert sorted(seen) == ["m0", "m1", "m2", "m3"]
    assert it.picked() == []


def test_a_held_message_of_a_paused_campaign_holds_up_no_other(tmp_path: Path) -> None:
    """When a recipient is free again, each campaign's next message may try."""
    log = Log()
    for message, campaign in (("a", "c1"), ("b", "parked"), ("c", "c1")):
        log.add(story.requested(message, "same", campaign))
    it = ready(tmp_path, log)
    (first,) = it.go()
    it.orders.standings["parked"] = "paused"
    log.add(story.accepted("T", first.message.message_id, "same", first.message.campaign_id))
    it.read()
    assert it.picked() == [name for name in ("a", "c") if name != first.message.message_id][:1]


def test_two_requests_for_one_message_in_one_batch_are_one(tmp_path: Path) -> None:
    """A request that was written twice is claimed once, by its first place on the log."""
    log = Log()
    log.add(story.requested("m", "r"), story.requested("m", "r"))
    it = ready(tmp_path, log)
    (won,) = it.go()
    assert won.message.request is not None
    assert won.message.request.offset == 0
    log.add(story.accepted("T", "m", "r"))
    it.read()
    assert it.picked() == []


def test_a_foreign_claim_keeps_the_recipient_until_it_ends(tmp_path: Path) -> None:
    """Open, it blocks; in doubt, it does not block others any more, and is never tried again itself."""
    log = log_of(2, recipient="same")
    log.add(story.started("m0", "same"))
    it = ready(tmp_path, log)
    assert it.picked() == []
    assert list(it.partition.opened) == ["m0"]
    log.add(story.unanswered("m0", "same"))
    it.read()
    assert it.picked() == ["m1"]
    assert it.partition.opened == {}


def test_an_attempt_is_open_until_the_journal_has_its_end(tmp_path: Path) -> None:
    """The second look asks just this: of this attempt, and by what was read a moment ago."""
    log = log_of(1)
    it = ready(tmp_path, log)
    assert not it.partition.is_open("m0", 1)
    log.add(story.started("m0", "r0"))
    it.read()
    assert it.partition.is_open("m0", 1)
    assert not it.partition.is_open("m0", 2)
    log.add(story.unanswered("m0", "r0"))
    it.read()
    assert not it.partition.is_open("m0", 1)


def test_a_lost_claim_frees_what_it_had_reserved(tmp_path: Path) -> None:
    """Two workers claim the same message: the first on the log calls, the other one waits for its end."""
    log = log_of(1)
    one, other = ready(tmp_path, log), ready(tmp_path, log)
    claims = [(it, pick, it.claim(pick)) for it in (other, one) for pick in it.pick().claims]
    assert [it.has_won(pick, offset) for it, pick, offset in claims] == [True, False]
    log.add(story.not_sent("m0", "r0"))
    one.read()
    assert one.picked(seconds=10) == ["m0"]


def test_a_claim_behind_a_withholding_is_lost(tmp_path: Path) -> None:
    """One worker withholds while the other one claims: whoever is first on the log decides for both."""
    log = log_of(1)
    one, other = ready(tmp_path, log), ready(tmp_path, log)
    (pick,) = one.pick().claims
    other.orders.standings["c1"] = "cancelled"
    ((message, reason),) = other.pick().withheld
    log.add(story.withheld(reason, message.message_id, message.recipient_id))
    assert not one.has_won(pick, one.claim(pick))
    assert one.partition.opened == {}
    assert one.picked() == []


def test_cancel_withholds_each_message_once(tmp_path: Path) -> None:
    """What was not attempted is withheld; what is under way is left to its end."""
    log = log_of(5)
    it = ready(tmp_path, log)
    (open_one,) = it.go(1)
    it.orders.standings["c1"] = "cancelled"
    names = [message.message_id for message, _ in it.pick().withheld]
    assert names == ["m1", "m2", "m3", "m4"]
    assert it.pick().withheld == []
    for name in names:
        log.add(story.withheld("cancelled", name, f"r{name[1:]}"))
    it.read()
    assert it.pick().withheld == []
    log.add(story.not_sent(open_one.message.message_id, open_one.message.recipient_id))
    it.read()
    assert [message.message_id for message, _ in it.pick(seconds=10).withheld] == ["m0"]


@pytest.mark.parametrize("again", [False, True], ids=["lived on", "started anew"])
def test_cancel_withholds_what_waits_for_its_time(tmp_path: Path, *, again: bool) -> None:
    """Scheduled for next week, or throttled, also behind the cancel: at once, once each, and nobody else's."""
    log, many = Log(), 3 * PASSED_OVER_AT_ONCE
    for row in range(many):
        for campaign in ("c1", "c2"):
            log.add(
                story.requested(f"{campaign}-{row}", f"{campaign}-{row}", campaign, not_before=story.at(WEEK / 1e6))
            )
    for name in ("before", "behind"):
        log.add(story.requested(name, name, "c1"), story.started(name, name, "c1"))
    log.add(story.throttled("before", "before", "c1"))
    it = ready(tmp_path, log)
    assert it.picked() == []
    it.orders.standings["c1"] = "cancelled"
    if again:
        it.reopen()
        it.read()
    withheld: list[str] = []
    for look in range(100):
        picked = it.pick(seconds=1 + look / 1_000)
        assert len(picked.withheld) <= PASSED_OVER_AT_ONCE + WITHHELD_AT_ONCE
        withheld += [message.message_id for message, reason in picked.withheld if reason == "cancelled"]
        if not picked.cut_short:
            break
    assert sorted(withheld) == sorted(["before", *(f"c1-{row}" for row in range(many))])
    log.add(story.throttled("behind", "behind", "c1"))
    it.read()
    assert [message.message_id for message, _ in it.pick(seconds=2).withheld] == ["behind"]
    assert it.pick(seconds=3).withheld == []


def test_cancels_one_after_the_other_find_all_that_waits(tmp_path: Path) -> None:
    """Each behind a look of the one before: no pass over what waits begins anew before it came to its end."""
    log, many = Log(), 3 * PASSED_OVER_AT_ONCE
    campaigns = [f"c{number}" for number in range(12)]
    for row in range(many):
        name = f"{campaigns[row % 12]}-{row}"
        log.add(story.requested(name, name, campaigns[row % 12], not_before=story.at(WEEK / 1e6)))
    it = ready(tmp_path, log)
    withheld: list[str] = []
    for look in range(24):
        if look < 12:
            it.orders.standings[campaigns[look]] = "cancelled"
        withheld += [message.message_id for message, _ in it.pick(seconds=1 + look / 1_000).withheld]
        if look == 6:
            assert any(name.endswith(f"-{row}") for name in withheld for row in range(many - 12, many))
    assert len(withheld) == len(set(withheld)) == many


def test_a_suppressed_recipient_gets_nothing(tmp_path: Path) -> None:
    """Its messages are withheld with that reason, others go."""
    it = ready(tmp_path, log_of(2))
    it.orders.suppressed.add("r0")
    picked = it.pick()
    assert [(message.message_id, reason) for message, reason in picked.withheld] == [("m0", "suppressed")]
    assert [pick.message.message_id for pick in picked.claims] == ["m1"]


def test_what_expires_while_parked_is_withheld_while_parked(tmp_path: Path) -> None:
    """Nothing stays behind in silence because its campaign is paused."""
    log = Log()
    log.add(story.requested("m0", "r0", expires_at=at(100)), story.requested("m1", "r1"))
    it = ready(tmp_path, log)
    it.orders.standings["c1"] = "paused"
    assert it.pick(seconds=99).withheld == []
    assert [(m.message_id, why) for m, why in it.pick(seconds=101).withheld] == [("m0", "expired")]
    assert it.pick(seconds=103).withheld == []


def test_a_scheduled_message_goes_when_its_time_has_come(tmp_path: Path) -> None:
    """Also after a restart, and in the order of the requests among others."""
    log = Log()
    log.add(story.requested("late", "r0", not_before=at(60)), story.requested("now", "r1"))
    it = ready(tmp_path, log)
    assert it.picked() == ["now"]
    due = it.partition.queue.next_due()
    assert due is not None
    it.reopen()
    assert it.partition.queue.next_due() == due
    assert it.picked(seconds=59) == ["now"]
    assert it.picked(seconds=60) == ["late"]


def test_a_throttled_message_comes_again_at_its_time(tmp_path: Path) -> None:
    """Not before `retry_at`, and then as the next attempt."""
    log = log_of(1)
    it = ready(tmp_path, log)
    it.go()
    log.add(story.throttled("m0", "r0"))
    it.read()
    assert it.picked(seconds=59) == []
    (pick,) = it.pick(seconds=60).claims
    assert (pick.message.message_id, pick.attempt) == ("m0", 2)


def test_each_attempt_of_a_resend_waits_for_the_evidence_anew(tmp_path: Path) -> None:
    """Between two attempts that did not go out a postback may have settled the doubt."""
    log = log_of(1)
    log.add(story.started("m0", "r0"), story.unanswered("m0", "r0"), story.resolved("resend", "m0", "r0"))
    it = ready(tmp_path, log)
    for attempt in (2, 3):
        picked = it.pick(seconds=10.0 * attempt)
        assert picked.claims == []
        ((message, waiting),) = picked.resends
        it.partition.queue.cleared(message, waiting)
        assert [pick.attempt for pick in it.go(seconds=10.0 * attempt)] == [attempt]
        log.add(story.not_sent("m0", "r0", attempt=attempt))
        it.read()
