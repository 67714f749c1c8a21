"""Faust's aiokafka driver in batches: what one fetch returned travels as one message, or one a partition (DESIGN §5).

What differs from the stock driver, each because of something read in its sources:
- `getmany` yields `Batch`es, a few small ones together; decoding is left to whoever folds them.
- Where reading starts is asked for (`Intake.seek`), never what the group committed: a hint, so failing is no error.
- The assignor is Faust's own (partitions of all topics together), never the round robin that Faust falls back to.
- Batches are chained (`start`, `next`): Faust may drop queued messages at a rebalance, and the hole must be seen.
- Faust's bookkeeping of read and acknowledged offsets is off: it is made for single records.
- A crash of any of Faust's services is reported (`Intake.fail`): nobody else would notice.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Protocol, cast

import faust
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import WorkerThread

from sendledger.agents.fetched import Batch, Packed, fetch
from sendledger.agents.gathering import Gathering, GatheringConsumer, together
from sendledger.agents.lease import Lease
from sendledger.edges.clocks import steady

Position = Mapping[TopicPartition, int]


class LogChangedError(Exception):
    """The log is not the one that was being read: offsets went back, or were cut away before they were read."""


class Intake(Protocol):
    """What the transport calls, always on the application's own loop (`fail`: from any thread)."""

    async def seek(self, assigned: set[TopicPartition]) -> None:
        """The partitions are ours: say where to read by `BatchConsumer.seek_all`."""

    async def revoke(self) -> None:
        """No partition is ours any more; returns when nothing of them is in work."""

    def is_full(self, tp: tuple[str, int]) -> bool:
        """Whether enough of this partition waits to be used (from the consumer's thread)."""

    def hint(self) -> Position:
        """What may be committed for those who watch the group."""

    def fail(self, error: BaseException) -> None:
        """Something ended that must not end."""


class _NoOffsets(dict[Any, Any]):
    """Makes Faust believe that it has read nothing, so that it neither drops a batch nor computes gaps."""

    def __getitem__(self, _key: object) -> None:
        return None

    def __setitem__(self, _key: object, _offset: object) -> None:
        pass


class _DaemonThread(WorkerThread):
    """A consumer thread that hangs in a broken connection must not keep a failed process alive."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class _Thread(stock.AIOKafkaConsumerThread):
    Worker = _DaemonThread

    def __post_init__(self) -> None:
        super().__post_init__()
        self.chain: dict[TopicPartition, tuple[int, int]] = {}  # number of the last seek, next offset
        self._seeks = 0

    @property
    def _batch_app(self) -> BatchFaust:
        return cast("BatchFaust", self.app)

    def _create_worker_consumer(self, transport: stock.Transport) -> AIOKafkaConsumer:  # noqa: ARG002 — Faust's
        app = self._batch_app
        return GatheringConsumer(
            gathering=app.gathering,
            lease=app.lease,
            group_id=app.conf.id,
            partition_assignment_strategy=[app.assignor],
            enable_auto_commit=False,
            # Not relied on: every partition is sought before it is read, what was fetched before is dropped.
            auto_offset_reset="earliest",
            session_timeout_ms=int(app.conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(app.conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(app.conf.broker_rebalance_timeout * 1000),
            max_partition_fetch_bytes=app.fetch_bytes,
            fetch_max_bytes=16 * app.fetch_bytes,  # one answer stands in memory several times while it is taken apart
            metadata_max_age_ms=60_000,
            **app.connection,
        )

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.chain.clear()
        await super().on_partitions_revoked(revoked)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],  # noqa: ARG002 — see `wanted`
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        stock_fetch, wanted = super()._fetch_records, cast("BatchConsumer", self.consumer).wanted

        def at_once(places: set[TP]) -> Any:
            return stock_fetch(consumer, places, timeout=0, max_records=max_records)

        fetched = await fetch(consumer, at_once, wanted, timeout or 0.0, packed=self._batch_app.packed)
        # No await from here to the return: seeks run on this thread too, and chain and fetch must move together.
        self._batch_app.gathering.took(fetched.values(), steady())
        return {tp: [self._chained(tp, records)] for tp, records in fetched.items() if tp in self.chain}

    def _chained(self, tp: Any, records: list[ConsumerRecord] | list[Packed]) -> Batch:
        (seek, start), head = self.chain[tp], records[0]
        first = head.first if isinstance(head, Packed) else head.offset
        if first < start:
            raise LogChangedError(f"{tp.topic}/{tp.partition} went back from {start} to {first}")
        batch = Batch(tp, seek, first if self._batch_app.contiguous else start, records)
        self.chain[tp] = seek, batch.next
        return batch

    async def ranges(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset that the log still has and the one after its last, for each partition."""
        return cast("dict[TopicPartition, tuple[int, int]]", await self.call_thread(self._ranges, list(tps)))

    async def _ranges(self, tps: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        consumer = self._ensure_consumer()
        first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        return {tp: (first[tp], end[tp]) for tp in tps}

    async def seek_all(self, positions: Position) -> int:
        """Read on from here; returns the number of this seek."""
        return cast("int", await self.call_thread(self._seek_all, positions))

    async def _seek_all(self, positions: Position) -> int:
        consumer = self._ensure_consumer()
        self._seeks += 1
        for tp, offset in positions.items():
            consumer.seek(tp, offset)
            self.chain[tp] = self._seeks, offset
        return self._seeks

    async def commit_hint(self, positions: Position) -> None:
        """Commit for monitoring; whatever goes wrong with that is not worth a word."""
        await self.call_thread(self._commit_hint, positions)

    async def _commit_hint(self, positions: Position) -> None:
        consumer = self._ensure_consumer()
        offsets = {tp: OffsetAndMetadata(positions[tp], "") for tp in consumer.assignment() if tp in positions}
        with contextlib.suppress(KafkaError, ConsumerStoppedError):
            if offsets:
                await consumer.commit(offsets)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's check takes its own clocks for Kafka's; the watchdog looks from outside instead."""

    def close(self) -> None:
        """Nothing: `on_thread_stop` closes the consumer on its own loop; the stock method does so on a foreign one."""


class BatchConsumer(stock.Consumer):
    """Faust's consumer, yielding batches."""

    _thread: _Thread
    app: BatchFaust

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoOffsets()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def ranges(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """See `_Thread.ranges`."""
        return await self._thread.ranges(tps)

    async def seek_all(self, positions: Position) -> int:
        """Read on from these offsets; IllegalStateError if a partition is not ours any more."""
        return await self._thread.seek_all(positions)

    def wanted(self) -> tuple[set[TP], bool] | None:
        """See `fetch`; asked by the consumer's thread. What may be read is asked anew: it changes while one waits."""
        active = set(self._active_partitions or ())  # a copy, made in one step
        wanted = {tp for tp in active if not self.app.intake.is_full(tp)}
        return (wanted, len(wanted) == len(active)) if self.flow_active else None

    def fetched(self, tp: TopicPartition) -> tuple[int, int] | None:
        """Up to where a partition was fetched: number of the seek, next offset. None between assignments."""
        return self._thread.chain.get(tp)

    async def perform_seek(self) -> None:
        """Faust seeks to the committed offsets here, after each assignment; we to our own cursors.

        It then clears its queues and lets the flow go on. A worker that had no partition before has its flow going all
        the time: nothing that follows our seek may be in the queues before they are cleared.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        await self.app.intake.seek({TopicPartition(*tp) for tp in self.assignment()})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, then wait until nothing is in work."""
        await super().on_partitions_revoked(revoked)
        await self.app.intake.revoke()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust does not call `perform_seek` for an assignment of nothing."""
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            await self.app.intake.seek(set())

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:
        """Yield messages whose value is a list of `Batch`. What is cut short here is a hole, found later."""
        records, _active = await self._wait_next_records(timeout)
        for batches in together([batch for fetched in (records or {}).values() for batch in fetched]):
            if self.should_stop or not self.flow_active:
                return
            yield TP(*batches[0].tp), self._message(batches)

    def _message(self, batches: list[Batch]) -> Any:
        tp, last = TP(*batches[0].tp), batches[0].records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            1,  # LogAppendTime
            None,
            None,
            cast("Any", batches),
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def commit(self, *_args: Any, **_kwargs: Any) -> bool:
        """Commit our cursors as a hint."""
        await self._thread.commit_hint(self.app.intake.hint())
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: a full queue blocks the fetcher; the stock way sleeps a second when all are full."""

    on_buffer_drop = on_buffer_full


class _Transport(stock.Transport):
    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer


class _Boot(BootStrategy):
    """The consumer and the agents; no producer (ours acknowledges and is awaited), no leader, no replies, no web."""

    enable_kafka_producer = False
    enable_web = False

    def kafka_consumer(self) -> list[Any]:
        return [self.app.consumer]


class BatchFaust(faust.App):
    """A Faust application on this transport. Its fields: see `BatchApp`."""

    BootStrategy = _Boot
    intake: Intake
    connection: dict[str, Any]
    contiguous: bool
    packed: bool
    fetch_bytes: int
    lease: Lease
    gathering: Gathering

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    _new_producer_transport = _new_transport

    def _create_directories(self) -> None:
        """No tables, no directories."""

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        self.intake.fail(reason)
