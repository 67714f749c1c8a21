"""verify on a real broker: silent about a true log, and whatever is forged, missing or late is named with messages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from sendledger.agents import fold, merge
from sendledger.cli.app import run
from sendledger.config import Settings
from sendledger.domain.verification import Report
from sendledger.edges.kafka import admin
from sendledger.edges.publisher import Outgoing
from sendledger.edges.verify.program import Options, Watch, verify
from sendledger.edges.verify.repair import repair
from sendledger.edges.verify.result import last_result
from sendledger_schemas.campaigns import CampaignRegistered
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, CAMPAIGNS, FOLD_SOURCES, MESSAGE_STATE
from tests.support import story
from tests.support.folding import Records, agrees, lives, outgoing, read, role, totals, write
from tests.support.instance import running
from tests.support.kafka import PEPPER, eventually

Json = dict[str, Any]
QUICK = Options(patience=1.0)
NOTHING: Any = None


async def settled(settings: Settings) -> None:
    """Wait until partials and campaign states are those of the log."""
    wanted = totals(await agrees(settings))

    async def equal() -> bool:
        return {r.key.decode(): json.loads(r.value)["counters"] for r in await read(settings, CAMPAIGN_STATE)} == wanted

    await eventually(equal, what="the campaign states are those of the log")


async def a_true_log(settings: Settings, messages: int = 120) -> None:
    """Events, and everything that fold and merge make of them; both have stopped then."""
    stray = story.postback("sent", "T-nobody", lives(1)[0][0].recipient_id)  # type: ignore[union-attr]
    await write(settings, outgoing([*lives(messages), (stray, 10)], settings.partitions))
    async with role(fold.serve, settings), role(merge.serve, settings):
        await settled(settings)


def last(records: Records, *, counter: str | None = None, **fields: Any) -> tuple[Any, Json]:
    """Of the records that are the last of their keys one whose value has these fields and this counter; its value."""
    found = [(r, json.loads(r.value)) for r in {(r.topic, r.key): r for r in records}.values()]
    fitting = [(r, v) for r, v in found if all(v[name] == value for name, value in fields.items())]
    return next((r, v) for r, v in fitting if counter is None or counter in v["counters"])


def again(record: Any, value: Json) -> Outgoing:
    """A record with the same key in the same place, and another value."""
    return Outgoing(record.topic, record.partition, record.key, json.dumps(value).encode())


def found(report: Report) -> set[tuple[str, str, str]]:
    """What kind of thing differs, why, and of which campaign."""
    return {(d.what, d.why, d.campaign_id) for d in report.differences}


async def test_a_true_log_has_no_difference(shared_kafka: Settings) -> None:
    """Every number of every campaign is proved, beside fold and merge at work, and nothing is written by it."""
    await write(shared_kafka, outgoing(lives(300), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
        report = await verify(shared_kafka, Options())
        await settled(shared_kafka)
        quiet = await verify(shared_kafka, Options(policy="delivered-wins"))
    assert report.differences == quiet.differences == []
    assert quiet.messages == 300
    assert quiet.campaigns == 3
    assert quiet.numbers > 300


async def test_what_was_forged_is_named_with_its_messages(shared_kafka: Settings) -> None:
    """A forged partial, message state and campaign state are told, each with the number that the log says."""
    await a_true_log(shared_kafka)
    records = await read(shared_kafka, CAMPAIGN_PARTIALS, CAMPAIGN_STATE, MESSAGE_STATE)
    partials = [r for r in records if r.topic == CAMPAIGN_PARTIALS]
    partial, numbers = last(partials, campaign_id="c1", day=None, counter="b:delivered")
    numbers["counters"]["b:delivered"] += 1
    message, state = last([r for r in records if r.topic == MESSAGE_STATE], campaign_id="c2", bucket="sent")
    state["bucket"] = "delivered"
    whole, campaign = last([r for r in records if r.topic == CAMPAIGN_STATE], campaign_id="c0")
    campaign["counters"]["requested"] -= 3
    await write(shared_kafka, [again(partial, numbers), again(message, state), again(whole, campaign)])
    report = await verify(shared_kafka, QUICK)
    assert found(report) == {("partial", "wrong", "c1"), ("message", "wrong", "c2"), ("state", "wrong", "c0")}
    told = {d.what: d for d in report.differences}
    assert (told["partial"].published, told["partial"].log) == (told["partial"].log + 1, told["partial"].log)
    truth = {r.key.decode(): json.loads(r.value) for r in records if r.topic == MESSAGE_STATE}
    wanted = {"campaign_id": "c1", "bucket": "delivered", "request": told["partial"].partition}
    mine = {
        m
        for m, v in truth.items()
        if wanted == {**wanted, **{n: v[n] for n in wanted}, "request": v["request"]["partition"]}
    }
    assert set(told["partial"].messages) <= mine
    assert len(told["partial"].messages) + told["partial"].more == len(mine)
    assert told["message"].messages == (message.key.decode(),)
    assert (told["message"].name, told["message"].published, told["message"].log) == ("bucket", "delivered", "sent")
    assert told["state"].log == told["state"].published + 3
    assert len(told["state"].messages) == 10


async def a_spoiled_topic(settings: Settings) -> tuple[set[str], str]:
    """Half a log is folded, then the rest; then somebody writes the first half's message states and series again.

    Returns the messages that went back, and the key of a series that is gone.
    """
    events = outgoing(lives(120), settings.partitions)
    await write(settings, events[: len(events) // 2])
    async with role(fold.serve, settings), role(merge.serve, settings):
        await settled(settings)
        older = {r.key: r for r in await read(settings, MESSAGE_STATE)}
        await write(settings, events[len(events) // 2 :])
        await settled(settings)
    newer = {r.key: r for r in await read(settings, MESSAGE_STATE)}
    back = [record for key, record in older.items() if newer[key].value != record.value][:20]
    series = [r for r in await read(settings, CAMPAIGN_PARTIALS) if json.loads(r.value)["day"]][-1]
    spoilt = [again(record, json.loads(record.value)) for record in back]
    await write(settings, [*spoilt, Outgoing(series.topic, series.partition, series.key, NOTHING)])
    return {record.key.decode() for record in back}, series.key.decode()


async def test_what_is_missing_or_went_back_is_named(shared_kafka: Settings) -> None:
    """A series that is gone, and message states that a woken worker wrote over newer ones: behind, after a wait."""
    back, series = await a_spoiled_topic(shared_kafka)
    told: list[str] = []
    report = await verify(shared_kafka, QUICK, Watch(told.append))
    assert {d.messages[0] for d in report.differences if d.what == "message"} == back
    (gone,) = [d for d in report.differences if d.what == "series"]
    assert series.startswith(f"{gone.campaign_id}/{gone.partition}/")
    assert gone.messages
    assert {(d.what, d.why) for d in report.differences} == {("message", "behind"), ("series", "behind")}
    assert len(told) == 1
    assert "waiting" in told[0]


async def test_numbers_that_stay_behind_the_log_differ(shared_kafka: Settings) -> None:
    """Events that nobody folds, and partials that nobody merges, are differences; of the campaigns concerned only."""
    await a_true_log(shared_kafka, 30)
    who = {"message": "new", "recipient": "somebody", "campaign": "late"}
    await write(shared_kafka, outgoing([(story.requested(**who), 0)], shared_kafka.partitions))
    unfolded = await verify(shared_kafka, QUICK)
    assert found(unfolded) == {(what, "behind", "late") for what in ("partial", "message", "state")} | {
        ("partial", "behind", "_none"),
        ("state", "behind", "_none"),
    }
    assert [d.messages for d in unfolded.differences if d.campaign_id == "late"] == [("new",)] * 3
    async with role(fold.serve, shared_kafka):
        await agrees(shared_kafka)
    unmerged = await verify(shared_kafka, QUICK)
    assert found(unmerged) == {("state", "behind", "late"), ("state", "behind", "_none")}
    asked, came = await repair(shared_kafka, unmerged.differences, by="user:test", patience=0.5)
    assert (asked, came) == (2, 0)  # nobody is there to answer
    only = await verify(shared_kafka, replace(QUICK, campaign="c1"))
    assert only.differences == []
    assert only.campaigns == 1


async def test_what_is_only_late_is_waited_for(shared_kafka: Settings) -> None:
    """A fold and a merge that come while verify waits leave no difference."""
    await write(shared_kafka, outgoing(lives(30), shared_kafka.partitions))
    told = asyncio.Event()
    verifying = asyncio.create_task(verify(shared_kafka, Options(patience=60), Watch(lambda _: told.set())))
    async with asyncio.timeout(60):
        await told.wait()
        async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
            report = await verifying
    assert report.differences == []


async def test_repair_mends_what_a_woken_worker_spoilt(shared_kafka: Settings) -> None:
    """The owners publish again what they have: the last records are the true ones, and nothing else is written."""
    back, series = await a_spoiled_topic(shared_kafka)
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
        whole, campaign = last(await read(shared_kafka, CAMPAIGN_STATE), campaign_id="c0")
        campaign["counters"]["requested"] -= 3
        await write(shared_kafka, [again(whole, campaign)])
        spoilt = await verify(shared_kafka, QUICK)
        before = len(await read(shared_kafka, MESSAGE_STATE))
        asked, came = await repair(shared_kafka, spoilt.differences, by="user:test", patience=30)
        mended = await verify(shared_kafka, QUICK)
    assert asked == came == len(back) + 2  # the messages, the series, the state
    assert mended.differences == []
    assert len(await read(shared_kafka, MESSAGE_STATE)) == before + len(back)
    assert any(r.key.decode() == series and r.value for r in await read(shared_kafka, CAMPAIGN_PARTIALS))


async def test_what_the_log_has_lost_is_told_and_is_no_difference(shared_kafka: Settings) -> None:
    """Where retention has cut the log, older campaigns cannot be proved; those registered since still are."""
    await write(shared_kafka, outgoing(lives(60), shared_kafka.partitions))
    async with role(fold.serve, shared_kafka), role(merge.serve, shared_kafka):
        await settled(shared_kafka)
        log = await read(shared_kafka, *FOLD_SOURCES)
        places = {(r.topic, r.partition): r.offset for r in log}
        younger = outgoing([(story.requested("young", "r", "new"), 0)], shared_kafka.partitions)
        registered = event(
            CampaignRegistered(campaign_id="new", by="user:test"), id="e", source="test", time=datetime.now(UTC)
        )
        await write(shared_kafka, [Outgoing(CAMPAIGNS, 0, b"new", encode(registered)), *younger])
        await agrees(shared_kafka)
        async with admin(shared_kafka.kafka) as client:
            await client.delete_records(
                {TopicPartition(t, p): RecordsToDelete(before_offset=o) for (t, p), o in places.items()}
            )
        report = await verify(shared_kafka, replace(QUICK, patience=30))
    assert report.differences == []
    assert {unproved.campaign_id for unproved in report.unproved} >= {"c0", "c1", "c2", "_none"}
    assert "new" not in {unproved.campaign_id for unproved in report.unproved}
    assert report.campaigns == 1


async def test_the_verb_tells_and_ends_as_it_promises(
    shared_kafka: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and no difference; 1 once something differs, in JSON too; 2 for a campaign that nobody knows."""
    await a_true_log(shared_kafka, 30)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", shared_kafka.kafka.bootstrap_servers or "")
    monkeypatch.setenv("SENDLEDGER_RECIPIENT_PEPPER", PEPPER)
    monkeypatch.setenv("SENDLEDGER_DATA_DIR", str(shared_kafka.data_dir))

    async def verb(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, ["verify", "--patience", "1", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    code, out, _ = await verb()
    assert code == 0
    assert "30 message states: no difference" in out
    result = last_result(shared_kafka.data_dir)
    assert result is not None
    assert result["divergence"] == 0
    message, state = last(await read(shared_kafka, MESSAGE_STATE))
    await write(shared_kafka, [again(message, {**state, "attempts": 9})])
    code, out, _ = await verb("--json")
    assert code == 1
    (difference,) = json.loads(out)["differences"]
    assert (difference["name"], difference["published"]) == ("attempts", 9)
    other = next(name for name in ("c0", "c1", "c2") if name != state["campaign_id"])
    assert (await verb("--campaign", other))[0] == 0
    code, _, err = await verb("--campaign", "nobody")
    assert code == 2
    assert "nobody" in err
    result = last_result(shared_kafka.data_dir)
    assert result is not None
    assert result["divergence"] == 1


async def test_every_so_often_it_looks_again(shared_kafka: Settings, tmp_path: Path) -> None:
    """`--every` goes on and on: what is spoilt later is found later, and an interrupt ends it."""
    await a_true_log(shared_kafka, 30)
    servers = shared_kafka.kafka.bootstrap_servers or ""
    given = {"KAFKA_BOOTSTRAP_SERVERS": servers, "SENDLEDGER_RECIPIENT_PEPPER": PEPPER}
    env = {"PATH": os.environ["PATH"], **given, "SENDLEDGER_DATA_DIR": str(shared_kafka.data_dir)}
    verb = ("verify", "--every", "1s", "--patience", "1", "--json")
    async with running("verify", *verb, env=env, directory=tmp_path) as program:

        async def looks(differing: int) -> bool:
            found = [len(json.loads(line)["differences"]) for line in program.out.splitlines()]
            return len(found) >= 2 and found[-1] == differing

        await eventually(lambda: looks(0), what="it has looked twice and found nothing")
        message, state = last(await read(shared_kafka, MESSAGE_STATE))
        await write(shared_kafka, [again(message, {**state, "attempts": 9})])
        await eventually(lambda: looks(1), what="it has found what was forged meanwhile")
        assert await program.stop(signal.SIGINT) != 0
