"""Messages as the sender would have written them, and the postbacks that the provider would send for them, now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger_schemas import attempts, ids, requests, responses
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.topics import API_RESPONSES, SEND_ATTEMPTS, SEND_REQUESTS

CAMPAIGNS = 3
_AT_ONCE = 2_000
_EASTERN = timezone(timedelta(hours=-4))
_RECEIPT = '\n\t<STATUS PROTOCOL="4" STATUS="0"/>'
_TEXT = "Your parcel will be with you between 2 and 4 pm today"


def campaign(number: int) -> str:
    """The campaign of a message."""
    return f"live-{number % CAMPAIGNS}"


def to(number: int) -> str:
    """The recipient of a message: one message each."""
    return f"1555{number:07d}"


Sent = requests.SendRequested | attempts.AttemptStarted | responses.SendAccepted


def events(settings: Settings, number: int, now: datetime) -> Iterator[tuple[str, Sent]]:
    """Request, claim and acceptance of one message: topic and data."""
    recipient, name = ids.recipient_id(settings.pepper(), to(number)), campaign(number)
    names = {
        "message_id": ids.message_id(name, "bench", number),
        "campaign_id": name,
        "recipient_id": recipient,
    }
    expires = now + timedelta(days=7)
    yield (
        SEND_REQUESTS,
        requests.SendRequested.model_validate(
            {"to": to(number), "sender": "60856", "text": _TEXT, "expires_at": expires, **names}
        ),
    )
    place = attempts.RequestPosition(partition=ids.partition_of(recipient, settings.partitions), offset=0)
    yield SEND_ATTEMPTS, attempts.AttemptStarted(attempt=1, worker="b", incarnation="0f0f", request=place, **names)
    yield API_RESPONSES, responses.SendAccepted(attempt=1, tracking_id=f"SMS_{number}", duration_ms=40.0, **names)


def accepted(settings: Settings, first: int, last: int) -> Iterator[Outgoing]:
    """Messages first … last − 1 as records, each accepted by the provider."""
    now = datetime.now(UTC)
    for number in range(first, last):
        for topic, data in events(settings, number, now):
            happened = event(data, id=ids.event_id(data.TYPE, str(number)), source="bench", time=now)
            recipient = data.recipient_id
            partition = ids.partition_of(recipient, settings.partitions)
            yield Outgoing(topic, partition, recipient.encode(), encode(happened), HEADERS)


async def write_accepted(settings: Settings, first: int, last: int) -> None:
    """Put messages first … last − 1 on the log."""
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        for start in range(first, last, _AT_ONCE):
            await publish(out, accepted(settings, start, min(start + _AT_ONCE, last)))


def postback(number: int, notification: int, *, receipt: bool) -> bytes:
    """The body of one notification about a message: that it was sent, or its receipt."""
    now = datetime.now(_EASTERN)
    when = now.strftime("%Y-%m-%d %H:%M:%S.%f-04")
    return (
        f'<NOTIFICATION ID="{notification}" CREATED="{when}">\n\t<ORIGIN>SMS_MT</ORIGIN>\n\t<CODE>N201</CODE>\n'
        f"\t<BODY>\n\t<HISTORYID>{notification}</HISTORYID>\n\t<TO>{to(number)}</TO>\n"
        f"\t<TRACKINGID>SMS_{number}</TRACKINGID>{_RECEIPT if receipt else ''}\n\t<TIMESTAMP>{when}</TIMESTAMP>\n"
        "\t</BODY>\n</NOTIFICATION>\n"
    ).encode()
