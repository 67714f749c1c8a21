"""A real browser on the live page: Debian's Chromium, and what it did and complained about meanwhile."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from tests.support.api import READ

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(__file__).parents[1] / "oracles" / "page" / "node_modules" / "axe-core" / "axe.min.js"
WRONG_TOKEN = READ
_PATIENCE = 30.0

Scheme = Literal["light", "dark"]


def needed(what: str | Path | None, why: str) -> Path:
    """Its path. Without it the test is skipped with the reason, and fails where CI is set."""
    if what is None or not Path(what).exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{why}: infra/setup_tests.sh (make test runs it)")
    return Path(what)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser, as long as the context lasts."""
    path = needed(shutil.which("chromium"), "the live page is tested in Debian's Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Opened:
    """One page in a browser of its own: `trouble` must stay empty, `streams` are the heads of its stream requests."""

    base: str
    context: BrowserContext
    page: Page
    trouble: list[str] = field(default_factory=list)
    streams: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, *patterns: str) -> None:
        """Console errors that the test itself causes (a browser writes every failed request down)."""
        self.expected += patterns

    def hear(self) -> None:
        """Write down from now on what goes wrong and where requests go."""
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self._said("error", f"uncaught: {error}"))
        self.page.on("request", self._asked)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(re.search(pattern, text) for pattern in self.expected):
            self.trouble.append(f"console {kind}: {text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != self.base:
            self.trouble.append(f"request to another host: {parts.scheme}://{parts.netloc}")
        self.paths.append(parts.path)
        if parts.path == "/v1/stream":
            self.streams.append(dict(request.headers))

    async def sign_in(self, token: str) -> None:
        """Paste the token; returns when the campaigns are there."""
        await self.page.goto(f"{self.base}/")
        await self.page.fill("#token", token)
        await self.page.click("form.signin button")
        await self.page.wait_for_selector("h1:has-text('Campaigns')")

    async def go(self, place: str) -> None:
        """To another view by its address."""
        await self.page.evaluate("(place) => { location.hash = place; }", place)

    async def campaign(self, campaign_id: str) -> None:
        """To one campaign; returns when its numbers are there."""
        await self.go(f"#/campaign/{campaign_id}")
        await self.page.wait_for_selector(".tile .big:not(:empty)")

    async def text(self, selector: str) -> str:
        """The text of the first such element."""
        return (await self.page.locator(selector).first.text_content()) or ""

    async def until(self, fact: Callable[[], Awaitable[Any]], what: str, *, timeout: float = _PATIENCE) -> Any:
        """Wait until `fact` is true, and give what it was. Errors: AssertionError with what was seen last."""
        end = time.monotonic() + timeout
        seen: Any = None
        while time.monotonic() < end:
            seen = await fact()
            if seen:
                return seen
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {timeout:g} s: {what}; last: {seen!r}; trouble: {self.trouble}")

    async def until_text(self, selector: str, pattern: str, *, timeout: float = _PATIENCE) -> str:
        """Wait until the element's text has the pattern."""
        seen = ""

        async def fact() -> str:
            nonlocal seen
            seen = await self.text(selector) if await self.page.locator(selector).count() else ""
            return seen if re.search(pattern, seen) else ""

        try:
            return str(await self.until(fact, f"{selector} has {pattern}", timeout=timeout))
        except AssertionError as error:
            raise AssertionError(f"{error}; the text was {seen!r}") from None

    async def numbers(self) -> dict[str, int]:
        """The campaign's numbers as a person reads them off the page, by the names that `demo.compare.ours` gives."""
        found: dict[str, int] = await self.page.evaluate(_READ_NUMBERS)
        return found

    async def axe(self) -> list[str]:
        """The serious and critical barriers that axe-core finds in what is shown now."""
        source = needed(AXE, "barriers are looked for with axe-core").read_text(encoding="utf-8")
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate(source)
        found = await self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']} ({violation['impact']}): {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]


# Texts, not data attributes: what counts is what is read.
_READ_NUMBERS = """() => {
  const number = (node) => Number(node.textContent.replace(/[^0-9]/g, ""));
  const all = (prefix) => [...document.querySelectorAll(`[data-number^="${prefix}."]`)]
    .map((node) => [node.dataset.number.slice(prefix.length + 1), number(node)]);
  const found = {};
  for (const tile of document.querySelectorAll(".tile .big")) found[`tile ${tile.dataset.number}`] = number(tile);
  for (const [name, value] of all("counts")) found[name] = value;
  for (const [name, value] of all("funnel")) found[`funnel ${name}`] = value;
  for (const [code, value] of all("rejected")) found[`error ${code}`] = value;
  for (const [detail, value] of all("undelivered")) found[`detail ${detail}`] = value;
  for (const name of ["duplicates", "orphans", "conflicted"]) {
    found[name] = number(document.querySelector(`[data-number="quality.${name}"]`));
  }
  return found;
}"""


@asynccontextmanager
async def opened(
    browser: Browser, base: str, *, scheme: Scheme = "light", width: int = 1280, height: int = 900
) -> AsyncIterator[Opened]:
    """A page with cookies of its own. At the end nothing may have gone wrong that was not expected."""
    context = await browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    try:
        it = Opened(base, context, await context.new_page())
        it.hear()
        yield it
        assert it.trouble == []
    finally:
        await context.close()
