"""What stops sending by itself, on a real Kafka: account codes, campaign codes, a campaign's failure share."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from sendledger.config import Settings
from sendledger.domain.call_ends import IN_A_ROW
from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused, CampaignResumed, RateSet
from sendledger_schemas.topics import CAMPAIGNS, SEND_ATTEMPTS
from tests.support.kafka import eventually
from tests.support.sender import (
    START,
    Form,
    Line,
    Running,
    accept,
    answered,
    desk,
    ends,
    journal,
    numbers,
    order,
    post,
    refuse,
    request,
    sender,
    sending,
)

MANY = 200
PAST = datetime(2026, 1, 1, tzinfo=UTC)
FUTURE = datetime.now(UTC) + timedelta(days=3)


async def pauses(settings: Settings) -> list[CampaignPaused]:
    """The pauses on the log."""
    return [line.data for line in await journal(settings, CAMPAIGNS) if line.kind == "campaign-paused"]


async def called(settings: Settings) -> set[str]:
    """Messages whose call was made: those with an end that is no SendNotSent."""
    return {line.data.message_id for line in await ends(settings) if line.kind != "send-not-sent"}


async def resumed(settings: Settings, campaign: str, calls: list[str], count: int) -> None:
    """An operator resumes; every message goes, none twice."""
    await order(settings, CAMPAIGNS, CampaignResumed(campaign_id=campaign, by="op"))
    await eventually(lambda: len(calls) == count, what="the rest")
    assert Counter(calls).most_common(1)[0][1] == 1


async def test_an_account_code_lets_only_the_calls_in_flight_go_out(shared_kafka: Settings) -> None:
    """Eight are on the wire when the first one is answered: there is no ninth, and nobody's request is touched."""
    async with desk(refuse("E713"), open_gate=False) as provider:
        settings = sending(shared_kafka, provider.url, sender_concurrency=8)
        await post(settings, [request(row, campaign=f"c{row % 2}") for row in range(MANY)])
        async with sender(settings):
            await eventually(lambda: len(provider.calls) == 8, what="all slots are taken")
            provider.gate.set()
            (pause,) = await eventually(lambda: pauses(settings), what="the automatic pause")
            assert (pause.campaign_id, pause.by, pause.automatic) == ("*", "sender", True)
            assert "E713" in pause.reason
            await eventually(lambda: given_back(settings), what="each claim has its end")
            for turn in (1, 2):  # a sender that went on would call before it comes to these
                await post(settings, [request(MANY + turn, campaign="c0", expires_at=PAST)])
                withheld = await eventually(partial(_withheld, settings, turn), what="it has gone on to what is new")
                assert {line.data.reason for line in withheld} == {"expired"}
            assert len(provider.calls) == len(await called(settings)) == 8
            provider.answer = accept
            await resumed(settings, "*", provider.calls, MANY)


async def test_an_account_code_stops_every_sender(shared_kafka: Settings) -> None:
    """Two send, one call is answered E713: the sender that was only ever accepted stops, too, and goes on with it."""
    rate, the_one, many, marks = 100.0, 150, 2_000, 60

    def answer(number: int, form: Form) -> Any:
        return (refuse("E713") if number == the_one else accept)(number, form)

    async with desk(answer) as provider, contextlib.AsyncExitStack() as stack:
        settings = sending(shared_kafka, provider.url, send_rate=rate)
        for number in range(2):
            one = settings.model_copy(update={"data_dir": settings.data_dir / str(number)})
            await stack.enter_async_context(sender(one))
        await post(settings, [request(many + row, campaign="mark", not_before=FUTURE) for row in range(marks)])
        await post(settings, [request(row) for row in range(many)])
        (pause,) = await eventually(lambda: pauses(settings), what="the automatic pause")
        assert (pause.campaign_id, pause.automatic) == ("*", True)
        await order(settings, CAMPAIGNS, CampaignCancelled(campaign_id="mark", by="op"))
        await eventually(partial(_withheld, settings, marks), what="both have read beyond the pause")
        await eventually(lambda: given_back(settings), what="each claim has its end")
        stopped = len(provider.calls)
        assert the_one <= stopped <= the_one + 3 * rate  # of which a second has no more than the rate
        expired = [request(many + marks + row, expires_at=PAST) for row in range(60)]  # in every partition
        for turn in (1, 2):
            await post(settings, expired[(turn - 1) * 30 : turn * 30])
            await eventually(partial(_withheld, settings, marks + turn * 30), what="they have gone on to what is new")
        assert len(provider.calls) == len(await called(settings)) == stopped
        claims = [line for line in await journal(settings, SEND_ATTEMPTS) if line.kind == "attempt-started"]
        assert len({line.data.incarnation for line in claims}) == 2
        await order(settings, CAMPAIGNS, RateSet(campaign_id="*", per_second=5_000, by="op"))
        await resumed(settings, "*", provider.calls, many)


async def test_a_throttle_slows_every_sender(shared_kafka: Settings) -> None:
    """Two send, one call is answered E120: the sender that was only ever accepted slows down with the other."""
    rate, the_one, many = 100.0, 150, 400

    def answer(number: int, form: Form) -> Any:
        return (refuse("E120") if number == the_one else accept)(number, form)

    async with desk(answer) as provider, contextlib.AsyncExitStack() as stack:
        settings = sending(shared_kafka, provider.url, send_rate=rate)
        two: list[Running] = []
        for number in range(2):
            one = settings.model_copy(update={"data_dir": settings.data_dir / str(number)})
            two.append(await stack.enter_async_context(sender(one)))
        await eventually(lambda: sum(full := paces(two)) == rate and all(full), what="each has its share")
        full = paces(two)
        await post(settings, [request(row) for row in range(many)])

        def slower() -> bool:  # half of it at first, and straight back to all of it within 30 s
            return all(now < 0.9 * before for now, before in zip(paces(two), full, strict=True))

        await eventually(slower, what="both are slower")
        assert len(provider.calls) >= the_one
        throttled = [line for line in await ends(settings) if line.kind == "send-throttled"]
        assert len(throttled) == 1


def paces(senders: Sequence[Running]) -> list[float]:
    """What each may send a second now, by its own metrics."""
    name = "sendledger_sender_pace_messages_per_second"
    return [one.life.registry.get_sample_value(name) or 0.0 for one in senders]


async def given_back(settings: Settings) -> bool:
    """Whether each claim has its end."""
    claims = [line for line in await journal(settings, SEND_ATTEMPTS) if line.kind == "attempt-started"]
    return len(claims) == len(await ends(settings))


async def _withheld(settings: Settings, count: int) -> list[Line]:
    lines = [line for line in await journal(settings, SEND_ATTEMPTS) if line.kind == "send-withheld"]
    return lines if len(lines) == count else []


async def test_five_campaign_codes_in_a_row_pause_the_campaign(shared_kafka: Settings) -> None:
    """One call at a time, the 5th is accepted: four E111, an acceptance, four more: nothing; the next pauses.

    Another campaign, of the same partitions, goes on.
    """

    def answer(number: int, form: Form) -> Any:
        if form.to in others:
            return accept(number, form)
        return accept(number, form) if number == IN_A_ROW else refuse("E111")(number, form)

    others = numbers(*range(1_000, 1_030))
    async with desk(answer) as provider:
        settings = sending(shared_kafka, provider.url, sender_concurrency=1)
        await post(settings, [request(row, campaign="wrong") for row in range(2 * IN_A_ROW - 1)])
        async with sender(settings):

            async def answered() -> bool:
                return len(await called(settings)) == 2 * IN_A_ROW - 1

            await eventually(answered, what="nine answers")
            assert await pauses(settings) == []
            await post(settings, [request(row, campaign="wrong") for row in range(100, 150)])
            (pause,) = await eventually(lambda: pauses(settings), what="the automatic pause")
            assert (pause.campaign_id, pause.automatic) == ("wrong", True)
            assert "E111" in pause.reason
            await post(settings, [request(row, campaign="right") for row in range(1_000, 1_030)])
            await eventually(lambda: set(others) <= set(provider.calls), what="the other campaign goes on")
            assert len(provider.calls) == 2 * IN_A_ROW + len(others)
            assert len(await pauses(settings)) == 1
            provider.answer = accept
            await resumed(settings, "wrong", provider.calls, 2 * IN_A_ROW - 1 + 50 + len(others))


@pytest.mark.parametrize("senders", [1, 2] if os.environ.get("CHAOS") == "long" else [2])
async def test_a_campaign_is_halted_by_its_failure_share(shared_kafka: Settings, senders: int) -> None:
    """Two thirds of the answers are failures: halted, by the numbers of all senders; half of them is not enough.

    Unanswered calls are nothing; after the resume it takes as many answers anew.
    """

    def answer(number: int, form: Form) -> Any:
        row = int(form.to) - START
        if row >= 1_000:
            return accept(number, form) if row % 2 else refuse("E110")(number, form)
        if row % 10 == 0:
            return refuse("E999")(number, Form("15550009999", "", ""))  # another TO: no usable answer
        return accept(number, form) if row % 3 == 0 else refuse("E110")(number, form)

    async with desk(answer) as provider, contextlib.AsyncExitStack() as stack:
        limits = {"halt_failure_share": 0.55, "halt_min_answers": 40, "send_rate": 400.0, "sender_concurrency": 4}
        settings = sending(shared_kafka, provider.url, **limits)
        for number in range(senders):
            one = settings.model_copy(update={"data_dir": settings.data_dir / str(number)})
            await stack.enter_async_context(sender(one))
        await post(settings, [request(row, campaign="bad") for row in range(400)])
        await post(settings, [request(row, campaign="half") for row in range(1_000, 1_100)])
        await eventually(lambda: pauses(settings), what="the halt")
        await eventually(lambda: len(_of(provider.calls, "half")) == 100, what="the other campaign")
        found = await pauses(settings)
        assert {(pause.campaign_id, pause.by, pause.automatic) for pause in found} == {("bad", "sender", True)}
        assert "failures, more than a share of 0.55" in found[0].reason
        at_first = len(_of(provider.calls, "bad"))
        assert 40 <= at_first < 120
        incarnations = {line.data.incarnation for line in await journal(settings, SEND_ATTEMPTS)}
        assert len(incarnations) == senders
        await order(settings, CAMPAIGNS, CampaignResumed(campaign_id="bad", by="op"))
        await eventually(lambda: _halted_after_resume(settings), what="the second halt")
        assert len(_of(provider.calls, "bad")) >= at_first + 40
        assert len(provider.calls) == len(set(provider.calls))


def _of(calls: list[str], campaign: str) -> list[str]:
    """The calls of one campaign: rows from 1,000 on are of `half`."""
    return [to for to in calls if (int(to) >= START + 1_000) == (campaign == "half")]


async def _halted_after_resume(settings: Settings) -> bool:
    orders = [line.data for line in await journal(settings, CAMPAIGNS)]
    last = max((number for number, data in enumerate(orders) if isinstance(data, CampaignResumed)), default=len(orders))
    return any(isinstance(data, CampaignPaused) and data.last_resume_seen == last for data in orders[last:])


async def test_a_sender_that_dies_again_and_again_halts_all_the_same(shared_kafka: Settings) -> None:
    """Each life makes fewer answers than the least that count; what the lives before it made counts with them."""
    least, each = 40, 15
    async with desk(refuse("E110")) as provider:
        settings = sending(shared_kafka, provider.url, halt_failure_share=0.5, halt_min_answers=least)
        for life in range(3):
            assert await pauses(settings) == [], "not yet: there are too few answers"
            await post(settings, [request(row, campaign="bad") for row in range(life * each, (life + 1) * each)])
            async with sender(settings):
                await answered(settings, (life + 1) * each)
                if (life + 1) * each > least:
                    await eventually(lambda: pauses(settings), what="the halt")
        (pause,) = await pauses(settings)
        assert (pause.campaign_id, pause.automatic) == ("bad", True)
