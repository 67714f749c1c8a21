"""A message's timeline, read from the events of its recipient's partition (DESIGN §8, P7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.timeline import find_state, timeline
from sendledger_schemas.attempts import AttemptStarted, RequestPosition
from sendledger_schemas.decisions import DoubtResolved
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.ids import partition_of, recipient_id
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.registry import Data
from sendledger_schemas.requests import SendRequested
from sendledger_schemas.responses import SendAccepted, SendUnanswered
from sendledger_schemas.states import MessageState
from sendledger_schemas.topics import (
    API_RESPONSES,
    DECISIONS,
    MESSAGE_STATE,
    POSTBACKS,
    SEND_ATTEMPTS,
    SEND_REQUESTS,
)
from tests.support.api import NUMBER, TEXT, running_api
from tests.support.kafka import PEPPER, eventually
from tests.support.states import message_state

RECIPIENT = recipient_id(PEPPER.encode(), NUMBER)
RAW = f"<NOTIFICATION><TO>{NUMBER}</TO></NOTIFICATION>"


class Log:
    """Writes one recipient's events in the order of its calls, a second apart."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._at = datetime.now(UTC)
        self.partition = partition_of(RECIPIENT, settings.partitions)

    async def write(self, topic: str, *data: Data, raw: bytes | None = None) -> int:
        """Events of the recipient; returns the last one's offset."""
        offset = -1
        async with producer(self._settings.kafka) as writer:
            for each in data:
                self._at += timedelta(seconds=1)
                value = encode(event(each, id=str(self._at), source="test", time=self._at))
                sent = await writer.send_and_wait(topic, value, key=RECIPIENT.encode(), partition=self.partition)
                offset = sent.offset
            if raw is not None:
                await writer.send_and_wait(topic, raw, key=RECIPIENT.encode(), partition=self.partition)
        return offset


def ids(message: str = "m") -> dict[str, Any]:
    """The fields of every event of a message."""
    return {"message_id": message, "campaign_id": "spring", "recipient_id": RECIPIENT}


def requested(message: str = "m") -> SendRequested:
    """A request."""
    return SendRequested(**ids(message), to=NUMBER, sender="60856", text=TEXT)


def claimed(message: str = "m", **over: Any) -> AttemptStarted:
    """A claim."""
    position = RequestPosition(partition=0, offset=0)
    given = {"attempt": 1, "worker": "w", "incarnation": "i", "request": position, **over}
    return AttemptStarted(**ids(message), **given)


def accepted(message: str, tracking_id: str) -> SendAccepted:
    """A response."""
    return SendAccepted(**ids(message), attempt=1, tracking_id=tracking_id, duration_ms=5)


def notice(tracking_id: str) -> PostbackReceived:
    """A postback."""
    now = datetime.now(UTC)
    return PostbackReceived(
        recipient_id=RECIPIENT,
        origin="SMS_MT",
        code="N201",
        claim="sent",
        tracking_id=tracking_id,
        received_at=now,
        raw=RAW,
    )


def state_of(log: Log, offset: int, **over: Any) -> MessageState:
    """The state of message `m` whose request stands at `offset`."""
    where = RequestPosition(partition=log.partition, offset=offset)
    return message_state("m", recipient_id=RECIPIENT, request=where, requested_at=datetime.now(UTC), **over)


@pytest.fixture
def log(shared_kafka: Settings) -> Log:
    """An empty log."""
    return Log(shared_kafka)


async def test_all_steps_of_a_message_and_none_of_another(log: Log, shared_kafka: Settings) -> None:
    """Request, claim, response and postback come in order; those of the recipient's other message do not."""
    await log.write(SEND_REQUESTS, requested("other"))
    offset = await log.write(SEND_REQUESTS, requested())
    await log.write(SEND_ATTEMPTS, claimed("other"), claimed(), raw=RECIPIENT.encode())
    await log.write(API_RESPONSES, accepted("other", "SMS_1"), accepted("m", "SMS_2"))
    await log.write(POSTBACKS, notice("SMS_1"), notice("SMS_2"))
    steps = await timeline(shared_kafka.kafka, state_of(log, offset, tracking_id="SMS_2"))
    assert [(step.what, step.matched) for step in steps] == [
        ("send-requested", True),
        ("attempt-started", True),
        ("send-accepted", True),
        ("postback-received", True),
    ]
    assert [step.topic for step in steps] == [SEND_REQUESTS, SEND_ATTEMPTS, API_RESPONSES, POSTBACKS]
    assert steps[2].facts["tracking_id"] == "SMS_2"


async def test_a_doubt_shows_the_postbacks_that_may_be_its_own(log: Log, shared_kafka: Settings) -> None:
    """Without a TRACKINGID the recipient's postbacks are shown as possible evidence, marked as not matched."""
    offset = await log.write(SEND_REQUESTS, requested())
    await log.write(SEND_ATTEMPTS, claimed())
    await log.write(API_RESPONSES, SendUnanswered(**ids(), attempt=1, reason="timeout"))
    await log.write(POSTBACKS, notice("SMS_9"))
    await log.write(DECISIONS, DoubtResolved(**ids(), attempt=1, resolution="sent", by="token:ops"))
    steps = await timeline(shared_kafka.kafka, state_of(log, offset, bucket="accepted"))
    assert [(step.what, step.matched) for step in steps][2:] == [
        ("send-unanswered", True),
        ("postback-received", False),
        ("doubt-resolved", True),
    ]


async def test_nothing_personal_is_in_a_timeline(log: Log, shared_kafka: Settings) -> None:
    """Neither the number nor the text nor the raw postback comes out, also over HTTP (P7)."""
    offset = await log.write(SEND_REQUESTS, requested())
    await log.write(API_RESPONSES, accepted("m", "SMS_2"))
    await log.write(POSTBACKS, notice("SMS_2"))
    state = state_of(log, offset, tracking_id="SMS_2")
    async with producer(shared_kafka.kafka) as writer:
        await writer.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=b"m")
    async with running_api(shared_kafka) as api:
        answer = await api.get("/v1/messages/m")
    assert (answer.status, answer.json["to"], len(answer.json["timeline"])) == (200, "***888", 3)
    assert not any(secret in answer.body.decode() for secret in (NUMBER, TEXT, "NOTIFICATION"))


async def test_the_state_is_found_without_a_view(log: Log, shared_kafka: Settings) -> None:
    """Programs without a view find the newest state of a message, whatever the order of its records."""
    states = [state_of(log, 0, version=version) for version in (1, 3, 2)]
    async with producer(shared_kafka.kafka) as writer:
        for state in states:
            await writer.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=b"m")
    found = await find_state(shared_kafka.kafka, "m", partitions=shared_kafka.partitions)
    assert found is not None
    assert found.version == 3
    assert await find_state(shared_kafka.kafka, "nobody", partitions=shared_kafka.partitions) is None


async def test_messages_appear_as_the_fold_publishes_them(shared_kafka: Settings) -> None:
    """A record of the fold shows in the campaign's list without anybody asking for it."""
    async with running_api(shared_kafka) as api:
        await api.submit("spring", [NUMBER])
        async with producer(shared_kafka.kafka) as writer:
            for version, bucket in enumerate(("queued", "sent")):
                state = message_state("m", bucket=bucket, version=version)
                await writer.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=b"m")

        async def sent() -> bool:
            return len((await api.get("/v1/campaigns/spring/messages?bucket=sent")).json["items"]) == 1

        await eventually(sent, what="the message is sent")
        assert (await api.get("/v1/campaigns/spring/messages?bucket=queued")).json["items"] == []
