"""The batch driver: Kafka partitions in, batches of records out, by one's own cursors (DESIGN §5).

`BatchApp` runs a Faust application inside the running loop. Its owner says where each partition is to be read
(`assigned`), gets every record from there on exactly once and in order for each topic partition (`batch`), and is told
when the partitions are gone (`revoked`). Whatever fails ends `run` with an exception; nothing is retried in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import structlog
from aiokafka import TopicPartition
from faust.serializers.schemas import Schema

from sendledger.agents.alignment import Waiting, colocated
from sendledger.agents.fetched import Batch
from sendledger.agents.gathering import Gathering
from sendledger.agents.holes import Holes
from sendledger.agents.lease import Lease
from sendledger.agents.transport import BatchConsumer, BatchFaust

FINISH_WITHIN = 10.0  # seconds for what is in work at the end; after that it is given up, unwritten
LEAVE_WITHIN = 5.0  # seconds for leaving the group; after that the process ends without
_LOOK_AGAIN = 0.25  # seconds until what waits for another topic is looked at again

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LogRange:
    """What a topic partition holds: the first offset still there, and the one after the last."""

    first: int
    end: int


class Owner(Protocol):
    """What a role does with its partitions. An exception out of any of these ends the process."""

    async def assigned(self, partition: int, log: Mapping[str, LogRange]) -> Mapping[str, int]:
        """The partition is ours. Returns for each topic the offset to read first, within its range."""

    async def batch(self, partition: int, records: Mapping[str, Sequence[Any]]) -> None:
        """The next records (or `Packed`) of a partition, by topic, each in order. Called for several at a time."""

    async def revoked(self, partitions: Collection[int]) -> None:
        """These partitions are not ours any more; no batch of them is in work."""


class _RawSchema(Schema[Any, Any]):
    """Nothing is decoded here: Faust would acknowledge what it cannot decode."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        return message.value


class BatchApp:
    """One role's membership in its consumer group.

    `connection`: arguments for aiokafka clients (`edges.kafka.connection`). `name`: the group. `contiguous=False`: the
    topics are compacted. `packed=True`: the owner gets `fetched.Packed` for records. `ready` is set while it reads.
    `lease`: is told whenever the group has confirmed this membership. `gather`: seconds, see agents/gathering.py.
    """

    def __init__(
        self,
        connection: dict[str, Any],
        name: str,
        topics: Sequence[str],
        owner: Owner,
        *,
        ready: asyncio.Event | None = None,
        contiguous: bool = True,
        session_timeout: float = 6.0,
        fetch_bytes: int = 1 << 19,
        packed: bool = False,
        lease: Lease | None = None,
        gather: float = 0.0,
    ) -> None:
        self.ready = ready or asyncio.Event()
        self.holes = Holes()
        self.done: dict[TopicPartition, int] = {}
        self.spans: dict[TopicPartition, LogRange] = {}  # from cursor to end, when it was assigned
        self._topics = tuple(topics)
        self._owner = owner
        self._epoch = 0
        self._waiting = Waiting()
        self._wake, self._idle = asyncio.Event(), asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._app = self._faust(connection, name, session_timeout)
        self._app.contiguous, self._app.packed, self._app.fetch_bytes = contiguous, packed, fetch_bytes
        self._app.lease, self._app.gathering = lease or Lease(session_timeout), Gathering(gather)

    def _faust(self, connection: dict[str, Any], name: str, session_timeout: float) -> BatchFaust:
        app = BatchFaust(
            name,
            broker="kafka://",  # not used: the transport makes its consumer from `connection`
            store="memory://",
            datadir=f"{name}-unused",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=32,
            broker_session_timeout=session_timeout,
            broker_heartbeat_interval=session_timeout / 3,
            broker_rebalance_timeout=max(30.0, session_timeout),
            broker_commit_interval=2.0,
        )
        app.intake, app.connection = self, connection

        async def intake(stream: Any) -> None:
            async for batches in stream:
                for batch in batches:
                    await self._take(batch)

        app.agent(app.topic(*self._topics, schema=_RawSchema(), acks=False), name="intake")(intake)
        return app

    async def run(self, stop: asyncio.Event) -> None:
        """Read and hand on until `stop` is set; raises what made that impossible."""
        tasks = [
            asyncio.create_task(self._app.start(), name="faust"),
            asyncio.create_task(self._rounds(), name="rounds"),
            asyncio.create_task(self.holes.watch(self._consumer), name="holes"),
        ]
        for task in tasks:
            task.add_done_callback(self.reap)
        stopped: asyncio.Future[Any] = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopped, cast("asyncio.Future[Any]", self._failed)}, return_when="FIRST_COMPLETED")
        finally:
            stopped.cancel()
            await self._leave(tasks)
        if self._failed.done():
            self._failed.result()

    def fail(self, error: BaseException) -> None:
        """End `run` with this error (from any thread)."""
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done() and not isinstance(error, asyncio.CancelledError):
            _log.error("reading failed", error=f"{type(error).__name__}: {error}")
            self._failed.set_exception(error)

    def reap(self, task: asyncio.Task[Any]) -> None:
        """For `add_done_callback`: an error of a task beside ends `run`."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error)

    async def _leave(self, tasks: list[asyncio.Task[Any]]) -> None:
        self.ready.clear()
        self._forget()
        try:
            await self._finish(tasks[1])
            async with asyncio.timeout(LEAVE_WITHIN):
                await self._app.stop()
        except TimeoutError:
            _log.warning("the group was not left in time")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._owner.revoked({tp.partition for tp in self.done})
            self.done.clear()

    async def _finish(self, rounds: asyncio.Task[None]) -> None:
        """What is in work is finished, with its cursor, or given up: a batch that hangs must not keep the process."""
        try:
            async with asyncio.timeout(FINISH_WITHIN), self._idle:
                rounds.cancel()
        except TimeoutError:
            _log.warning("what was in work did not end in time")
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)

    # ------------------------------------------------------------------------------ called by the transport
    async def seek(self, assigned: set[TopicPartition]) -> None:
        """Ask the owner for its cursors and read on from there."""
        try:
            await self._seek(assigned)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 — Faust would take it for another rebalance and go on
            if self._still(assigned):
                self._fail(error)

    def _still(self, assigned: set[TopicPartition]) -> bool:
        return {TopicPartition(*tp) for tp in self._consumer.assignment()} == assigned

    async def _seek(self, assigned: set[TopicPartition]) -> None:
        epoch = self._epoch
        partitions = colocated(assigned, self._topics)
        ranges = await self._consumer.ranges(assigned) if assigned else {}
        cursors: dict[TopicPartition, int] = {}
        for partition in partitions:
            log = {topic: LogRange(*ranges[TopicPartition(topic, partition)]) for topic in self._topics}
            if epoch != self._epoch:
                return
            self.done.update({TopicPartition(topic, partition): log[topic].first for topic in self._topics})
            offsets = await self._owner.assigned(partition, log)
            cursors.update({TopicPartition(topic, partition): offsets[topic] for topic in self._topics})
        if epoch != self._epoch:
            return
        seek = await self._consumer.seek_all(cursors)
        if epoch != self._epoch:
            return
        self.done.update(cursors)
        self.spans = {tp: LogRange(offset, ranges[tp][1]) for tp, offset in cursors.items()}
        self.holes.begin(seek, cursors)
        for tp, span in self.spans.items():
            if span.first < span.end:
                self._waiting.expect(tp.topic, tp.partition, span.end)
        self.ready.set()
        _log.info("reading", partitions=partitions)

    async def revoke(self) -> None:
        """Drop what waits, wait for what is in work, tell the owner."""
        self.ready.clear()
        self._forget()
        async with self._idle:
            partitions = {tp.partition for tp in self.done}
            self.done.clear()
        try:
            await self._owner.revoked(partitions)
        except Exception as error:  # noqa: BLE001 — as in `seek`
            self._fail(error)

    def hint(self) -> Mapping[TopicPartition, int]:
        """Where the owner is, for those who monitor the group."""
        return dict(self.done)

    @property
    def _consumer(self) -> BatchConsumer:
        return cast("BatchConsumer", self._app.consumer)

    def _forget(self) -> None:
        self._epoch += 1
        self.holes.forget()
        self._waiting.clear()

    def is_full(self, tp: tuple[str, int]) -> bool:
        """Whether enough of a topic partition waits (asked by the consumer's thread before it fetches)."""
        return self._waiting.is_full(*tp)

    # ------------------------------------------------------------------------------ from the agent to the owner
    async def _take(self, batch: Batch) -> None:
        try:
            if await self.holes.follows(batch, self._consumer):
                self._waiting.add(batch.tp.topic, batch.tp.partition, batch.records)
                self._wake.set()
        except Exception as error:  # noqa: BLE001 — nothing may raise out of an agent
            self._fail(error)

    async def _rounds(self) -> None:
        """What waits is handed on at once, partitions side by side: one folds while another is acknowledged."""
        while True:
            await self._woken()
            async with self._idle:
                work = self._waiting.take(self._loop.time())
                if work and self._waiting:
                    self._wake.set()  # there may be more than is handed on at once
                async with asyncio.TaskGroup() as group:
                    for partition, records in work.items():
                        group.create_task(self._hand_on(partition, records))

    async def _woken(self) -> None:
        """Wait for records, and not for long if some wait for those of another topic."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN if self._waiting else None):
                await self._wake.wait()
        self._wake.clear()

    async def _hand_on(self, partition: int, records: Mapping[str, Sequence[Any]]) -> None:
        await self._owner.batch(partition, records)
        for topic, batch in records.items():
            self.done[TopicPartition(topic, partition)] = batch[-1].offset + 1
