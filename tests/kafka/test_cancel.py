"""The emergency brake on a real Kafka: a cancel waits for nobody, and one that stands is never told as failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from aiokafka.errors import KafkaConnectionError

from sendledger.cli.app import run
from sendledger.config import KafkaSettings, Settings
from sendledger.edges import under_way
from sendledger.edges.api import server
from sendledger.edges.api.desk import Desk
from sendledger.edges.kafka import consumer, producer
from sendledger_schemas.campaigns import CampaignCancelled
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS
from tests.support.api import NUMBER, RunningApi, events, running_api
from tests.support.instance import cli, environment
from tests.support.kafka import eventually
from tests.support.states import campaign_state

PATH = "/v1/campaigns/spring"


@pytest.fixture
def desks(monkeypatch: pytest.MonkeyPatch) -> list[Desk]:
    """The desks of the APIs that are started in this process."""
    made: list[Desk] = []

    def make(**given: Any) -> Desk:
        made.append(Desk(**given))
        return made[-1]

    monkeypatch.setattr(server, "Desk", make)
    return made


@pytest.fixture
async def api(shared_kafka: Settings, desks: list[Desk]) -> AsyncIterator[RunningApi]:
    """A running API with one campaign."""
    async with running_api(shared_kafka) as running:
        await running.submit("spring", [NUMBER])
        yield running


async def cancels(settings: Settings) -> int:
    """How many cancels stand on the log."""
    return sum(isinstance(each.data, CampaignCancelled) for each in await events(settings, CAMPAIGNS))


async def test_slow_timelines_do_not_hold_up_a_cancel(
    api: RunningApi, desks: list[Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who may read the log at once are busy: the campaign is cancelled now; what was in flight is told, or not."""
    monkeypatch.setattr(under_way, "LOOK_SECONDS", 4.0)
    (desk,) = desks
    for _ in range(4):
        await desk.timelines.acquire()
    assert desk.timelines.locked()
    asked = asyncio.create_task(api.post(f"{PATH}/cancel", {"reason": "sold out"}))

    async def cancelled() -> bool:
        return bool((await api.get(PATH)).json["state"] == "cancelled")

    await eventually(cancelled, timeout=3, what="it is cancelled while the timelines are read")
    assert not asked.done()
    answer = await asked
    assert (answer.status, answer.json["state"], answer.json["in_flight"]) == (200, "cancelled", None)
    assert "could not be read" in answer.json["in_flight_reason"]
    again = await api.post(f"{PATH}/cancel")
    assert (again.status, again.json["in_flight"]) == (200, None)
    assert again.json["in_flight_reason"] == "the campaign was cancelled before"
    assert await cancels(api.settings) == 1


@pytest.mark.parametrize("where", ["before", "behind"])
async def test_a_cancel_that_stands_is_told_as_one(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, where: Literal["before", "behind"]
) -> None:
    """Kafka fails where the journal is looked at, before the order or behind it: 200, and null with the reason."""
    fault = {"before": ("consumer", nowhere), "behind": ("scan", failing)}[where]
    monkeypatch.setattr(under_way, *fault)
    answer = await api.post(f"{PATH}/cancel")
    assert (answer.status, answer.json["state"], answer.json["in_flight"]) == (200, "cancelled", None)
    assert answer.json["in_flight_reason"] == "the journal could not be read (KafkaConnectionError)"
    assert await cancels(api.settings) == 1


async def test_the_command_line_says_that_it_stands(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same on the command line: the order first, then that the rest is not known, and exit code 0."""
    settings = api.settings
    assert settings.kafka.bootstrap_servers is not None
    given = environment(settings.data_dir / "cli", RECIPIENT_PEPPER=settings.pepper().decode())
    for name, value in {**given, "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(under_way, "scan", failing)
    assert await asyncio.to_thread(run, ["cancel", "spring"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("cancel: spring\nwhat was in flight could not be read")
    assert await cancels(settings) == 1


def nowhere(*_: Any, **__: Any) -> Any:
    """A consumer of a Kafka that nobody answers for."""
    return consumer(KafkaSettings(bootstrap_servers="127.0.0.1:1"))


def failing(*_: Any) -> Any:
    """Kafka went away."""
    raise KafkaConnectionError


async def test_claims_from_before_the_window_are_not_nothing(api: RunningApi) -> None:
    """No sender runs, and the numbers count calls that nobody has ended: HTTP and command line say how many."""
    settings = api.settings
    await api.submit("summer", [NUMBER])
    async with producer(settings.kafka) as out:
        for name in ("spring", "summer"):
            numbers = campaign_state(name, 5, counters={"requested": 5, "b:attempting": 3, "b:delivered": 2}, version=9)
            await out.send_and_wait(CAMPAIGN_STATE, numbers.model_dump_json().encode(), key=name.encode())

    async def counted() -> bool:
        return bool((await api.get(PATH)).json["counts"]["attempting"] == 3)

    await eventually(counted, what="the numbers are there")
    told = (await api.post(f"{PATH}/cancel")).json
    assert told["in_flight"] == {"count": 0, "older": 3, "within_seconds": 100, "items": []}
    said = (await cli(settings, "cancel", "summer")).out
    assert "nothing of the last 100 s was in flight" in said
    assert "count 3 more as attempting" in said
