"""One running system, and one browser, for all browser tests: the demo's stage, with its simulated provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from sendledger.demo.client import Client, client
from sendledger.demo.compare import Numbers, ours, theirs
from sendledger.demo.scenario import Campaign, scenario
from sendledger.demo.stage import Stage, stage
from sendledger.edges.readiness import until_ready
from sendledger.simulator.ledger_reader import read_ledger
from tests.support.browser import Opened, chromium, opened

RATE = 80.0


@dataclass
class System:
    """The whole program on its stage, its API, and campaigns to send."""

    stage: Stage
    api: Client
    token: str
    campaigns: list[Campaign] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The page's address, without a slash at its end."""
        return f"http://{self.stage.settings.host}:{self.stage.settings.api_port}"

    async def hand_in(self, campaign: Campaign) -> str:
        """Hand a campaign in; its id."""
        answer = await self.api.submit_json(campaign, key=campaign.campaign_id)
        assert answer.accepted == len(campaign.recipients)
        return campaign.campaign_id

    async def ours(self, campaign: Campaign) -> Numbers:
        """Its numbers by the API."""
        return ours(await self.api.campaign(campaign.campaign_id))

    async def theirs(self, campaign: Campaign) -> Numbers:
        """Its numbers by the provider's ledger."""
        truth = await asyncio.to_thread(read_ledger, self.stage.ledger)
        return theirs(truth, campaign.campaign_ref)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Kafka, every role and the provider, ready."""
    directory = tmp_path_factory.mktemp("page")
    async with stage(directory, seed=7, rate=RATE, strays=True, tell=lambda _: None) as there:
        await until_ready(there.instance.readiness(), timeout=90)
        token = there.token
        base = f"http://{there.settings.host}:{there.settings.api_port}"
        story = scenario(messages=2000, campaigns=4, seed=7)
        async with client(api=base, token=token, simulator=there.simulator) as api:
            yield System(there, api, token, list(story.campaigns))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as it:
        yield it


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, system: System) -> AsyncIterator[Opened]:
    """A page that is signed in. At the end nothing may stand in its console, and no other host was asked."""
    async with opened(browser, system.base) as it:
        await it.sign_in(system.token)
        yield it
