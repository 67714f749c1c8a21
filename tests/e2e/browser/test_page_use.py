"""The live page in use: signing in, hostile texts, recipients and timelines, keyboard, phone width, barriers."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, expect

from sendledger.demo.scenario import Campaign, Recipient
from sendledger.edges.kafka import producer
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.topics import CAMPAIGNS
from tests.e2e.browser.conftest import System
from tests.support.browser import WRONG_TOKEN, Opened, Scheme, opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'
LAST = 3
ROWS = ("delivered", "failed")
VIEWS = ["#/", "#/campaign/{0}", "#/compare?id={0}&id={1}", "#/campaign/nobody-knows-it"]


async def sent(system: System, page: Opened) -> str:
    """A campaign whose messages were handed over, beside another one; its id. All tests here share them."""
    campaign = system.campaigns[LAST]
    for each in (system.campaigns[0], campaign):
        await system.hand_in(each)  # the same key: once

    async def done() -> bool:
        found = await system.api.campaign(campaign.campaign_id)
        return bool(found["counts"]["delivered"]) and not found["counts"]["queued"] + found["counts"]["attempting"]

    await page.until(done, "its messages were sent", timeout=60)
    return campaign.campaign_id


async def test_a_token_is_traded_for_a_cookie_that_no_script_can_read(browser: Browser, system: System) -> None:
    """A wrong token is refused in words, a right one lets in, is kept nowhere, and signing out ends the session."""
    async with opened(browser, system.base) as it:
        it.expect("401")
        await it.page.goto(f"{system.base}/")
        await it.page.fill("#token", WRONG_TOKEN)
        await it.page.click("form.signin button")
        await it.until_text("form.signin .error", "not valid")
        await it.sign_in(system.token)
        cookies = await it.context.cookies(f"{system.base}/v1/")
        assert [(each["httpOnly"], each["sameSite"], each["path"]) for each in cookies] == [(True, "Strict", "/v1")]
        kept = await it.page.evaluate("() => JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
        assert system.token not in kept + json.dumps(cookies) + await it.page.content() + it.page.url
        assert json.loads(kept)[0] == ""
        write = "(head) => fetch('/v1/suppressions', {method: 'POST', headers: head, body: '{}'}).then((a) => a.status)"
        it.expect("403", "422")
        assert await it.page.evaluate(write, {"Content-Type": "application/json"}) == 403
        assert await it.page.evaluate(write, {"Content-Type": "application/json", "X-Sendledger": "1"}) == 422
        await it.page.reload()
        await it.page.wait_for_selector("h1:has-text('Campaigns')")
        await it.page.click("text=Sign out")
        await it.page.wait_for_selector("#token")
        assert await it.page.evaluate("() => fetch('/v1/campaigns').then((answer) => answer.status)") == 401


async def test_hostile_texts_stay_texts(page: Opened, system: System) -> None:
    """A campaign's name, a carrier and a reason full of markup are shown letter by letter, and nothing of them runs."""
    await _register(system, HOSTILE, "hostile")
    campaign = Campaign("hostile", "70777", "60856", (Recipient("15550007771", "Hello", "<i>carrier</i>"),), ())
    await system.hand_in(campaign)
    await page.until_text("tr[data-campaign=hostile] a", "img src=x")
    assert await page.text("tr[data-campaign=hostile] a") == HOSTILE
    await page.campaign("hostile")
    assert await page.text("h1") == HOSTILE
    await page.until_text("main", "<i>carrier</i>")
    await page.go("#/compare?id=hostile&id=nobody")
    page.expect("404")
    await page.until_text("#compare thead th", "img src=x")
    assert await page.page.locator("main img, main script, main i").count() == 0
    assert await page.page.title() == "Comparison · Sendledger"
    refused = "() => { try { document.body.innerHTML = '<b>x</b>'; return false; } catch { return true; } }"
    page.expect("TrustedHTML", "Trusted Type")
    assert await page.page.evaluate(refused), "the policy lets no text become markup"


async def _register(system: System, name: str, *campaigns: str) -> None:
    """Write registrations with this name to the log, as another program than ours could."""
    writer: AIOKafkaProducer = producer(system.stage.settings.kafka)
    await writer.start()
    try:
        for campaign_id in campaigns:
            data = CampaignRegistered(campaign_id=campaign_id, name=name, by="user:mallory")
            happened = event(data, id=f"registered-{campaign_id}", source="test", time=datetime.now(UTC))
            await writer.send_and_wait(CAMPAIGNS, encode(happened), key=campaign_id.encode(), headers=HEADERS)
    finally:
        await writer.stop()


async def test_recipients_are_filtered_paged_and_open_their_timeline(page: Opened, system: System) -> None:
    """Masked numbers, one bucket, page after page; a message opens with its events, and no number or text in them."""
    campaign = await sent(system, page)
    await page.campaign(campaign)
    rows = page.page.locator("#recipients tbody tr")
    await expect(rows).to_have_count(25)
    first = await rows.first.text_content()
    await page.page.click("#recipients-next")
    await page.until_text("section[aria-label=Recipients] [role=status]", "^26–50")
    assert await rows.first.text_content() != first
    await page.page.select_option("#recipient-bucket", "rejected")
    await page.until_text("section[aria-label=Recipients] [role=status]", "^1–")
    rejected = (await system.api.campaign(campaign))["counts"]["rejected"]
    await expect(rows).to_have_count(min(25, rejected))
    for text in await rows.all_text_contents():
        assert text.startswith("***")
        assert "Rejected" in text
    await page.page.click("#recipients tbody tr:first-child button")
    await page.until_text("dialog .timeline", "rejected, ")
    steps = await page.page.locator("dialog .timeline li").evaluate_all("(all) => all.map((li) => li.dataset.what)")
    assert steps[0] == "send-requested"
    assert steps[-1] == "send-rejected"
    shown = await page.text("dialog")
    assert not any(recipient.to in shown for recipient in system.campaigns[LAST].recipients)
    await page.page.keyboard.press("Escape")
    await expect(page.page.locator("dialog")).to_have_count(0)


async def test_what_is_shown_can_be_saved(page: Opened, system: System) -> None:
    """The list's link gives a row a campaign; a campaign's gives its messages, of the bucket that is shown, masked."""
    campaign_id = await sent(system, page)
    saved = await downloaded(page, "the numbers of all campaigns")
    counts = (await system.api.campaign(campaign_id))["counts"]
    (row,) = [row for row in saved if row["campaign_id"] == campaign_id]
    assert (row["requested"], row["rejected"]) == (str(counts["requested"]), str(counts["rejected"]))
    await page.campaign(campaign_id)
    await page.page.wait_for_selector("#recipients tbody tr")
    saved = await downloaded(page, "these messages")
    assert len(saved) == counts["requested"]
    await page.page.select_option("#recipient-bucket", "rejected")
    await page.page.wait_for_selector("[aria-label='Download these messages as CSV'][href*='bucket=rejected']")
    saved = await downloaded(page, "these messages")
    assert {row["bucket"] for row in saved} == {"rejected"}
    assert (len(saved), {row["to"][:3] for row in saved}) == (counts["rejected"], {"***"})


async def downloaded(page: Opened, what: str) -> list[dict[str, str]]:
    """The rows of the CSV file that a link gives."""
    async with page.page.expect_download() as begun:
        await page.page.click(f"[aria-label='Download {what} as CSV']")
    return rows_of(Path(await (await begun.value).path()))


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


async def test_every_number_is_explained_by_keyboard_too(page: Opened, system: System) -> None:
    """Each label of a number opens its definition with Enter and closes it with Escape, and the focus comes back."""
    await page.campaign(await sent(system, page))
    labels = page.page.locator(".tile .term")
    assert await labels.count() == 10
    for place in range(await labels.count()):
        await labels.nth(place).focus()
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("#explain")).to_be_visible()
        assert len(await page.text("#explain p")) > 30
        assert await labels.nth(place).get_attribute("aria-expanded") == "true"
        await page.page.keyboard.press("Escape")
        await expect(page.page.locator("#explain")).to_be_hidden()
        assert await labels.nth(place).evaluate("(label) => document.activeElement === label")
    untold = """() => [...document.querySelectorAll("[data-number], .tile .big")].filter((node) =>
      !node.closest("tr, li, .tile")?.querySelector(".term, .todo")).map((node) => node.dataset.number)"""
    assert await page.page.evaluate(untold) == []


async def test_the_list_is_searched_sorted_and_compared(page: Opened, system: System) -> None:
    """A search narrows the list, sorting orders it, and chosen campaigns stand side by side with the API's numbers."""
    one = await sent(system, page)
    names = page.page.locator("table.campaigns tbody th a")
    await page.until(names.count, "campaigns are there")
    everything = await names.count()
    await page.page.click("thead .term:has-text('Delivered')")
    await page.until_text("#explain", "Share of: audience.")
    await page.page.keyboard.press("Escape")
    await page.page.fill("input[type=search]", one[:6])
    await page.until_text("table.campaigns tbody", one)
    assert await names.count() <= everything
    await page.page.fill("input[type=search]", "no such campaign")
    await expect(page.page.locator("text=No campaign fits the search.")).to_be_visible()
    await page.page.fill("input[type=search]", "")
    await page.page.select_option("select", "name")
    found = await names.all_text_contents()
    assert found == sorted(found, key=str.lower)
    other = next(name for name in [c.campaign_id for c in system.campaigns] if name != one and name in found)
    for campaign in (one, other):
        await page.page.check(f"tr[data-campaign={campaign}] input")
    await page.page.click("text=Compare 2 campaigns")
    for place, campaign in enumerate((one, other)):
        cells = [f"#compare tr[data-row={row}] td:nth-of-type({place + 1}) span:first-child" for row in ROWS]

        async def equal(campaign: str = campaign, cells: list[str] = cells) -> bool:
            counts = (await system.api.campaign(campaign))["counts"]
            wanted = [counts["delivered"], counts["rejected"] + counts["undelivered"]]
            return [await page.text(cell) for cell in cells] == [f"{number:,}" for number in wanted]

        await page.until(equal, f"{campaign}: delivered and failed are the API's")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_there_are_no_barriers(browser: Browser, system: System, scheme: Scheme) -> None:
    """axe-core finds nothing serious or critical in any view, nor in what opens over it."""
    async with opened(browser, system.base, scheme=scheme) as it:
        it.expect("404")
        await it.page.goto(f"{system.base}/")
        await it.page.wait_for_selector("#token")
        assert await it.axe() == []
        await it.sign_in(system.token)
        campaign, other = await sent(system, it), system.campaigns[0].campaign_id
        for view in VIEWS:
            await it.go(view.format(campaign, other))
            await it.page.wait_for_selector(".skeleton", state="hidden")
            assert await it.axe() == [], view
        await it.campaign(campaign)
        await it.page.click(".tile[data-tile=delivered] .term")
        assert await it.axe() == []
        await it.page.keyboard.press("Escape")
        for summary in await it.page.locator("main summary").all():
            await summary.click()
        assert await it.axe() == []
        await it.page.click("#recipients tbody tr:first-child button")
        await it.page.wait_for_selector("dialog .timeline")
        assert await it.axe() == []


async def test_a_phone_needs_no_sideways_scrolling(browser: Browser, system: System) -> None:
    """At 360 pixels no view is wider than the screen."""
    async with opened(browser, system.base, width=360, height=740) as it:
        it.expect("404")
        await it.sign_in(system.token)
        campaign, other = await sent(system, it), system.campaigns[0].campaign_id
        for view in VIEWS:
            await it.go(view.format(campaign, other))
            await it.page.wait_for_selector(".skeleton", state="hidden")
            wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await it.page.evaluate(wide) == 0, view


async def test_a_search_finds_what_is_not_among_the_newest(page: Opened, system: System) -> None:
    """Of many campaigns only the newest are loaded: the API is asked for what fits, and for what leads in an order."""
    one = await sent(system, page)
    row = page.page.locator(f"tr[data-campaign='{one}']")
    await _register(system, "", *(f"crowd-{number:03}" for number in range(205)))
    await page.page.reload()
    await page.until_text("[role=status]", "100|200")
    await page.until_text("table.campaigns tbody", "crowd-204")
    assert await row.count() == 0
    await page.page.fill("input[type=search]", f"finished {one[:7]}")
    await expect(row).to_be_visible()
    await page.page.reload()
    await page.until_text("table.campaigns tbody", "crowd-204")
    assert await row.count() == 0
    await page.page.select_option("[aria-label='Sort campaigns']", "failed")
    await expect(row).to_be_visible()
