"""Between a won claim and its call, and behind it: rule 5 of DESIGN §6, and what an answer means for the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from sendledger.domain.call_ends import NeverBegan, NoAnswer, Refused, Taken, TooFast
from sendledger.domain.pace import HOLD_FIRST
from sendledger.domain.sending import CLAIM_KEEPS, CONTROL_KEEPS
from sendledger.edges.clocks import steady
from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused, CampaignResumed
from tests.support import story
from tests.support.partition import log_of
from tests.support.processes import until
from tests.support.sender_parts import Parts, running

GONE = NeverBegan("refused", unreachable=True)


def pauses(parts: Parts) -> None:  # noqa: D103 — the names of the table say it
    parts.order(CampaignPaused(campaign_id="c1", by="op"))


def pauses_all(parts: Parts) -> None:  # noqa: D103
    parts.order(CampaignPaused(campaign_id="*", by="op"))


def halts(parts: Parts) -> None:  # noqa: D103
    parts.control.halt("*")


def cancels(parts: Parts) -> None:  # noqa: D103
    parts.order(CampaignCancelled(campaign_id="c1", by="op"))


def suppresses(parts: Parts) -> None:  # noqa: D103
    parts.control._suppressed.add("r0")


def forgets(parts: Parts) -> None:  # noqa: D103
    parts.known(seconds_ago=CONTROL_KEEPS + 0.5)


def is_declared_dead(parts: Parts) -> None:  # noqa: D103
    parts.it.log.add(story.unanswered("m0", "r0"))
    parts.it.read()


def loses_the_partition(parts: Parts) -> None:  # noqa: D103
    parts.it.partition.closing = True


def stops(parts: Parts) -> None:  # noqa: D103
    parts.calls.stopping = True


CHANGES: dict[Callable[[Parts], None], str] = {
    pauses: "paused",
    pauses_all: "paused",
    halts: "paused",
    cancels: "cancelled",
    suppresses: "suppressed",
    is_declared_dead: "stale",
    loses_the_partition: "revoked",
    stops: "stopping",
}


async def test_a_won_claim_is_called(tmp_path: Path) -> None:
    """Nothing speaks against it: one call, and its answer on the log."""
    async with running(tmp_path, log_of(1)) as parts:
        assert await parts.end_of(parts.claimed()) == {"tracking_id": "T1"}
        assert len(parts.calls_made) == 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("when", ["while it waits for its turn", "at the last moment", "while it connects"])
async def test_what_changes_between_claim_and_call_is_seen(
    tmp_path: Path, change: Callable[[Parts], None], when: str
) -> None:
    """Rule 5: whatever came after the claim stands: the call is not made, and the log says why."""
    async with running(tmp_path, log_of(1)) as parts:
        claimed = parts.claimed()
        if when == "at the last moment":
            parts.at_the_last = partial(change, parts)
        elif when == "while it connects":
            parts.in_the_connect = partial(change, parts)
        else:
            change(parts)
        assert await parts.end_of(claimed) == {"reason": CHANGES[change]}
        assert parts.calls_made == []


async def test_orders_that_got_old_at_the_last_moment_let_nothing_go(tmp_path: Path) -> None:
    """Whose knowledge is older than a second does not know whether there is a pause."""
    async with running(tmp_path, log_of(1)) as parts:
        claimed = parts.claimed()
        parts.at_the_last = lambda: forgets(parts)
        assert await parts.end_of(claimed) == {"reason": "stale"}
        assert parts.calls_made == []


async def test_who_may_have_lost_the_partition_calls_nobody(tmp_path: Path) -> None:
    """Its share of the pace may be another's: it waits for the group's word, and its claim goes stale meanwhile."""
    async with running(tmp_path, log_of(1)) as parts:
        parts.owns = False
        assert await parts.end_of(parts.claimed(age=CLAIM_KEEPS - 0.3)) == {"reason": "stale"}
        assert parts.calls_made == []


@pytest.mark.parametrize(("age", "expires_in", "reason"), [(CLAIM_KEEPS + 0.5, 60.0, "stale"), (0.0, -1.0, "expired")])
async def test_a_claim_that_got_old_is_not_called(tmp_path: Path, age: float, expires_in: float, reason: str) -> None:
    """Others may soon take it for dead; or its message is not worth sending any more."""
    async with running(tmp_path, log_of(1)) as parts:
        assert await parts.end_of(parts.claimed(age=age, expires_in=expires_in)) == {"reason": reason}
        assert parts.calls_made == []


async def test_an_automatic_pause_names_the_resume_that_its_call_had_seen(tmp_path: Path) -> None:
    """Who resumed while the call was on its way knew more: the pause is void, for everybody."""
    async with running(tmp_path, log_of(1)) as parts:
        parts.order(CampaignResumed(campaign_id="*", by="op"))
        parts.outcome = Refused("E104", "", "account")
        parts.in_the_call = lambda: parts.order(CampaignResumed(campaign_id="*", by="op"))
        await parts.end_of(parts.claimed())
        await until(lambda: len(parts.written) == 2, "the pause is written")
        pause = parts.written[1].data
        assert isinstance(pause, CampaignPaused)
        assert (pause.automatic, pause.last_resume_seen) == (True, 0)
        parts.order(pause)
        parts.control.halted_at("*", 2)
        assert parts.control.standing("c1") == "open"


async def test_an_answer_that_stops_the_account_stops_the_calls_beside_it(tmp_path: Path) -> None:
    """From the moment of the answer: not only when it is on the log, or the pause is."""
    async with running(tmp_path, log_of(2)) as parts:
        first, second = parts.claimed(), parts.claimed()
        parts.outcome = Refused("E104", "", "account")
        parts.acknowledged.clear()
        parts.calls.add(first)
        await until(lambda: parts.written, "the first is answered")
        parts.calls.add(second)
        await until(lambda: len(parts.written) == 2, "the second has its end")
        parts.acknowledged.set()
        await until(lambda: not parts.calls.active, "both are written")
        kinds = [entry.data.TYPE.split(".")[1] for entry in parts.written]
        assert kinds == ["send-rejected", "send-not-sent", "campaign-paused"]
        assert len(parts.calls_made) == 1


async def test_what_must_not_be_called_waits_for_no_turn(tmp_path: Path) -> None:
    """It costs no token and holds up nobody behind it."""
    async with running(tmp_path, log_of(1)) as parts:
        parts.kit.pace.set_rate(0.001)
        assert parts.kit.pace.take(steady())
        claimed = parts.claimed()
        pauses(parts)
        assert await parts.end_of(claimed) == {"reason": "paused"}


async def test_what_an_order_has_stopped_does_not_wait_behind_the_first(tmp_path: Path) -> None:
    """It is given back while the one before it still waits for its token, not once that one has gone stale."""
    async with running(tmp_path, log_of(2)) as parts:
        parts.kit.pace.set_rate(0.001)
        assert parts.kit.pace.take(steady())
        first, second = parts.claimed(), parts.claimed()
        parts.calls.add(first)
        parts.calls.add(second)
        parts.control._suppressed.add("r1")
        await until(lambda: parts.written, "the first end of the two")
        assert parts.written[0].data.model_dump(include={"message_id", "reason"}) == {
            "message_id": "m1",
            "reason": "suppressed",
        }
        assert parts.calls_made == []


async def test_calls_follow_one_another_and_wait_for_no_write(tmp_path: Path) -> None:
    """More claims than may be in flight: each goes when a place is free, though no answer is acknowledged yet."""
    async with running(tmp_path, log_of(9)) as parts:
        parts.acknowledged.clear()
        most = 0

        def busy() -> None:
            nonlocal most
            most = max(most, parts.calls.in_flight)

        parts.in_the_call = busy
        claimed = [parts.claimed() for _ in range(9)]
        for one in claimed:
            parts.calls.add(one)
        await until(lambda: len(parts.calls_made) == 9, "all are called")
        assert most <= parts.kit.concurrency
        await until(lambda: len(parts.written) == 9, "all answers are handed over")
        assert {entry.key for entry in parts.written} == {one.message.recipient_id for one in claimed}
        assert len(parts.calls.active) == 9, "none has its end before it is on the log"
        parts.acknowledged.set()
        await until(lambda: not parts.calls.active, "all have their end")


async def test_a_throttle_slows_the_account_down(tmp_path: Path) -> None:
    """The answer halves the pace; a second one within the same second is no second half."""
    async with running(tmp_path, log_of(3)) as parts:
        assert parts.kit.pace.factor(steady()) == 1.0
        parts.outcome = TooFast("E120")
        began = steady()
        await parts.end_of(parts.claimed())
        assert parts.kit.pace.factor(began) == 0.5
        assert parts.kit.pace.per_second(began) == 500.0
        await parts.end_of(parts.claimed())
        assert parts.kit.pace.factor(began) >= 0.5


async def test_a_provider_out_of_reach_is_left_alone_until_it_answers(tmp_path: Path) -> None:
    """No call starts within the hold, which grows from failure to failure and ends with any answer, a bad one too."""
    began: list[float] = []
    async with running(tmp_path, log_of(5)) as parts:
        parts.in_the_call = lambda: began.append(steady())
        for outcome in (GONE, GONE, NoAnswer("timeout"), GONE, Taken("T1")):
            parts.known()
            parts.outcome = outcome
            await parts.end_of(parts.claimed())
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert gaps[0] >= HOLD_FIRST
    assert gaps[1] >= 2 * HOLD_FIRST
    assert HOLD_FIRST <= gaps[3] < 3.5 * HOLD_FIRST, "the answer in between has made the hold short again"
