"""The sender on a real Kafka with a real HTTP provider: requests in, calls and journal out, orders obeyed."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from sendledger.agents import sender as role
from sendledger.config import Settings
from sendledger_schemas.campaigns import CampaignCancelled, CampaignPaused, CampaignResumed, RateSet
from sendledger_schemas.decisions import RecipientSuppressed
from sendledger_schemas.ids import recipient_id
from sendledger_schemas.topics import CAMPAIGNS, SEND_ATTEMPTS, SUPPRESSIONS
from tests.support.kafka import PEPPER, eventually
from tests.support.sender import (
    KEY,
    START,
    Form,
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


async def test_each_request_is_claimed_called_and_answered_once(shared_kafka: Settings) -> None:
    """The happy way, and again nothing after a stop, a restart and the loss of the store."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url)
        await post(settings, [request(row) for row in range(60)])
        async with sender(settings) as running:
            lines = await answered(settings, 60)
            await running.stop()
        assert Counter(line.kind for line in lines) == {"send-accepted": 60}
        assert sorted(provider.calls) == numbers(*range(60))
        claims = await journal(settings, SEND_ATTEMPTS)
        places = {line.data.message_id: (line.partition, line.data.attempt) for line in claims}
        assert {line.data.message_id: (line.partition, line.data.attempt) for line in lines} == places
        for lose_store in (False, True):
            if lose_store:
                for number in range(settings.partitions):
                    shutil.rmtree(settings.data_dir / f"sender-{number}")
            async with sender(settings):
                await post(settings, [request(100 + lose_store)])
                await answered(settings, 61 + lose_store)
        assert sorted(provider.calls) == numbers(*range(60), 100, 101)


async def test_a_paused_campaign_waits_and_another_goes(shared_kafka: Settings) -> None:
    """A pause that stands before the requests holds them; a resume lets them go; the other campaign never waited."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url)
        await order(settings, CAMPAIGNS, CampaignPaused(campaign_id="parked", by="op"))
        await post(settings, [request(row, campaign="parked") for row in range(20)])
        await post(settings, [request(row, campaign="going") for row in range(20, 40)])
        async with sender(settings):
            await answered(settings, 20)
            assert sorted(provider.calls) == numbers(*range(20, 40))
            await order(settings, CAMPAIGNS, CampaignResumed(campaign_id="parked", by="op"))
            await answered(settings, 40)
        assert sorted(provider.calls) == numbers(*range(40))


async def test_a_pause_stops_the_calls_and_a_resume_repeats_none(shared_kafka: Settings) -> None:
    """Claims that were waiting for their turn become SendNotSent, and go later as the next attempt."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, send_rate=40.0)
        await post(settings, [request(row) for row in range(80)])
        async with sender(settings):
            await eventually(lambda: len(provider.calls) >= 10, what="some calls")
            await order(settings, CAMPAIGNS, CampaignPaused(campaign_id="*", by="op"))

            async def at_rest() -> bool:
                claims = Counter(line.kind for line in await journal(settings, SEND_ATTEMPTS))
                return len(await ends(settings)) == claims["attempt-started"]

            async def gone_on() -> bool:
                return any(line.kind == "send-withheld" for line in await journal(settings, SEND_ATTEMPTS))

            await eventually(at_rest, what="each claim has its end")
            standing = len(provider.calls)
            assert standing < 80
            await post(settings, [request(80, expires_at=datetime.now(UTC) - timedelta(seconds=1))])
            await eventually(gone_on, what="it has come to what is new")
            assert len(provider.calls) == standing
            await order(settings, CAMPAIGNS, CampaignResumed(campaign_id="*", by="op"))
            await eventually(lambda: len(provider.calls) == 80, what="the rest")
        assert Counter(provider.calls).most_common(1)[0][1] == 1


async def test_cancel_expiry_and_suppression_withhold(shared_kafka: Settings) -> None:
    """Each with its own reason, and without a call."""
    suppressed = recipient_id(PEPPER.encode(), numbers(2)[0])
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url)
        await order(settings, CAMPAIGNS, CampaignCancelled(campaign_id="over", by="op"))
        await order(settings, SUPPRESSIONS, RecipientSuppressed(recipient_id=suppressed, by="op"))
        past = datetime.now(UTC) - timedelta(seconds=1)
        await post(settings, [request(0, campaign="over"), request(1, expires_at=past), request(2), request(3)])
        async with sender(settings):
            await answered(settings, 1)

            async def withheld() -> dict[str, str]:
                lines = await journal(settings, SEND_ATTEMPTS)
                found = {line.data.message_id: line.data.reason for line in lines if line.kind == "send-withheld"}
                return found if len(found) == 3 else {}

            found = await eventually(withheld, what="three withheld")
        reasons = ["cancelled", "expired", "suppressed"]
        rows = [request(0, campaign="over"), request(1), request(2)]
        assert found == {row.message_id: reason for row, reason in zip(rows, reasons, strict=True)}
        assert provider.calls == numbers(3)


async def test_one_call_at_a_time_for_a_recipient(shared_kafka: Settings) -> None:
    """Thirty messages to three numbers: never two calls to one number at once, and all go."""
    async with desk() as provider:

        async def slowly(number: int, form: Form) -> object:
            await asyncio.sleep(0.02)
            return accept(number, form)

        provider.answer = slowly  # type: ignore[assignment]  # a coroutine function is an answer too
        settings = sending(shared_kafka, provider.url)
        await post(settings, [request(row, to=numbers(row % 3)[0]) for row in range(30)])
        async with sender(settings):
            await answered(settings, 30)
        assert provider.most_for_one == 1
        assert Counter(provider.calls) == dict.fromkeys(numbers(0, 1, 2), 10)


async def test_two_senders_that_both_own_everything_call_once(
    shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two consumer groups both are sure to own all partitions; the journal lets one call for each message."""
    async with desk() as provider:
        first = sending(shared_kafka, provider.url)
        second = first.model_copy(update={"data_dir": first.data_dir / "second"})
        async with sender(first):
            monkeypatch.setattr(role, "GROUP", "sendledger-sender-too")
            async with sender(second):
                await post(first, [request(row) for row in range(200)])
                lines = await answered(first, 200)
        claims = await journal(first, SEND_ATTEMPTS)
        assert Counter(line.kind for line in lines) == {"send-accepted": 200}
        assert sorted(provider.calls) == numbers(*range(200))
        assert len({line.data.incarnation for line in claims}) == 2
        assert len(claims) > 200, "they never met: this run proves nothing"


async def test_a_new_rate_holds_while_it_runs(shared_kafka: Settings) -> None:
    """RateSet beats the setting, and needs no restart."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url, send_rate=1.0)
        await post(settings, [request(row) for row in range(40)])
        async with sender(settings):
            await eventually(lambda: len(provider.calls) >= 2, what="slow calls")
            await order(settings, CAMPAIGNS, RateSet(campaign_id="*", per_second=500.0, by="op"))
            await eventually(lambda: len(provider.calls) == 40, 20, "quick calls")


async def test_no_number_text_or_key_leaves_its_place(
    shared_kafka: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """P7 and P8: not in the journal, the orders, the store, the metrics or the output."""
    async with desk(refuse("E104", f"key {KEY} number {START} text Hello 0")) as provider:
        settings = sending(shared_kafka, provider.url)
        await post(settings, [request(0)])
        async with sender(settings) as running:
            lines = [*await answered(settings, 1), *await journal(settings, SEND_ATTEMPTS, CAMPAIGNS)]
            metrics = str([list(metric.samples) for metric in running.life.registry.collect()])
        told = "".join(line.event.model_dump_json() for line in lines) + metrics + "".join(capfd.readouterr())
        files = [file for file in settings.data_dir.rglob("sender-*/*") if file.is_file()]
        held = b"".join(file.read_bytes() for file in files)
    assert files
    for canary in (KEY, str(START), "Hello 0"):
        assert canary not in told
        assert canary.encode() not in held
