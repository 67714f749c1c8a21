"""The live page while a campaign runs: its numbers, its orders, its line to the server (DESIGN §8)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from sendledger.demo.client import Client
from tests.e2e.browser.conftest import System
from tests.support.browser import Opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND, THIRD = 0, 1, 2


async def test_numbers_on_the_page_are_the_providers(page: Opened, system: System) -> None:
    """A campaign runs while the page is open; in the end each number on it is the API's and the ledger's."""
    campaign = system.campaigns[FIRST]
    await expect(page.page.locator(".empty h2:visible")).to_have_text("No campaigns so far")
    await system.hand_in(campaign)
    await page.page.click(f"tr[data-campaign={campaign.campaign_id}] a")
    await page.until_text(".tile[data-tile=audience] .big", "^500$")
    seen: list[int] = []

    async def moves() -> bool:
        numbers = await page.numbers()
        seen.append(numbers["delivered"])
        assert sum(numbers[bucket] for bucket in BUCKETS) == numbers["tile audience"]
        return len(set(seen)) > 4

    await page.until(moves, "delivered grows by itself")

    async def agrees() -> bool:
        here, there, provider = await page.numbers(), await system.ours(campaign), await system.theirs(campaign)
        wanted = shown(provider)
        return shown(there) == wanted == {name: here.get(name, 0) for name in wanted}

    try:
        await page.until(agrees, "the numbers agree", timeout=60)
    except AssertionError as error:
        there, provider = await system.ours(campaign), await system.theirs(campaign)
        raise AssertionError(f"{error}\npage {await page.numbers()}\nAPI {there}\nledger {provider}") from None
    await charts_agree(page, system.api, campaign.campaign_id)
    for path in ("/v1/glossary", f"/v1/campaigns/{campaign.campaign_id}/latency", "/v1/stream"):
        assert path in page.paths


BUCKETS = (
    "queued", "attempting", "in_doubt", "cancelled", "expired", "suppressed", "rejected", "accepted", "sent",
    "delivered", "undelivered",
)  # fmt: skip


def shown(numbers: dict[str, int]) -> dict[str, int]:
    """What must stand on the page where these are the numbers, and what it adds up itself. Reasons without any: not."""
    unnamed = {"requested", "sent twice"}
    read = {name: n for name, n in numbers.items() if name not in unnamed and (n or " " not in name)}
    n = numbers
    settled = n["delivered"] + n["undelivered"]
    held = n["cancelled"] + n["expired"] + n["suppressed"]
    carrier = settled + n["sent"]
    return read | {
        "tile audience": n["requested"],
        "tile sent": carrier + n["accepted"],
        "tile delivered": n["delivered"],
        "tile failed": n["rejected"] + n["undelivered"],
        "tile pending": n["queued"] + n["attempting"] + n["accepted"] + n["sent"],
        "tile withheld": held,
        "tile in_doubt": n["in_doubt"],
        "tile unknown": 0,
        "funnel audience": n["requested"],
        "funnel answered": n["requested"] - n["queued"] - held,
        "funnel sent": carrier + n["accepted"],
        "funnel carrier": carrier,
        "funnel receipt": settled,
        "funnel delivered": n["delivered"],
    }


async def charts_agree(page: Opened, api: Client, campaign_id: str) -> None:
    """The chart's table ends with the numbers above it; each stage of the latency counts what the API counts."""
    await page.page.click("text=So far")
    await page.page.click("section[aria-label='Over time'] summary")
    newest = page.page.locator("section[aria-label='Over time'] .scroll tbody tr:first-child td")

    async def equal() -> bool:
        here, cells = await page.numbers(), await newest.all_text_contents()
        return cells[1:] == [f"{here[f'tile {name}']:,}" for name in ("sent", "delivered", "failed")]

    await page.until(equal, "the chart's table ends with the numbers above it")

    async def counted() -> bool:
        latency = (await api.campaign(campaign_id))["latency_seconds"]
        cells = {stage: await page.text(f"[data-number='latency.{stage}.count']") for stage in latency}
        return cells == {stage: f"{values['count']:,}" for stage, values in latency.items()}

    await page.until(counted, "each stage counts what the API counts")
    await page.until(page.page.locator(".histogram .bin").count, "the times' distribution is drawn")


async def test_orders_say_what_will_happen_and_stand_in_the_audit_list(page: Opened, system: System) -> None:
    """Pause stops the sending, resume goes on, cancel is final; each tells first, and the list says who it was."""
    campaign = system.campaigns[SECOND]
    await page.campaign(await system.hand_in(campaign))
    me = (await page.text(".me")).partition(" ")[0]
    assert me.startswith("token:")
    await page.page.click("#order-pause")
    await page.until_text(".will", r"\d+ messages? waits? to be sent and will stay queued")
    await page.until_text(".will", r"calls? (is|are) in flight")
    await page.page.fill("#order-reason", "wrong <b>link</b>")
    await page.page.click("#order-go")
    await page.until_text(".campaign-head .badge", "Paused")
    row = page.page.locator("#audit tr[data-what=campaign-paused]")
    await expect(row).to_contain_text([f"{me} (you)"])
    await expect(row).to_contain_text(["paused the campaign"])
    await expect(row).to_contain_text(["wrong <b>link</b>"])

    async def settled() -> Any:
        found = await system.api.campaign(campaign.campaign_id)
        return found["counts"]["attempting"] == 0 and found

    paused = await page.until(settled, "calls in flight have ended")
    assert paused["state"] == "paused"
    assert paused["counts"]["queued"] > 0
    calls = (await system.api.simulator())["submissions"]["total"]
    await page.until_text(".tile[data-tile=rate] .small", "paused")
    assert (await system.api.simulator())["submissions"]["total"] == calls

    await page.page.click("#order-resume")
    await page.until_text(".will", "goes on where it stopped")
    await page.page.click("#order-go")
    await page.until_text(".campaign-head .badge", "Running")

    await page.page.click("#order-cancel")
    await page.until_text(".will", "Cancel is final")
    assert await page.page.is_disabled("#order-go")
    await page.page.check("#order-sure")
    await page.page.click("#order-go")
    await page.until_text("dialog h2", "The campaign is cancelled")
    await page.page.click("dialog .primary")
    await page.until_text(".campaign-head .badge", "Cancelled")
    await expect(page.page.locator("#audit tr[data-what=campaign-cancelled]")).to_contain_text([f"{me} (you)"])
    assert await page.page.locator("#order-pause").is_hidden()
    assert await page.page.locator("#order-cancel").is_hidden()

    async def withheld() -> bool:
        return (await page.numbers())["tile withheld"] == (await system.ours(campaign))["cancelled"] > 0

    await page.until(withheld, "what was not sent is withheld, on the page too")


async def test_a_stopped_account_is_told_and_resumed(page: Opened, system: System) -> None:
    """While the whole account is stopped the page says so, by whom and why, and an administrator resumes it there."""
    order = """(reason) => fetch("/v1/account/pause", {method: "POST", body: JSON.stringify({reason}),
      headers: {"X-Sendledger": "1", "Content-Type": "application/json"}}).then((answer) => answer.status)"""
    assert await page.page.evaluate(order, "bill unpaid") == 200
    await page.go("#/compare")
    await page.go("#/")
    await page.until_text(".notice.bad", "whole account is paused by token:.* bill unpaid")
    page.page.on("dialog", lambda dialog: dialog.accept())
    await page.page.click("text=Resume the account")
    await expect(page.page.locator(".notice.bad")).to_be_hidden()


async def test_a_dropped_connection_recovers(page: Opened, system: System) -> None:
    """The API is killed: the page says since when it hears nothing, finds it again, and its numbers go on."""
    campaign = system.campaigns[THIRD]
    page.expect("net::ERR_", "Failed to load resource")
    await page.campaign(await system.hand_in(campaign))
    await page.until_text("#freshness", "^Live")
    system.stage.instance.supervisor.kill("api")
    await page.until_text("#freshness", r"^Disconnected since \d\d:\d\d:\d\d .* trying again")
    await page.until_text("#announcer", "Disconnected")
    await page.until_text("#freshness", "^Live", timeout=60)
    await page.until_text("#announcer", "Connected again")
    assert len(page.streams) > 2
    await page.until_text(".campaign-head .badge", "Finished|Closed", timeout=60)

    async def equal() -> bool:
        here, there = await page.numbers(), shown(await system.ours(campaign))
        return all(here.get(name, 0) == number for name, number in there.items())

    await page.until(equal, "the numbers are the API's again", timeout=60)


async def test_the_stream_pauses_resumes_and_sleeps(page: Opened) -> None:
    """Updates can be paused; they go on behind the last event that was seen; nobody looking closes the stream."""
    await page.until_text("#freshness", "^Live")
    await page.until(lambda: page.page.locator("tr[data-campaign]").count(), "campaigns are there")
    assert "last-event-id" not in page.streams[-1]
    await page.page.click("#pause-live")
    await page.until_text("#freshness", "^Updates paused")
    before = len(page.streams)
    await page.page.click("#pause-live")
    await page.until_text("#freshness", "^Live")
    assert len(page.streams) == before + 1
    assert page.streams[-1]["last-event-id"]
    await page.page.evaluate(_HIDE, True)
    await page.until_text("#freshness", "^Connecting")
    await page.page.evaluate(_HIDE, False)
    await page.until_text("#freshness", "^Live")
    assert len(page.streams) == before + 2
    assert page.streams[-1]["last-event-id"]


_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
