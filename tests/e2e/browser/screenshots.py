"""The README's pictures: `python -m tests.e2e.browser.screenshots FOLDER` (`make screenshots`).

A demo's stage, three campaigns on their way, and the page in light, in dark, and on a phone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
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
WIDE, TALL = 1280, 1050


def main(folder: Path) -> None:
    """Take all pictures. Errors: AssertionError if one is too large, or the page complained."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sendledger-pictures-") as directory:
        asyncio.run(_play(Path(directory), folder))
    for picture in folder.glob("*.png"):
        assert picture.stat().st_size <= LARGEST, f"{picture} has {picture.stat().st_size} bytes"


async def _play(directory: Path, folder: Path) -> None:
    async with stage(directory, seed=3, rate=RATE, strays=True, tell=_tell) as there, chromium() as browser:
        await until_ready(there.instance.readiness(), timeout=90)
        base = f"http://{there.settings.host}:{there.settings.api_port}"
        token = there.token
        story = scenario(messages=MESSAGES, campaigns=3, seed=3)
        async with client(api=base, token=token, simulator=there.simulator) as api:
            for campaign in story.campaigns:
                await api.submit_json(campaign, key=campaign.campaign_id)
        camera = _Camera(browser, base, token, folder)
        await camera.take("campaign-light", story.campaigns[0].campaign_id, share=0.3)
        await camera.take("campaign-dark", story.campaigns[1].campaign_id, scheme="dark", share=0.5)
        await camera.take("campaign-phone", story.campaigns[0].campaign_id, width=390, share=0.6)
        await camera.take("campaigns-light", None, height=430)


@dataclass(frozen=True)
class _Camera:
    browser: Browser
    base: str
    token: str
    folder: Path

    async def take(
        self, name: str, campaign: str | None, *, scheme: Scheme = "light", width: int = WIDE, height: int = TALL,
        share: float = 0,
    ) -> None:  # fmt: skip
        """One picture: a campaign of which such a share is settled, or (None) the list."""
        async with opened(self.browser, self.base, scheme=scheme, width=width, height=height) as it:
            await it.sign_in(self.token)
            if campaign is None:
                await it.page.wait_for_selector("tr[data-campaign]")
            else:
                await it.campaign(campaign)
                await _under_way(it, share)
            await it.page.mouse.move(0, 0)
            await it.page.screenshot(path=self.folder / f"{name}.png")


async def _under_way(it: Opened, share: float) -> None:
    """Until so many of its messages are settled, and the rate is measured or no longer needed."""

    async def far() -> bool:
        numbers = await it.numbers()
        return numbers["tile delivered"] + numbers["tile failed"] >= share * numbers["tile audience"] > 0

    await it.until(far, "the campaign is on its way", timeout=120)
    await it.until_text(".tile[data-tile=rate] .big", "/s|–")
    await it.page.wait_for_selector(".histogram .bin", state="attached")


def _tell(text: str) -> None:
    sys.stderr.write(f"· {text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
