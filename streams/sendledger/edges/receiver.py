"""The receiver: takes postbacks, keeps them durably, answers 200. Loses nothing, lets nobody in (DESIGN §7, P3).

Start                                             Why in this place
 1. the spool, the heartbeat's file               without a disk there is no promise to keep
 2. the address                                   a port that is taken ends the start with a clear line
 3. the writer                                    it must be there before the first postback; Kafka need not be
 4. the server                                    listening = ready
 5. the heartbeat; `ReceiverAway`                 the absence ends when it listens, and is kept before the next beat
Stop: 4 (what is in flight is answered), the last beat, 3 (drained as far as Kafka takes it), 1. Records left in the
spool are an error: its volume must come back with the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from sendledger.config import Settings
from sendledger.edges import failpoints, kafka, system_record
from sendledger.edges.heartbeat import Heartbeat, away_record, beat_on, last_beat
from sendledger.edges.memory import spare_memory
from sendledger.edges.postback_records import PostbackRecords
from sendledger.edges.postback_rounds import PostbackRounds
from sendledger.edges.receiver_app import ReceiverApp
from sendledger.edges.receiver_door import door_of
from sendledger.edges.receiver_http import Server, bind, make_server
from sendledger.edges.receiver_kafka import MAX_BATCH_BYTES, REQUEST_TIMEOUT_MS, KafkaLink
from sendledger.edges.receiver_metrics import ReceiverMetrics
from sendledger.edges.receiver_waiting import Bodies, Fate
from sendledger.edges.receiver_writer import Writer
from sendledger.edges.spool import Spool, SpoolState
from sendledger.life import Life
from sendledger_schemas.topics import POSTBACKS, RECEIVERS, dlq

SPOOL_FILE = "spool.sqlite3"
BEAT_FILE = "heartbeat"
_FINISH_SECONDS = 8.0
_LANES = 4  # measured at 256 connections: 8 cost a fifth more of processor time, 2 make the broker sync one by one
_MEGABYTE = 1_000_000
_COLLECT_AFTER = 10_000  # objects; what a postback takes is in no cycle, and the collector was a fifth of its cost

log = structlog.get_logger()


class SpoolNotEmpty(Exception):
    """The receiver stopped with records in its spool; they go to Kafka when it runs again on the same volume."""


async def serve(settings: Settings, life: Life) -> None:
    """Receive until `life.stop`.

    Errors: ConfigError; OSError (its port is taken); SpoolFailed; OtherSystemError; SpoolNotEmpty (at the end).
    """
    settings.require("recipient_pepper", "postback_tokens")
    metrics = ReceiverMetrics(life.registry)
    spool, heartbeat = _open_disk(settings)
    listening = bind(settings.receiver_host or settings.host, settings.receiver_port)
    writer = Writer(
        _link(settings),
        spool,
        on_spool=metrics.spool,
        bodies=_bodies(settings),
        failpoint=failpoints.from_environment(),
    )
    metrics.watch_kafka(lambda: writer.connected)
    server = make_server(ReceiverApp(door=door_of(settings), writer=writer, metrics=metrics))

    async def keep_absence(since: datetime, until: datetime) -> bool:
        record = away_record(since, until, receiver=settings.receiver_name, source=_source(settings))
        return await writer.write(record) is not Fate.NOWHERE

    async def live() -> None:
        await server.listening.wait()
        spare_memory(_COLLECT_AFTER)
        life.ready.set()
        log.info("receiver listens", port=settings.receiver_port)
        await beat_on(heartbeat, keep_absence)

    serving = asyncio.create_task(server.serve(sockets=[listening]), name="receiver server")
    others = [
        asyncio.create_task(work, name=f"receiver {name}")
        for name, work in (("writer", writer.run()), ("heartbeat", live()), ("sweep", server.sweep(metrics.late)))
    ]
    await _until_end(life, [serving, *others])
    await _stop(server, serving, life)
    await last_beat(heartbeat, datetime.now(UTC))
    await writer.finish(seconds=_FINISH_SECONDS)
    for task in others:
        task.cancel()
    ended = await asyncio.gather(serving, *others, return_exceptions=True)
    _judge(ended, await writer.close())


def _open_disk(settings: Settings) -> tuple[Spool, Heartbeat]:
    directory = settings.spool_dir
    spool = Spool(directory / SPOOL_FILE, max_bytes=settings.spool_max_mb * _MEGABYTE)
    return spool, Heartbeat(directory / BEAT_FILE)


def _bodies(settings: Settings) -> Bodies:
    records = PostbackRecords(settings.pepper(), settings.partitions, _source(settings))
    return Bodies(records, PostbackRounds(records, most_bytes=MAX_BATCH_BYTES))


def _link(settings: Settings) -> KafkaLink:
    partitions = {POSTBACKS: settings.partitions, dlq(POSTBACKS): 1, RECEIVERS: 1}
    return KafkaLink(
        lambda: kafka.producer(
            settings.kafka,
            compression_type=None,  # a batch is a few postbacks: measured, packing them costs more than it saves
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        ),
        partitions,
        lambda: system_record.confirm(settings, write=False),
        lanes=_LANES,
    )


def _source(settings: Settings) -> str:
    return f"sendledger/receiver/{settings.receiver_name}"


async def _until_end(life: Life, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Until somebody asks for the end, or a part ends by itself, which is an error."""
    stop = asyncio.create_task(life.stop.wait(), name="receiver stop")
    await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()


async def _stop(server: Server, serving: asyncio.Task[None], life: Life) -> None:
    server.should_exit = True
    await asyncio.wait([serving])
    life.ready.clear()


def _judge(ended: Sequence[BaseException | None], left: SpoolState) -> None:
    """Errors: what a part ended with; SpoolNotEmpty."""
    for error in ended:
        if error is not None and not isinstance(error, asyncio.CancelledError):
            raise error
    if left.records:
        raise SpoolNotEmpty(f"{left.records} records are left in the spool: start the receiver again on this volume")
