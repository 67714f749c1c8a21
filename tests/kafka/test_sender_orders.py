"""Orders of people, on a real Kafka, through the API and the command line: pause, cancel, suppress, schedule."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendledger.config import Settings
from sendledger_schemas.campaigns import CampaignPaused, CampaignRegistered
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import CAMPAIGNS, SEND_ATTEMPTS
from tests.support.api import running_api
from tests.support.instance import cli
from tests.support.kafka import eventually
from tests.support.processes import until
from tests.support.sender import START, Line, desk, ends, journal, numbers, order, post, request, sender, sending
from tests.support.sender_process import kill, spawn
from tests.support.timed_provider import timed_provider

pytestmark = pytest.mark.alone  # an order holds within a second

HOLDS_WITHIN = 1.0
LONG = os.environ.get("CHAOS") == "long"


async def passed(moment: float) -> None:
    """Wait until that moment, in which nothing may happen, is over."""
    await until(lambda: time.monotonic() > moment, "the time is over")


async def withheld(settings: Settings) -> dict[str, str]:
    """Message → why it was withheld."""
    lines = await journal(settings, SEND_ATTEMPTS)
    return {line.data.message_id: line.data.reason for line in lines if line.kind == "send-withheld"}


async def test_no_call_starts_a_second_after_a_pause_was_acknowledged(shared_kafka: Settings, tmp_path: Path) -> None:
    """Again and again, by the provider's times and through the API; and in the end each message went once."""
    rounds, messages = (20, 6_000) if LONG else (2, 900)
    async with timed_provider(tmp_path) as provider, running_api(shared_kafka) as api:
        settings = sending(shared_kafka, provider.url, send_rate=200.0)
        await order(settings, CAMPAIGNS, CampaignRegistered(campaign_id="c", by="op"))
        await post(settings, [request(row) for row in range(messages)])
        process = await spawn(settings)
        try:
            paused: list[tuple[float, float]] = []
            for _ in range(rounds):
                await provider.more(40)
                assert (await api.post("/v1/campaigns/c/pause")).json["state"] == "paused"
                acknowledged = time.monotonic()
                over = acknowledged + HOLDS_WITHIN + 0.4
                await passed(over)
                paused.append((acknowledged + HOLDS_WITHIN, time.monotonic()))
                assert (await api.post("/v1/campaigns/c/resume")).json["state"] == "running"
            assert (await api.post("/v1/account/rate", {"per_second": 5_000})).status == 200
            await until(lambda: len(provider.calls()) >= messages, "all messages", timeout=60)
        finally:
            await kill(process)
        calls = provider.calls()
    late = [call for call in calls for since, until_ in paused if since < call.earliest and call.latest < until_]
    assert late == []
    assert Counter(Counter(call.to for call in calls).values()) == {1: messages}


async def test_a_cancel_names_what_was_in_flight_and_withholds_the_rest(shared_kafka: Settings) -> None:
    """Six calls hang, and two campaigns are cancelled, over HTTP and on the command line.

    Each answer has the calls on the wire by name; everything that was not attempted is withheld, also what was
    scheduled for later; what is of a third campaign goes, except to a recipient that was suppressed on the command
    line before.
    """
    async with desk(open_gate=False) as provider, running_api(shared_kafka) as api:
        settings = sending(shared_kafka, provider.url, sender_concurrency=6, provider_timeout=60.0)
        for campaign in CAMPAIGN_OF.values():
            await order(settings, CAMPAIGNS, CampaignRegistered(campaign_id=campaign, by="op"))
        assert "***200" in (await cli(settings, "suppress", "add", numbers(200)[0], "--reason", "asked")).out
        await post(settings, [asked(row) for row in range(100, 103)])
        async with sender(settings):
            await eventually(lambda: len(provider.calls) == 3, what="half of the slots are taken")
            await post(settings, [asked(row) for row in (*range(60), 200, 201)])
            await post(settings, [request(60, campaign="web", not_before=datetime.now(UTC) + timedelta(days=3))])
            await eventually(lambda: len(provider.calls) == 6, what="all slots are taken")
            await post(settings, [asked(row) for row in range(103, 160)])
            flying = [int(to) - START for to in provider.calls]
            told = (await api.post("/v1/campaigns/web/cancel", {"reason": "sold out"})).json
            said = (await cli(settings, "cancel", "shell")).out
            provider.gate.set()
            await eventually(lambda: numbers(201)[0] in provider.calls, what="what nobody cancelled")
            found = await eventually(lambda: _all_withheld(settings, len(ROWS) - 7), what="the rest is withheld")
        accepted = {ROWS[line.data.message_id] for line in await ends(settings) if line.kind == "send-accepted"}
    web, shell = [row for row in flying if row < 100], [row for row in flying if 100 <= row < 200]
    items = told["in_flight"]["items"]
    assert (told["state"], told["in_flight"]["count"]) == ("cancelled", len(web))
    assert {ROWS[flight["message_id"]]: flight["to"] for flight in items} == {row: f"***{row:03}" for row in web}
    assert {flight["became"] for flight in items} == {"open"}
    assert said.startswith(f"cancel: shell\n{len(shell)} in flight")
    assert len(shell) >= 3
    assert all(asked(row).message_id in said for row in shell)
    assert accepted == {int(to) - START for to in provider.calls} == {*flying, 201}
    assert {row: why for row, why in found.items() if why != "cancelled"} == {200: "suppressed"}
    assert not accepted & set(found)


async def test_a_suppression_between_claim_and_call_holds(shared_kafka: Settings) -> None:
    """One call hangs and the next one is claimed: suppressed now, over HTTP, it is given back, and then withheld."""
    async with desk(open_gate=False) as provider, running_api(shared_kafka) as api:
        settings = sending(shared_kafka, provider.url, sender_concurrency=1, provider_timeout=60.0)
        await post(settings, [request(row, campaign="web") for row in range(5)])
        async with sender(settings):

            async def waiting() -> list[int]:
                over = {(line.data.message_id, line.data.attempt) for line in await ends(settings)}
                claims = [one for one in await journal(settings, SEND_ATTEMPTS) if one.kind == "attempt-started"]
                claims.sort(key=lambda one: one.event.time)
                rows = [ROWS[c.data.message_id] for c in claims if (c.data.message_id, c.data.attempt) not in over]
                return [row for row in rows if numbers(row) != provider.calls] if provider.calls else []

            late, *_ = await eventually(waiting, what="one is called, the next one claimed")
            assert (await api.post("/v1/suppressions", {"to": numbers(late)[0]})).status == 201
            found = await eventually(lambda: _all_withheld(settings, 1), what="it is withheld")
            provider.gate.set()
            await eventually(lambda: len(provider.calls) == 4, what="the others")
        reasons = [line.data.reason for line in await ends(settings) if line.kind == "send-not-sent"]
    assert found == {late: "suppressed"}
    assert "suppressed" in reasons
    assert sorted(provider.calls) == numbers(*sorted({0, 1, 2, 3, 4} - {late}))


CAMPAIGN_OF = {0: "web", 100: "shell", 200: "kept"}


def asked(row: int) -> SendRequested:
    """A request: below 100 of `web`, below 200 of `shell`, else of `kept`."""
    return request(row, campaign=CAMPAIGN_OF[row // 100 * 100])


ROWS = {asked(row).message_id: row for row in (*range(61), *range(100, 160), 200, 201)}


async def _all_withheld(settings: Settings, count: int) -> dict[int, str]:
    found = {ROWS[name]: reason for name, reason in (await withheld(settings)).items()}
    return found if len(found) == count else {}


async def test_what_is_sent_for_later_goes_later(shared_kafka: Settings, tmp_path: Path) -> None:
    """`send --at` on the command line: nothing goes before, by the provider's times, and then all of it goes."""
    people = shared_kafka.data_dir / "people.csv"
    people.write_text("to\n" + "".join(f"{number}\n" for number in numbers(*range(8))))
    plain = ("--sender", "60856", "--recipients", str(people))
    async with timed_provider(tmp_path) as provider:
        settings = sending(shared_kafka, provider.url)
        async with sender(settings):
            at = datetime.now(UTC) + timedelta(seconds=8)
            told = await cli(settings, "send", "later", *plain, "--text", "Later", "--at", at.isoformat())
            assert told.out.endswith("8 accepted, 0 refused\n")
            now = time.monotonic() + (at - datetime.now(UTC)).total_seconds()
            assert time.monotonic() < now - 0.5, "the command took too long for this test to say anything"
            await until(lambda: len(provider.calls()) == 8, "they go")
            came = provider.calls()

            async def late() -> list[Line]:
                return [line for line in await ends(settings) if line.kind == "send-accepted"]

            assert len(await eventually(late, what="their answers")) == 8
        assert len(provider.calls()) == 8
    assert min(call.latest for call in came) >= now - 0.001


def _paused(campaign: str) -> list[Any]:
    return [CampaignRegistered(campaign_id=campaign, by="op"), CampaignPaused(campaign_id=campaign, by="op")]


@pytest.mark.skipif(
    not LONG, reason="a part of `make chaos`; the same on one partition's store is in tests/unit/sender"
)
async def test_a_hundred_thousand_parked_hold_up_nobody(shared_kafka: Settings) -> None:
    """Posted first, in every partition, and paused: another campaign behind them goes at its usual pace."""
    async with desk() as provider:
        settings = sending(shared_kafka, provider.url)
        await order(settings, CAMPAIGNS, *_paused("parked"))
        await post(settings, [request(row, campaign="parked") for row in range(100_000)])
        await post(settings, [request(row, campaign="going") for row in range(100_000, 101_000)])
        async with sender(settings):
            await eventually(lambda: provider.calls, 120, "the first call")
            began = time.monotonic()
            await eventually(lambda: len(provider.calls) == 1_000, 60, "the campaign behind them")
            took = time.monotonic() - began
        assert set(provider.calls) == set(numbers(*range(100_000, 101_000)))
    print(f"1,000 messages past 100,000 parked: {took:.1f} s")  # noqa: T201 — a test's figure
    assert took < 10
