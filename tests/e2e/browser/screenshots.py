"""The README's pictures: `python -m tests.e2e.browser.screenshots FOLDER` (`make screenshots`).

A demo's stage, three campaigns on their way, and the page in light, in dark, and on a phone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from sendledger.demo.client import client
from sendledger.demo.scenario import scenario
from sendledger.demo.stage import stage
from sendledger.edges.readiness import until_ready
from tests.support.browser import Opened, Scheme, chromium, opened

RATE = 250.0
MESSAGES = 6000
LARGEST = 300_000  # bytes
WIDE, TALL = 1280, 1000


async def main(folder: Path) -> None:
    """Take all pictures. Errors: AssertionError if one is too large, or the page complained."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sendledger-pictures-") as directory:
        place = Path(directory)
        async with stage(place, seed=3, rate=RATE, strays=True, tell=_tell) as there, chromium() as browser:
            await until_ready(there.instance.readiness(), timeout=90)
            base = f"http://{there.settings.host}:{there.settings.api_port}"
            token = there.settings.api_tokens[0].token.get_secret_value()
            story = scenario(messages=MESSAGES, campaigns=3, seed=3)
            async with client(api=base, token=token, simulator=there.simulator) as api:
                for campaign in story.campaigns:
                    await api.submit_json(campaign, key=campaign.campaign_id)
                await _pictures(browser, base, token, folder, story.campaigns[0].campaign_id)
    for picture in folder.glob("*.png"):
        assert picture.stat().st_size <= LARGEST, f"{picture} has {picture.stat().st_size} bytes"


async def _pictures(browser: Browser, base: str, token: str, folder: Path, campaign: str) -> None:
    async with opened(browser, base, width=WIDE, height=TALL) as light:
        await light.sign_in(token)
        await light.campaign(campaign)
        await _under_way(light, 0.55)
        await light.page.screenshot(path=folder / "campaign-light.png")
        await light.go("#/")
        await light.page.wait_for_selector("tr[data-campaign]")
        await light.page.set_viewport_size({"width": WIDE, "height": 420})
        await light.page.screenshot(path=folder / "campaigns-light.png")
    await _one(browser, base, token, folder / "campaign-dark.png", campaign, ("dark", WIDE, TALL))
    await _one(browser, base, token, folder / "campaign-phone.png", campaign, ("light", 390, 1100))


async def _one(
    browser: Browser, base: str, token: str, file: Path, campaign: str, look: tuple[Scheme, int, int]
) -> None:
    scheme, width, height = look
    async with opened(browser, base, scheme=scheme, width=width, height=height) as it:
        await it.sign_in(token)
        await it.campaign(campaign)
        await _under_way(it, 0.7)
        await it.page.screenshot(path=file)


async def _under_way(it: Opened, share: float) -> None:
    """Until so many of its messages are settled, and the rate is measured or no longer needed."""

    async def far() -> bool:
        numbers = await it.numbers()
        return numbers["tile delivered"] + numbers["tile failed"] >= share * numbers["tile audience"] > 0

    await it.until(far, "the campaign is on its way", timeout=120)
    await it.until_text(".tile[data-tile=rate] .big", "/s|–")
    await it.until_text(".histogram .bin", "", timeout=30)


def _tell(text: str) -> None:
    sys.stderr.write(f"· {text}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
