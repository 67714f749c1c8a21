"""The same POST again, whatever became of the first one: real processes, killed with -9 or racing (P1, P2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition

from sendledger.config import Settings
from sendledger.domain.submission import Submission, from_json
from sendledger.edges.intake import Answer, joined, terms_of
from sendledger.edges.kafka import consumer
from sendledger_schemas.campaigns import BatchRegistered, CampaignRegistered
from sendledger_schemas.ids import batch_id, message_id
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import CAMPAIGNS, SEND_REQUESTS
from tests.support.api import TEXT, events
from tests.support.api_process import api_process
from tests.support.instance import COMMAND, Ended, environment, sendledger
from tests.support.kafka import PEPPER
from tests.support.sender import answered, desk, sender, sending

LONG = os.environ.get("CHAOS") == "long"
FIRST = 15_550_000_000
TRIES = 3


def people(rows: int) -> bytes:
    """A file of so many recipients."""
    return b"to\n" + b"".join(b"%d\n" % (FIRST + row) for row in range(1, rows + 1))


async def until_some(settings: Settings, wanted: int) -> None:
    """Wait until at least so many requests are on the log."""
    places = [TopicPartition(SEND_REQUESTS, number) for number in range(settings.partitions)]
    async with consumer(settings.kafka) as reader:
        reader.assign(places)
        while sum((await reader.end_offsets(places)).values()) < wanted:  # noqa: ASYNC110 — a fact of another process
            await asyncio.sleep(0)


async def ids(settings: Settings, campaign: str) -> Counter[str]:
    """How often each message of a campaign is asked for on the log."""
    return Counter(data.message_id for data in await requested(settings) if data.campaign_id == campaign)


async def registrations(settings: Settings, kind: type[Any]) -> list[Any]:
    """The registrations of one kind, in log order."""
    return [event.data for event in await events(settings, CAMPAIGNS) if isinstance(event.data, kind)]


async def requested(settings: Settings) -> list[SendRequested]:
    """The data of all requests on the log."""
    return [event.data for event in await events(settings, SEND_REQUESTS) if isinstance(event.data, SendRequested)]


def submission(campaign: str, *recipients: str) -> Submission:
    """A submission as the API reads it."""
    body = {"sender": "60856", "text": TEXT, "recipients": recipients}
    found = from_json(campaign, json.dumps(body).encode())
    assert isinstance(found, Submission)
    return found


@pytest.mark.parametrize(("rows", "send"), [(20_000, LONG), (5_000, True)])
async def test_a_post_that_dies_in_the_middle_is_completed_by_the_same_post(
    shared_kafka: Settings, rows: int, *, send: bool
) -> None:
    """Kill -9 with some requests on the log: the same POST at a fresh process has the same ids, each message once."""
    seed = random.randrange(2**32)
    wanted = random.Random(seed).randint(1, rows // 2)
    print(f"seed {seed}: killed once {wanted} of {rows} requests are on the log")  # noqa: T201
    tried = 0
    while True:
        tried += 1
        campaign, key = f"spring-{tried}", f"key {tried}"
        async with api_process(shared_kafka, f"first-{tried}") as first:
            posting = asyncio.create_task(first.upload(campaign, people(rows), key=key))
            await asyncio.wait_for(until_some(shared_kafka, (tried - 1) * rows + wanted), 60)
            await first.kill()
            (told,) = await asyncio.gather(posting, return_exceptions=True)
        before = await ids(shared_kafka, campaign)
        if len(before) < rows or tried == TRIES:
            break  # else the rest was written before the kill landed: then another batch
    assert isinstance(told, aiohttp.ClientError)
    assert wanted <= len(before) < rows, "it died too late to show anything"
    async with api_process(shared_kafka, "second") as second:
        answer = await second.upload(campaign, people(rows), key=key)
        assert (answer.status, answer.json["batch"], answer.json["accepted"]) == (202, batch_id(key), rows)
        other = await second.upload(campaign, people(rows - 1), key=key)
        assert (other.status, other.kind) == (422, "idempotency-key-reused")
    after = await ids(shared_kafka, campaign)
    assert set(after) == {message_id(campaign, batch_id(key), row) for row in range(1, rows + 1)}
    assert set(before) <= set(after)
    assert len(await registrations(shared_kafka, BatchRegistered)) == tried
    assert len(await registrations(shared_kafka, CampaignRegistered)) == tried
    if send:
        async with desk() as provider:
            settings = sending(shared_kafka, provider.url)
            async with sender(settings):
                await answered(settings, tried * rows)
        assert Counter(provider.calls) == Counter({str(FIRST + row): tried for row in range(1, rows + 1)})


async def test_two_processes_that_get_a_key_at_once_make_one_batch(shared_kafka: Settings) -> None:
    """Same content: the same answer and each message once. Other content: one wins, the other is told 422."""
    rounds = 0
    async with api_process(shared_kafka, "1") as one, api_process(shared_kafka, "2") as two:
        winners: set[tuple[str, str]] = set()
        while rounds < 12 or (rounds < 60 and await _most_registered(shared_kafka) < 2):
            n, rounds = rounds, rounds + 1
            same = [{"to": str(FIRST + 10 * n + row)} for row in range(5)]
            answers = await asyncio.gather(*(api.submit(f"same-{n}", same, key=f"same-{n}") for api in (one, two)))
            assert [answer.status for answer in answers] == [202, 202]
            assert answers[0].body == answers[1].body
            left, right = ([str(FIRST + 1_000 * side + n)] for side in (1, 2))
            of_two = await asyncio.gather(
                one.submit(f"other-{n}", left, key=f"other-{n}"), two.submit(f"other-{n}", right, key=f"other-{n}")
            )
            statuses = [answer.status for answer in of_two]
            assert sorted(statuses) == [202, 422]
            assert of_two[statuses.index(422)].kind == "idempotency-key-reused"
            winners.add((f"other-{n}", (left, right)[statuses.index(202)][0]))
    found = await requested(shared_kafka)
    assert {(data.campaign_id, data.to) for data in found if data.campaign_id.startswith("other")} == winners
    expected = {message_id(f"same-{n}", batch_id(f"same-{n}"), row) for n in range(rounds) for row in range(1, 6)}
    assert {data.message_id for data in found if data.campaign_id.startswith("same")} == expected
    assert len({data.batch for data in await registrations(shared_kafka, BatchRegistered)}) == 2 * rounds
    assert await _most_registered(shared_kafka) == 2, (
        "no round was a race: neither process registered without knowing of the other"
    )


async def _most_registered(settings: Settings) -> int:
    """How often the batch was registered that was registered most often: twice, if both processes did it at once."""
    return max(Counter(data.batch for data in await registrations(settings, BatchRegistered)).values())


async def test_the_same_command_again_sends_once_whatever_ended_the_first(
    shared_kafka: Settings, tmp_path: Path
) -> None:
    """`send` killed -9 in the middle, then run twice at once: one batch, each message once."""
    rows = 10_000
    (tmp_path / "people.csv").write_bytes(people(rows))
    env = environment(tmp_path / "data", RECIPIENT_PEPPER=PEPPER, PARTITIONS=str(shared_kafka.partitions)) | {
        "KAFKA_BOOTSTRAP_SERVERS": str(shared_kafka.kafka.bootstrap_servers)
    }
    tried = 0
    while True:
        tried += 1
        campaign = f"spring-{tried}"
        command = ("send", campaign, "--sender", "60856", "--text", TEXT, "--recipients", "people.csv")
        process = await asyncio.create_subprocess_exec(*COMMAND, *command, env=env, cwd=tmp_path)
        await asyncio.wait_for(until_some(shared_kafka, (tried - 1) * rows + 1), 60)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        before = await ids(shared_kafka, campaign)
        if len(before) < rows or tried == TRIES:
            break  # as above
    assert process.returncode == -9
    assert 0 < len(before) < rows, "it died too late to show anything"

    async def again(*more: str) -> Ended:
        return await sendledger(*command, *more, env=env, directory=tmp_path)

    for ended in await asyncio.gather(again(), again()):
        assert ended.code == 0, ended
        assert f"{rows} accepted, 0 refused" in ended.out
        assert f"UCS-2, 1 part a message, {rows} in all; not in GSM-7: – (U+2013 EN DASH)" in ended.out
    *_, registered = await registrations(shared_kafka, BatchRegistered)
    after = await ids(shared_kafka, campaign)
    assert set(after) == {message_id(campaign, registered.batch, row) for row in range(1, rows + 1)}
    moved = await again("--expires", "2099-01-01T00:00:00Z")
    assert (moved.code, "--again" in moved.err) == (2, True)
    assert len(await registrations(shared_kafka, BatchRegistered)) == tried


async def test_a_batch_stays_with_the_region_of_its_registration(shared_kafka: Settings) -> None:
    """Another default region, then or in a race, sends no row's message to another number, and no refused row."""
    terms, rows = terms_of(shared_kafka), ("0151 23456789", str(FIRST))
    for region, key, accepted in (("DE", "germany", 2), (None, "nowhere", 1)):
        given = submission(key, *rows)
        async with joined(shared_kafka.kafka, replace(terms, region=region)) as intake:
            first = await intake.submit(given, key=key, by="user:test")
        async with joined(shared_kafka.kafka, replace(terms, region="AT")) as intake:
            assert await intake.submit(given, key=key, by="user:test") == first
        assert isinstance(first, Answer)
        assert first.accepted == accepted
    assert {data.to for data in await requested(shared_kafka)} == {str(FIRST), "4915123456789"}
    n = 0
    while True:
        n += 1
        given = submission(f"race-{n}", "0151 23456789")
        async with (
            joined(shared_kafka.kafka, replace(terms, region="DE")) as one,
            joined(shared_kafka.kafka, replace(terms, region="AT")) as two,
        ):
            both = (intake.submit(given, key=f"key {n}", by="user:test") for intake in (one, two))
            answers = await asyncio.gather(*both)
        assert answers[0] == answers[1]
        registered = await registrations(shared_kafka, BatchRegistered)
        (winner, *others) = [data for data in registered if data.campaign_id == f"race-{n}"]
        if others or n == TRIES:
            break  # else the second one knew of the first: then another batch
    assert len(others) == 1, "no race: the second one knew of the first"
    country = {"DE": "49", "AT": "43"}[winner.region or ""]
    in_race = [data for data in await requested(shared_kafka) if data.campaign_id == f"race-{n}"]
    assert {data.to[:2] for data in in_race} == {country}
