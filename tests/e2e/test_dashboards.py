"""Every query of every dashboard, asked of a real Prometheus that scrapes the whole program while it sends."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sendledger.config import Settings
from sendledger.demo.client import client
from sendledger.demo.progress import Watch, lag_of
from sendledger.demo.scenario import Scenario, scenario
from sendledger.demo.stage import Stage, stage
from sendledger.edges.readiness import until_ready
from sendledger.wiring import ROLES, Role
from tests.support.instance import environment, sendledger
from tests.support.kafka import eventually
from tests.support.prometheus import Prometheus, prometheus
from tests.support.registries import labels_in, registry_of

ROOT = Path(__file__).parents[2]
WINDOW = "6s"
MESSAGES, RATE = 300, 50.0
BROKEN = b"<NOTIFICATION><ORIGIN>SMS_MT</ORIGIN>"


def queries() -> list[tuple[str, str, str]]:
    """(dashboard, panel, query) with the variables filled in as Grafana does for *All*."""
    found = []
    for file in sorted((ROOT / "dashboards").glob("sendledger-*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                query = target["expr"].replace("$__rate_interval", WINDOW)
                for variable in ("job", "instance", "campaign"):
                    query = query.replace(f"${variable}", ".+")
                found.append((file.stem, panel["title"], query))
    return found


def ports_of(settings: Settings) -> dict[int, int]:
    """The port of each role in infra/prometheus/prometheus.yml → the port here."""
    return {Settings().metrics_port_of(role): settings.metrics_port_of(role) for role in ROLES}


async def sent(there: Stage, story: Scenario) -> None:
    """Hand in all campaigns and wait until everything is settled and folded; one postback is rubbish."""
    settings = there.settings
    postbacks = f"http://{settings.receiver_host}:{settings.receiver_port}/postbacks/"
    async with (
        client(api=f"http://{settings.host}:{settings.api_port}", token=there.token, simulator=there.simulator) as api,
        lag_of(settings) as lag,
        aiohttp.ClientSession(trust_env=False) as session,
    ):
        for campaign in story.campaigns:
            await api.submit_json(campaign, key=campaign.campaign_id)
        async with session.post(postbacks + settings.postback_tokens[0].get_secret_value(), data=BROKEN) as answer:
            assert answer.status == 200
        watch = Watch(api, lag, {c.campaign_id: len(c.recipients) for c in story.campaigns})

        async def done() -> bool:
            return not (await watch.look([])).waiting_for

        await eventually(done, timeout=120, what="all is sent, posted back and folded")


@asynccontextmanager
async def played(directory: Path, story: Scenario) -> AsyncIterator[tuple[Stage, Prometheus, float]]:
    """The whole program, scraped from its first moment on, after it has sent everything; when it began."""
    began = time.time()
    (directory / "stage").mkdir()
    async with stage(directory / "stage", seed=5, rate=RATE, strays=True, tell=lambda _: None) as there:
        await until_ready(there.instance.readiness(), timeout=60)
        async with prometheus(directory / "prometheus", ports_of(there.settings)) as watcher:
            await eventually(watcher_up(watcher), timeout=60, what="Prometheus scrapes every role")
            await sent(there, story)
            env = environment(there.settings.data_dir)
            assert (await sendledger("verify", env=env, directory=directory)).code == 0
            yield there, watcher, began


def watcher_up(watcher: Prometheus) -> Any:
    """A question: does it scrape all of them?"""

    async def ask() -> bool:
        try:
            up = await watcher.up()
        except aiohttp.ClientError:
            return False
        return len(up) == len(ROLES) and all(up.values())

    return ask


async def firing(watcher: Prometheus, wanted: set[str]) -> bool:
    """Whether exactly these alerts fire: the one postback that is rubbish is told, and nothing else is wrong."""
    alerts = (await watcher.ask("alerts"))["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"} == wanted


async def scraped(settings: Settings) -> dict[Role, str]:
    """Role → what its /metrics says."""
    told: dict[Role, str] = {}
    async with aiohttp.ClientSession(trust_env=False) as session:
        for role in ROLES:
            async with session.get(f"http://{settings.host}:{settings.metrics_port_of(role)}/metrics") as answer:
                told[role] = await answer.text()
    return told


async def test_every_query_of_every_dashboard_finds_something(tmp_path: Path) -> None:
    """Also rates, within a window of a few scrapes; campaigns' numbers are what was handed in; no number of a person.

    What never happened here (a full spool, an unavailable receiver) has to be there as 0.
    """
    story = scenario(messages=MESSAGES, campaigns=3, seed=5)
    async with played(tmp_path, story) as (there, watcher, began):

        async def missing() -> list[str]:
            return [
                f"{board}: {panel}: {query}"
                for board, panel, query in queries()
                if not await watcher.values(query, began, time.time())
            ]

        async def complete() -> bool:
            return not await missing()

        try:
            await eventually(complete, timeout=20)
        except AssertionError:
            assert await missing() == []
        total = 'sum by (campaign) (sendledger_campaign_messages{campaign=~".+"})'
        found = await watcher.values(total, time.time() - 3, time.time())
        wanted = {f"campaign={c.campaign_id}": len(c.recipients) for c in story.campaigns}
        assert {labels: values[-1] for labels, values in found.items()} == wanted
        await eventually(lambda: firing(watcher, {"SendledgerWatchdog", "SendledgerDeadLetters"}), what="alerts")
        told = await scraped(there.settings)
        rules = (await watcher.ask("rules"))["groups"]
    assert not [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
    everything = "".join(told.values())
    assert not [r.to for campaign in story.campaigns for r in campaign.recipients if r.to in everything]
    assert there.settings.postback_tokens[0].get_secret_value() not in everything
    as_constructed(told, tmp_path)


def as_constructed(told: dict[Role, str], directory: Path) -> None:
    """What tests take for a role's registry is there when the role runs, name by name, with the same labels."""
    for role, text in told.items():
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        there = {sample.name: sample.labels.keys() for sample in samples}
        for name, _, _, labels in labels_in(registry_of(role, directory / "unused")):
            assert there.get(name) == labels, (role, name)
