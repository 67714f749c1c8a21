"""The API's write path on a real broker: batches, idempotency, crashes (DESIGN §6, §8, P1, P2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaError

from sendledger.config import Settings
from sendledger.domain.submission import Submission, from_json
from sendledger.edges import intake as intake_file
from sendledger.edges.intake import Answer, KeyReused, joined, submit, terms_of
from sendledger.edges.kafka import producer
from sendledger_schemas.campaigns import BatchRegistered, CampaignRegistered
from sendledger_schemas.envelope import HEADERS
from sendledger_schemas.ids import batch_id, message_id, partition_of, recipient_id
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.topics import CAMPAIGNS, MESSAGE_STATE, SEND_REQUESTS
from tests.support.api import NUMBER, TEXT, RunningApi, events, records, running_api
from tests.support.kafka import PEPPER, SharedBroker, fresh_topics
from tests.support.states import message_state

A, B, C = NUMBER, "15551234889", "15551234890"


@pytest.fixture(scope="module")
def module_log(shared_broker: SharedBroker, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Topics that this file's tests share: each works on a campaign of its own."""
    settings = shared_broker.settings(tmp_path_factory.mktemp("intake"))
    asyncio.run(fresh_topics(settings))
    return settings


@pytest.fixture
def log_(module_log: Settings, tmp_path: Path) -> Settings:
    """The settings of one test."""
    return module_log.model_copy(update={"data_dir": tmp_path})


@pytest.fixture
def name() -> str:
    """A campaign that no other test knows: digits, so that it is its own CAMPAIGNREF."""
    return str(uuid4().int)[:20]


@pytest.fixture
async def api(log_: Settings) -> AsyncIterator[RunningApi]:
    """A running API."""
    async with running_api(log_) as running:
        yield running


async def requested(settings: Settings, campaign: str) -> list[SendRequested]:
    """The data of the campaign's requests on the log (of names that begin so)."""
    data = [e.data for e in await events(settings, SEND_REQUESTS)]
    return [each for each in data if isinstance(each, SendRequested) and each.campaign_id.startswith(campaign)]


async def ordered(settings: Settings, campaign: str) -> list[Any]:
    """The campaign's registrations on the log, in its order."""
    data = [e.data for e in await events(settings, CAMPAIGNS)]
    mine = [each for each in data if isinstance(each, CampaignRegistered | BatchRegistered)]
    return [each for each in mine if each.campaign_id.startswith(campaign)]


def submission(campaign: str, *recipients: str, **over: Any) -> Submission:
    """A submission as the API reads it."""
    body = {"sender": "60856", "text": TEXT, "recipients": recipients, **over}
    found = from_json(campaign, json.dumps(body).encode())
    assert isinstance(found, Submission)
    return found


async def test_a_submission_becomes_a_campaign_a_batch_and_its_requests(api: RunningApi, name: str) -> None:
    """JSON becomes CampaignRegistered, then BatchRegistered, then one SendRequested in its recipient's partition."""
    answer = await api.submit(name, [NUMBER], key=name)
    parts = {"encoding": "UCS-2", "per_message": {"1": 1}, "total": 1, "not_gsm7": ["–"]}
    assert (answer.status, answer.json) == (
        202,
        {"batch": batch_id(name), "accepted": 1, "refused": [], "parts": parts},
    )
    first, second = await ordered(api.settings, name)
    assert isinstance(first, CampaignRegistered)
    assert isinstance(second, BatchRegistered)
    assert (second.batch, second.rows, second.by, first.by) == (batch_id(name), 1, first.by, second.by)
    (record,) = [r for r in await records(api.settings, SEND_REQUESTS) if name.encode() in r.value]
    recipient = recipient_id(PEPPER.encode(), NUMBER)
    assert record.key == recipient.encode()
    assert record.partition == partition_of(recipient, api.settings.partitions)
    assert list(record.headers) == HEADERS
    (data,) = await requested(api.settings, name)
    assert (data.to, data.text, data.sender, data.campaign_ref) == (NUMBER, TEXT, "60856", name)
    assert data.message_id == message_id(name, batch_id(name), 1)
    assert data.expires_at is not None


async def test_the_campaign_answers_from_the_202_on(api: RunningApi, name: str) -> None:
    """Whoever has a 202 finds the campaign at once; its counts may lag."""
    await api.submit(name, [A])
    answer = await api.get(f"/v1/campaigns/{name}")
    assert (answer.status, answer.json["campaign_id"], answer.json["state"]) == (200, name, "running")
    assert (await api.get("/v1/campaigns")).json["items"][0]["campaign_id"] == name


async def test_good_rows_of_a_bad_file_still_go(api: RunningApi, name: str) -> None:
    """Bad rows come back with row, field and reason; the good rows of the same file are on the log."""
    file = (
        f"to,text,operator_id\n{A},,\nhello,,\n{B},{'x' * 161},\n+{A},Hi,\n{B},a,b,c\n{C},Own text,77\n\n1555,,\n"
    ).encode()
    answer = await api.upload(name, file)
    assert (answer.status, answer.json["accepted"]) == (202, 2)
    assert [(row["row"], row["field"], row["reason"]) for row in answer.json["refused"]] == [
        (2, "to", "not a phone number"),
        (3, "text", "161 characters, at most 160"),
        (4, "to", "duplicate"),
        (5, "row", "4 fields, the header has 3"),
        (8, "to", "too short"),
    ]
    found = {(data.to, data.text, data.operator_id) for data in await requested(api.settings, name)}
    assert found == {(A, TEXT, None), (C, "Own text", "77")}


async def test_a_dry_run_writes_nothing(api: RunningApi, name: str) -> None:
    """A dry run gives the answer that the real one would give, and leaves no trace on the log."""
    body = {"sender": "60856", "text": TEXT, "recipients": [A, "hello"]}
    headers = {"Idempotency-Key": name}
    dry = await api.call("POST", f"/v1/campaigns/{name}/messages?dry_run=true", json=body, headers=headers)
    assert dry.status == 200
    assert await ordered(api.settings, name) == []
    assert await requested(api.settings, name) == []
    assert (await api.get(f"/v1/campaigns/{name}")).status == 404
    real = await api.submit(name, [A, "hello"], key=name)
    assert (real.status, real.json) == (202, dry.json)


async def test_the_same_key_with_the_same_content_sends_once(api: RunningApi, name: str) -> None:
    """A POST that is repeated has the same answer and writes no second batch and no second request (P1)."""
    answers = [await api.submit(name, [A, "bad", B], key=name) for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert answers[0].body == answers[1].body == answers[2].body
    assert len(await ordered(api.settings, name)) == 2
    assert sorted(data.to for data in await requested(api.settings, name)) == [A, B]


async def test_the_same_file_as_another_form_sends_once(api: RunningApi, name: str) -> None:
    """Each form has another boundary; it is the content that counts."""
    file = f"to\n{A}\n".encode()
    first, second = [await api.upload(name, file, key=name) for _ in range(2)]
    assert first.body == second.body
    assert len(await requested(api.settings, name)) == 1


async def test_the_same_key_with_another_content_is_found_out(api: RunningApi, name: str) -> None:
    """Another body, or another campaign, under a used key is refused, and nothing of it is written."""
    await api.submit(name, [A], key=name)
    for answer in (await api.submit(name, [A, B], key=name), await api.submit(f"{name}-2", [A], key=name)):
        assert (answer.status, answer.kind) == (422, "idempotency-key-reused")
    assert len(await requested(api.settings, name)) == 1
    assert (await api.get(f"/v1/campaigns/{name}-2")).status == 404


async def test_without_a_key_each_request_is_a_batch(api: RunningApi, name: str) -> None:
    """Nobody is protected from repeating oneself without asking for it."""
    first, second = await api.submit(name, [A]), await api.submit(name, [A])
    assert first.json["batch"] != second.json["batch"]
    assert len(await requested(api.settings, name)) == 2


async def test_repeats_at_the_same_time_send_once(api: RunningApi, name: str) -> None:
    """Many copies of one POST at once, as from an impatient client, give one answer and one request a row."""
    answers = await asyncio.gather(*(api.submit(name, [A, B], key=name) for _ in range(8)))
    assert {answer.body for answer in answers} == {answers[0].body}
    assert len(await requested(api.settings, name)) == 2


async def test_two_apis_race_for_a_key(log_: Settings, name: str) -> None:
    """Of two contents under one key at two APIs at once the first on the log wins, and only it is sent."""
    async with running_api(log_) as one, running_api(log_, data_dir=log_.data_dir / "2") as two:
        for n in range(5):
            key, left, right = f"{name}-{n}", f"1555123{n}001", f"1555123{n}002"
            answers = await asyncio.gather(one.submit(name, [left], key=key), two.submit(name, [right], key=key))
            assert sorted(answer.status for answer in answers) == [202, 422]
            winner = left if answers[0].status == 202 else right
            sent = [data.to for data in await requested(log_, name) if data.to in (left, right)]
            assert sent == [winner]


async def test_a_crash_between_the_batch_and_its_requests_is_mended(
    log_: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that dies after BatchRegistered loses nothing: the same POST completes it, with the same ids (P2)."""
    given = submission(name, A, "bad", B)

    async def died(*_: object) -> None:
        raise KafkaError

    with monkeypatch.context() as crashing:
        crashing.setattr(intake_file, "publish", died)
        with pytest.raises(KafkaError):
            await submit(log_, given, key=name, by="user:test")
    assert await requested(log_, name) == []
    (_, batch) = await ordered(log_, name)
    async with running_api(log_) as api:
        answer = await api.submit(name, [A, "bad", B], key=name)
    assert (answer.status, answer.json["batch"], answer.json["accepted"]) == (202, batch.batch, 2)
    ids = {data.message_id for data in await requested(log_, name)}
    assert ids == {message_id(name, batch.batch, row) for row in (1, 3)}
    assert len(await ordered(log_, name)) == 2


async def test_requests_that_are_written_again_are_the_same_events(log_: Settings, name: str) -> None:
    """Whoever writes a batch's requests, and however often, writes the same bytes: repeats cannot matter (P5)."""
    for _ in range(2):
        found = await submit(log_, submission(name, A, B), key=name, by="user:test")
        assert isinstance(found, Answer)
    values = [r.value for r in await records(log_, SEND_REQUESTS) if name.encode() in r.value]
    assert len(values) == 4
    assert len(set(values)) == 2


async def test_only_what_is_missing_is_written_again(log_: Settings, name: str) -> None:
    """An API that was started anew, and finds a batch's messages folded, writes none of them a second time."""
    async with running_api(log_) as api:
        await api.submit(name, [A, B], key=name)
    (first, _) = await requested(log_, name)
    await fold_one(log_, first)
    async with running_api(log_) as api:
        assert (await api.submit(name, [A, B], key=name)).status == 202
    ids = [data.message_id for data in await requested(log_, name)]
    assert (ids.count(first.message_id), len(ids)) == (1, 3)


async def fold_one(settings: Settings, data: SendRequested) -> None:
    """What the fold would publish of a request."""
    state = message_state(data.message_id, data.campaign_id, bucket="queued", final=False)
    async with producer(settings.kafka) as writer:
        await writer.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=data.message_id.encode())


async def test_a_submission_stays_good_when_its_time_has_passed(log_: Settings, name: str) -> None:
    """What was accepted is answered the same when it is repeated after its `expires_at`: its own time counts."""
    terms = terms_of(log_)
    given = submission(name, A, expires_at="2026-11-22T12:00:00Z")
    async with joined(log_.kafka, terms) as intake:
        intake._now = lambda: datetime(2026, 11, 22, 11, tzinfo=UTC)
        first = await intake.submit(given, key=name, by="user:test")
        intake._now = lambda: datetime(2026, 11, 22, 13, tzinfo=UTC)
        assert await intake.submit(given, key=name, by="user:test") == first
    assert isinstance(first, Answer)


async def test_the_cli_and_the_api_share_one_way(api: RunningApi, name: str) -> None:
    """What was submitted without HTTP is known to the API: the same key is the same batch there."""
    found = await submit(api.settings, submission(name, A), key=name, by="user:test")
    assert isinstance(found, Answer)
    answer = await api.submit(name, [B], key=name)
    assert answer.kind == "idempotency-key-reused"
    assert isinstance(await submit(api.settings, submission(name, B), key=name, by="user:test"), KeyReused)


async def test_a_cancelled_campaign_takes_no_more_messages(api: RunningApi, name: str) -> None:
    """New messages for a cancelled campaign are refused; a repeated POST from before still has its answer."""
    first = await api.submit(name, [A], key=name)
    await api.post(f"/v1/campaigns/{name}/cancel")
    answer = await api.submit(name, [B])
    assert (answer.status, answer.kind) == (409, "campaign-cancelled")
    assert (await api.submit(name, [A], key=name)).body == first.body


async def test_ten_thousand_rows(api: RunningApi, name: str) -> None:
    """A file of 10,000 rows is one POST, and each row is on the log exactly once."""
    file = b"to\n" + b"".join(b"1555%07d\n" % n for n in range(10_000))
    answer = await api.upload(name, file, key=name)
    assert answer.json["accepted"] == 10_000
    assert len({data.to for data in await requested(api.settings, name)}) == 10_000
    assert (await api.upload(name, file, key=name)).body == answer.body
    assert len(await requested(api.settings, name)) == 10_000
