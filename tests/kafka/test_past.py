"""Earlier moments from a real log: what `status` showed then is what it shows of then (DESIGN §8)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from sendledger.agents import fold, merge
from sendledger.cli.app import run
from sendledger.cli.numbers import following
from sendledger.config import Settings
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.edges.kafka import admin, consumer, producer
from sendledger.edges.orders import Orders
from sendledger.edges.past import Asked, recall
from sendledger.edges.publisher import Outgoing
from sendledger.edges.verify.log import LogCutError
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.topics import CAMPAIGN_STATE, CAMPAIGNS, FOLD_SOURCES
from tests.support import story
from tests.support.api import RunningApi, running_api
from tests.support.folding import agrees, lives, outgoing, role, totals, write
from tests.support.kafka import PEPPER, eventually
from tests.support.states import campaign_state

Json = dict[str, Any]
NEW = ("at", "clock", "as_of")


async def register(settings: Settings, *campaigns: str) -> None:
    """Write the registrations."""
    events = [
        event(
            CampaignRegistered(campaign_id=name, by="user:ann"), id=f"r-{name}", source="test", time=datetime.now(UTC)
        )
        for name in campaigns
    ]
    await write(
        settings, [Outgoing(CAMPAIGNS, 0, each.subject.encode(), encode(each)) for each in events if each.subject]
    )


async def shown_now(settings: Settings, campaign: str) -> tuple[datetime, Json]:
    """What `status` shows once the numbers are those of the whole log, and when that was."""
    wanted = totals(await agrees(settings))
    async with following(settings) as numbers:
        nobodys = wanted.get(NO_CAMPAIGN, {})

        def equal() -> bool:
            return all(
                (state := numbers.states.get(name)) is not None
                and state.counters == wanted[name]
                and (name == NO_CAMPAIGN or state.orphans == nobodys.get(f"orphans:{name}", 0))
                for name in wanted
            )

        await eventually(equal, what="the campaigns' numbers are the log's")
        moment = await tick()
        (view,) = numbers.snapshot(moment, campaign)
    return moment, view


async def past(settings: Settings, asked: Asked, policy: Any = "first-final") -> Json:
    """The same from the log."""
    told: list[tuple[int, int]] = []
    found = await recall(
        settings.kafka, asked, partitions=settings.partitions, progress=lambda *read: told.append(read)
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    return {name: value for name, value in found.view(policy).items() if name not in NEW}


def without(view: Json) -> Json:
    """All but what names the moment."""
    return {name: value for name, value in view.items() if name not in NEW}


async def test_what_status_showed_is_what_it_shows_of_then(shared_kafka: Settings) -> None:
    """Three moments of a campaign's life: every number, the state and the orders as `status` had them at the time."""
    events = lives(90)
    await register(shared_kafka, "c0", "c1", "c2")
    seen: list[tuple[datetime, Json]] = []
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka), producer(shared_kafka.kafka) as out:
        orders = Orders(out, pepper=shared_kafka.pepper(), partitions=shared_kafka.partitions)
        for third in range(3):
            part = events[third * len(events) // 3 : (third + 1) * len(events) // 3]
            await write(shared_kafka, outgoing(part, shared_kafka.partitions))
            seen.append(await shown_now(shared_kafka, "c1"))
            await (orders.pause, orders.resume, orders.cancel)[third]("c1", by="user:ann", reason="")
    for moment, view in seen:
        assert await past(shared_kafka, Asked("c1", moment, "log")) == without(view)
    assert [view["state"] for _, view in seen] == ["running", "paused", "running"]
    requested = [view["counts"]["requested"] for _, view in seen]
    assert requested == sorted(set(requested))
    between = await past(shared_kafka, Asked("c1", seen[1][0], "provider"))
    assert between["state"] == "paused"  # by the orders' own times
    everything = await past(shared_kafka, Asked("c1", datetime.now(UTC), "provider"))
    assert {**everything, **STANDING} == {**without(seen[2][1]), **STANDING}


STANDING = dict.fromkeys(("state", "state_reason", "state_since", "state_by"))


async def tick() -> datetime:
    """A moment behind everything that was written: the broker counts milliseconds."""
    moment = datetime.now(UTC) + timedelta(milliseconds=1)
    await eventually(lambda: datetime.now(UTC) > moment, what="the millisecond is over")
    return moment


async def test_the_api_and_the_verb_tell_of_earlier_moments(
    shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both show the fold of the log up to the moment, under any policy; and say so where there was nothing yet."""
    long_ago = await tick()
    await register(shared_kafka, "c0")
    events = lives(40, campaigns=1)
    await write(shared_kafka, outgoing(events[: len(events) // 2], shared_kafka.partitions))
    moment = await tick()
    await write(shared_kafka, outgoing(events[len(events) // 2 :], shared_kafka.partitions))
    wanted = await recall(
        shared_kafka.kafka, Asked("c0", moment, "log"), partitions=shared_kafka.partitions, progress=lambda *_: None
    )
    at = moment.isoformat()
    async with running_api(shared_kafka) as api:
        found = await api.call("GET", f"/v1/campaigns/c0?at={at}&policy=failure-wins")
        assert (found.status, found.json) == (200, wanted.view("failure-wins"))
        early = await api.call("GET", f"/v1/campaigns/c0?at={long_ago.isoformat()}")
        assert (early.status, early.kind) == (404, "not-yet-registered")
        await imbalance_is_told(api)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", shared_kafka.kafka.bootstrap_servers or "")
    monkeypatch.setenv("SENDLEDGER_RECIPIENT_PEPPER", PEPPER)
    verb = ["status", "c0", "--json", "--at"]
    capsys.readouterr()  # the API's log
    assert await asyncio.to_thread(run, [*verb, at, "--policy", "last-final"]) == 0
    assert json.loads(capsys.readouterr().out) == wanted.view("last-final")
    assert await asyncio.to_thread(run, [*verb, long_ago.isoformat()]) == 2
    assert "registered" in capsys.readouterr().err


async def imbalance_is_told(api: RunningApi) -> None:
    """P6: what the API shows and what does not add up is a metric of its own process."""

    async def told() -> str:
        lines = (await api.call("GET", "/metrics")).body.decode().splitlines()
        (line,) = [each for each in lines if each.startswith("sendledger_api_imbalance ")]
        return line.partition(" ")[2]

    assert await told() == "0.0"
    broken = [campaign_state(name, counters=c) for name, c in (("x", {"requested": 3}), ("y", {"b:sent": 1}))]
    place = Outgoing(CAMPAIGN_STATE, 0, b"", b"")
    await write(
        api.settings, [place._replace(key=s.campaign_id.encode(), value=s.model_dump_json().encode()) for s in broken]
    )

    async def four() -> bool:
        return await told() == "4.0"

    await eventually(four, what="the imbalance is told")


async def test_a_log_that_was_cut_is_no_log_of_then(shared_kafka: Settings) -> None:
    """What retention has deleted is missing: a campaign that began before that is refused, a later one is folded."""
    await register(shared_kafka, "c0")
    await write(shared_kafka, outgoing(lives(20, campaigns=1), shared_kafka.partitions))
    places = [TopicPartition(topic, p) for topic in FOLD_SOURCES for p in range(shared_kafka.partitions)]
    async with admin(shared_kafka.kafka) as client, consumer(shared_kafka.kafka) as reader:
        ends = await reader.end_offsets(places)
        half = {place: RecordsToDelete(ends[place] // 2) for place in places if ends[place] > 1}
        await client.delete_records(half)
    later = [(story.requested(f"n{n}", f"r{n}", "later"), float(n)) for n in range(20)]
    await tick()
    await register(shared_kafka, "later")
    await write(shared_kafka, outgoing(later, shared_kafka.partitions))
    now = await tick()
    with pytest.raises(LogCutError, match="retention"):
        await past(shared_kafka, Asked("c0", now, "log"))
    assert (await past(shared_kafka, Asked("later", now, "log")))["counts"]["queued"] == 20
