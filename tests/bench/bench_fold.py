"""How many events a second the whole fold takes: decode, documents, partials, message states, WriteBatch; real Kafka.

`python -m tests.bench.bench_fold [--events 300000] [--partitions 8] [--broker host:port]` prints one line of JSON.
Real events of the form and size of DESIGN §3 (raw XML in the postbacks), five a message, three campaigns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from sendledger.agents.driver import BatchApp
from sendledger.agents.fold import Fold, seldom_collect
from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.config import KafkaSettings, Settings
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.kafka import connection, producer
from sendledger.edges.publisher import MAX_BATCH_BYTES, Outgoing, publish
from sendledger.edges.topic_ids import topic_ids
from sendledger.edges.topics import create
from sendledger_schemas import attempts, envelope, ids, postbacks, requests, responses
from sendledger_schemas.registry import Data
from sendledger_schemas.topics import API_RESPONSES, FOLD_SOURCES, POSTBACKS, SEND_ATTEMPTS, SEND_REQUESTS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEPPER = b"bench-pepper-bench-pepper"
EVENTS_A_MESSAGE = 5
RAW = (
    '<NOTIFICATION ID="{number}" CREATED="2026-03-01 12:00:26.975911-04">\n\t<ORIGIN>SMS_MT</ORIGIN>\n'
    "\t<CODE>{code}</CODE>\n\t<BODY>\n\t<HISTORYID>{number}</HISTORYID>\n\t<TO>{to}</TO>\n"
    "\t<TRACKINGID>{tracking}</TRACKINGID>{status}\n\t<TIMESTAMP>2026-03-01 12:00:25.262743-04</TIMESTAMP>\n"
    "\t</BODY>\n</NOTIFICATION>\n"
)
STATUS = '\n\t<STATUS PROTOCOL="4" STATUS="0"/>'


def story(number: int) -> Iterator[tuple[str, str, Data, datetime]]:
    """The five events of one message: topic, recipient, data, time."""
    to = f"1555{number:07d}"
    recipient = ids.recipient_id(PEPPER, to)
    campaign = f"spring-{number % 3}"
    message = ids.message_id(campaign, "bench", number)
    names = {"message_id": message, "campaign_id": campaign, "recipient_id": recipient}
    asked = START + timedelta(milliseconds=2 * number)
    text = "Your parcel will be with you between 2 and 4 pm today"
    tracking = f"SMS_{number:08d}"
    request = {"to": to, "sender": "60856", "text": text, **names}
    yield SEND_REQUESTS, recipient, requests.SendRequested.model_validate(request), asked
    claim = attempts.AttemptStarted(
        attempt=1,
        worker="sender-0",
        incarnation="5f1c9a7e",
        request=attempts.RequestPosition(partition=0, offset=number),
        **names,
    )
    yield SEND_ATTEMPTS, recipient, claim, asked + timedelta(milliseconds=400)
    accepted = responses.SendAccepted(attempt=1, tracking_id=tracking, duration_ms=41.5, **names)
    yield API_RESPONSES, recipient, accepted, asked + timedelta(milliseconds=450)
    for claimed, status, after in (("sent", "", 2.0), ("delivered", STATUS, 5.5)):
        heard = asked + timedelta(seconds=after)
        raw = RAW.format(number=number, code="N201", to=to, tracking=tracking, status=status)
        data = postbacks.PostbackReceived.model_validate(
            {
                "recipient_id": recipient,
                "origin": "SMS_MT",
                "code": "N201",
                "claim": claimed,
                "tracking_id": tracking,
                "history_id": str(number),
                "notification_id": str(number),
                "operator_id": "383",
                "provider_time": heard - timedelta(milliseconds=200),
                "provider_timestamp": heard,
                "received_at": heard,
                "raw": raw,
            }
        )
        yield POSTBACKS, recipient, data, heard


def outgoing(first: int, last: int, partitions: int) -> Iterator[Outgoing]:
    """Messages first … last as records."""
    for number in range(first, last):
        for topic, recipient, data, when in story(number):
            happened = envelope.event(data, id=ids.event_id(data.TYPE, str(number), topic), source="bench", time=when)
            key = recipient.encode()
            yield Outgoing(topic, ids.partition_of(recipient, partitions), key, envelope.encode(happened))


async def fill(settings: Settings, events: int) -> int:
    """Put the events on the log; returns their bytes on average."""
    size = count = 0
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        for first in range(0, events // EVENTS_A_MESSAGE, 2_000):
            last = min(first + 2_000, events // EVENTS_A_MESSAGE)
            records = list(outgoing(first, last, settings.partitions))
            size, count = size + sum(len(record.value) for record in records), count + len(records)
            await publish(out, records)
    return size // count


@asynccontextmanager
async def kafka(broker: str | None, directory: Path) -> AsyncIterator[KafkaSettings]:
    """A broker of its own, or the one that is named (with fresh topics)."""
    if broker is not None:
        yield KafkaSettings(bootstrap_servers=broker)
        return
    async with EmbeddedKafka(directory) as embedded:
        yield embedded.kafka


async def measure(settings: Settings, directory: Path, events: int) -> tuple[float, float]:
    """Events a second from the first batch to the last WriteBatch, and µs of processor time an event."""
    seldom_collect()  # as `fold.serve` does
    stop, link = asyncio.Event(), connection(settings.kafka)
    ids_of = await topic_ids(link, FOLD_SOURCES)
    async with producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES) as out:
        metrics = FoldMetrics(CollectorRegistry())
        count = settings.partitions
        owner = Fold(directory / "fold", out, metrics, slot=0, partitions=count, ids=ids_of, connection=link)
        app = BatchApp(link, "bench-fold", FOLD_SOURCES, owner)
        running = asyncio.create_task(app.run(stop))
        await app.ready.wait()
        began, busy, before = time.perf_counter(), time.process_time(), sum(app.done.values())
        while sum(app.done.values()) - before < events:
            if running.done():
                break
            await asyncio.sleep(0.01)
        took, busy = time.perf_counter() - began, time.process_time() - busy
        stop.set()
        await running
    return events / took, busy / events * 1e6


async def main(events: int, partitions: int, broker: str | None) -> None:
    """Fill, measure, print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with kafka(broker, directory) as reached:
            settings = Settings(kafka=reached, partitions=partitions, replication_factor=1)
            await create(settings)
            size = await fill(settings, events)
            rate, busy = await measure(settings, directory, events // EVENTS_A_MESSAGE * EVENTS_A_MESSAGE)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"events": events, "event_bytes": size, "cpu_us_per_event": round(busy, 1), "max_rss_mb": memory}
    print(json.dumps({"fold_per_s": round(rate), **told}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument("--partitions", type=int, default=8)
    arguments.add_argument("--broker")
    given = arguments.parse_args()
    asyncio.run(main(given.events, given.partitions, given.broker))
