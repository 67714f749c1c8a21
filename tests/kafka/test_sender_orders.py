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
from sendledger_schemas.topics import CAMPAIGNS, SEND_ATTEMPTS
from tests.support.api import running_api
from tests.support.instance import cli
from tests.support.kafka import eventually
from tests.support.processes import until
from tests.support.sender import START, Line, desk, ends, journal, numbers, order, post, request, sender, sending
from tests.support.sender_process import kill, spawn
from tests.support.timed_provider import timed_provider

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
    rounds, messages = (20, 6_000) if LONG else (3, 1_200)
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
    """Over HTTP and on the command line: the calls on the wire by name, everything that was not attempted withheld."""
    async with desk(open_gate=False) as provider, running_api(shared_kafka) as api:
        settings = sending(shared_kafka, provider.url, sender_concurrency=6, provider_timeout=60.0)
        for campaign in ("web", "shell"):
            await order(settings, CAMPAIGNS, CampaignRegistered(campaign_id=campaign, by="op"))
        await post(settings, [request(row, campaign="shell") for row in range(100, 103)])
        async with sender(settings):
            await eventually(lambda: len(provider.calls) == 3, what="half of the slots are taken")
            await post(settings, [request(row, campaign="web") for row in range(60)])
            await eventually(lambda: len(provider.calls) == 6, what="all slots are taken")
            await post(settings, [request(row, campaign="shell") for row in range(103, 160)])
            web = [to for to in provider.calls if int(to) < START + 100]
            shell = [to for to in provider.calls if int(to) >= START + 100]
            assert web
            assert shell
            told = (await api.post("/v1/campaigns/web/cancel", {"reason": "sold out"})).json
            said = (await cli(settings, "cancel", "shell")).out
            provider.gate.set()

            async def all_over() -> dict[str, str] | None:
                found = await withheld(settings)
                return found if len(found) == 120 - len(provider.calls) else None

            found = await eventually(all_over, what="the rest is withheld")
        accepted = {line.data.message_id for line in await ends(settings) if line.kind == "send-accepted"}
    assert (told["state"], told["in_flight"]["count"]) == ("cancelled", len(web))
    assert {flight["message_id"] for flight in told["in_flight"]["items"]} == names(web)
    assert sorted(flight["to"] for flight in told["in_flight"]["items"]) == sorted(f"***{to[-3:]}" for to in web)
    assert {flight["became"] for flight in told["in_flight"]["items"]} == {"open"}
    assert said.startswith(f"cancel: shell\n{len(shell)} in flight")
    assert all(name in said for name in names(shell))
    assert len(provider.calls) == 6
    assert accepted == names(provider.calls)
    assert set(found.values()) == {"cancelled"}
    assert not accepted & set(found)


def names(calls: list[str]) -> set[str]:
    """The ids of the messages to these numbers."""
    rows = [int(to) - START for to in calls]
    return {request(row, campaign="web" if row < 100 else "shell").message_id for row in rows}


async def test_a_suppressed_recipient_gets_nothing_claimed_or_not(shared_kafka: Settings) -> None:
    """One is suppressed before its claim (command line), one between its claim and its call (API); others go."""
    rows = {request(row).message_id: row for row in range(6)}
    async with desk(open_gate=False) as provider, running_api(shared_kafka) as api:
        settings = sending(shared_kafka, provider.url, sender_concurrency=1)
        assert "***005" in (await cli(settings, "suppress", "add", numbers(5)[0], "--reason", "asked")).out
        await post(settings, [request(row) for row in range(6)])
        async with sender(settings):

            async def claimed() -> list[int]:
                lines = await journal(settings, SEND_ATTEMPTS)
                mine = [rows[line.data.message_id] for line in lines if line.kind == "attempt-started"]
                return [row for row in mine if provider.calls and row != int(provider.calls[0]) - START]

            (row, *_) = await eventually(claimed, what="one is called, another one claimed")
            assert (await api.post("/v1/suppressions", {"to": numbers(row)[0]})).status == 201

            async def given_back() -> list[str]:
                return [line.data.reason for line in await ends(settings) if rows[line.data.message_id] == row]

            assert await eventually(given_back, what="the claim is given back") == ["suppressed"]
            provider.gate.set()
            await eventually(lambda: len(provider.calls) == 4, what="the others")

            async def both() -> dict[str, str] | None:
                found = await withheld(settings)
                return found if len(found) == 2 else None

            found = await eventually(both, what="both are withheld")
    assert {rows[name]: reason for name, reason in found.items()} == {5: "suppressed", row: "suppressed"}
    assert set(provider.calls) == set(numbers(*range(6))) - set(numbers(5, row))


async def test_what_is_sent_for_later_goes_later_or_expires(shared_kafka: Settings, tmp_path: Path) -> None:
    """`send --at` and `--expires` on the command line: nothing goes before, and what had no time left is withheld."""
    people = shared_kafka.data_dir / "people.csv"
    people.write_text("to\n" + "".join(f"{number}\n" for number in numbers(*range(8))))
    plain = ("--sender", "60856", "--recipients", str(people))
    async with timed_provider(tmp_path) as provider:
        settings = sending(shared_kafka, provider.url)
        async with sender(settings):
            at = datetime.now(UTC) + timedelta(seconds=6)
            told = await cli(settings, "send", "later", *plain, "--text", "Later", "--at", at.isoformat())
            assert told.out == "8 accepted, 0 refused\n"
            now = time.monotonic() + (at - datetime.now(UTC)).total_seconds()
            assert time.monotonic() < now - 1, "the command took too long for this test to say anything"
            await until(lambda: len(provider.calls()) == 8, "they go")
            came = provider.calls()

            async def late() -> list[Line]:
                return [line for line in await ends(settings) if line.kind == "send-accepted"]

            assert len(await eventually(late, what="their answers")) == 8
            await order(settings, CAMPAIGNS, *_paused("never"))
            soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
            await cli(settings, "send", "never", *plain, "--text", "Never", "--expires", soon)
            await eventually(lambda: _expired(settings), what="what is parked expires")
        assert len(provider.calls()) == 8
    assert min(call.latest for call in came) >= now - 0.001


def _paused(campaign: str) -> list[Any]:
    return [CampaignRegistered(campaign_id=campaign, by="op"), CampaignPaused(campaign_id=campaign, by="op")]


async def _expired(settings: Settings) -> bool:
    return list((await withheld(settings)).values()) == ["expired"] * 8


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
