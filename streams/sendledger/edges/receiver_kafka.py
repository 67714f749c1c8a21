"""The receiver's way into Kafka: a producer that is made when needed, given up on an error, and made again (DESIGN §7).

aiokafka's idempotent producer retries for ever and has no way to be closed without flushing. The receiver has a spool
instead of patience: it waits for a fixed time, gives the whole producer up, and brings the records in later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from sendledger.edges.postback_rounds import Ready
from sendledger.edges.record import Record

MAX_BATCH_BYTES = 768 * 1024
"""Below the broker's max.message.bytes (1 MiB), above the largest event: 64 KiB of control characters, escaped."""

REQUEST_TIMEOUT_MS = 5_000
_CLOSE_SECONDS = 15.0


class Unreachable(Exception):
    """Kafka cannot be used now; the message says why."""


class KafkaLink:
    """The producers of one connection to Kafka: `lanes` of them, each for its share of the partitions.

    A broker handles one producer's request at a time, and syncs its partitions one after the other; several
    producers make it sync side by side. `partitions`: topic → how many it must have; a wrong count is Unreachable.
    `confirm` is awaited once, before the first write to this log: what it raises says that the log is another
    system's, and ends the receiver.
    """

    def __init__(
        self,
        make: Callable[[], AIOKafkaProducer],
        partitions: Mapping[str, int],
        confirm: Callable[[], Awaitable[None]],
        *,
        lanes: int = 1,
    ) -> None:
        self._make = make
        self._partitions = partitions
        self._confirm = confirm
        self._confirmed = False
        self._lanes = lanes
        self._producers: list[AIOKafkaProducer] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def connect(self, *, seconds: float) -> None:
        """Make a producer that knows its topics. Errors: Unreachable; what `confirm` raises."""
        await self.give_up()
        producers = [self._make() for _ in range(self._lanes)]
        try:
            async with asyncio.timeout(seconds):
                await self._start(producers)
                if not self._confirmed:
                    await self._confirm()
                    self._confirmed = True
        except (KafkaError, OSError, TimeoutError, Unreachable) as error:
            self._discard(producers)
            raise Unreachable(_reason(error)) from error
        except BaseException:
            self._discard(producers)
            raise
        self._producers = producers

    async def _start(self, producers: Sequence[AIOKafkaProducer]) -> None:
        # Side by side: one after the other, many would take longer than a slow broker is waited for.
        for failed in await asyncio.gather(*(one.start() for one in producers), return_exceptions=True):
            if failed is not None:
                raise failed
        for producer in producers:
            await self._check(producer)

    async def _check(self, producer: AIOKafkaProducer) -> None:
        for topic, expected in self._partitions.items():
            found = len(await producer.partitions_for(topic))
            if found != expected:
                raise Unreachable(f"{topic} has {found} partitions, not {expected}")

    async def send(self, records: Sequence[Record], *, seconds: float, ready: Sequence[Ready] = ()) -> set[int]:
        """Write the records; the positions of those that all in-sync replicas have. Never raises.

        `ready`: batches that are made already, with positions of their own. What is missing in the answer was not
        acknowledged within `seconds`: it may still arrive.
        """
        producers = self._producers
        if not producers or not (records or ready):
            return set()
        flights: list[tuple[asyncio.Future[object], list[int]]] = []
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(seconds):
                for topic, partition, made, covered in ready:
                    producer = producers[partition % len(producers)]
                    flights.append((await producer.send_batch(made, topic, partition=partition), covered))
                for (topic, partition), positions in _grouped(records).items():
                    producer = producers[partition % len(producers)]
                    for batch, covered in _batches(producer, records, positions):
                        flights.append((await producer.send_batch(batch, topic, partition=partition), covered))
                await asyncio.wait([flight for flight, _ in flights])
        acknowledged: set[int] = set()
        for flight, covered in flights:
            if flight.done() and not flight.cancelled() and flight.exception() is None:
                acknowledged.update(covered)
            else:
                flight.add_done_callback(_ignore)
        return acknowledged

    async def give_up(self) -> None:
        """Leave the producers with all that they still hold; they are closed beside."""
        producers, self._producers = self._producers, []
        self._discard(producers)

    async def close(self, *, seconds: float) -> None:
        """Close everything, within `seconds`. Whoever wants acknowledgements has awaited them before."""
        await self.give_up()
        if self._closing:
            await asyncio.wait(self._closing, timeout=seconds)
        for task in self._closing:
            task.cancel()

    def _discard(self, producers: Iterable[AIOKafkaProducer]) -> None:
        for producer in producers:
            task = asyncio.create_task(_close(producer), name="closing a producer")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _grouped(records: Sequence[Record]) -> dict[tuple[str, int], list[int]]:
    groups: dict[tuple[str, int], list[int]] = {}
    for position, record in enumerate(records):
        groups.setdefault((record.topic, record.partition), []).append(position)
    return groups


def _batches(
    producer: AIOKafkaProducer, records: Sequence[Record], positions: Sequence[int]
) -> Iterator[tuple[BatchBuilder, list[int]]]:
    """The records of one partition as one batch, or as several if they are too many bytes for one."""
    batch, covered = producer.create_batch(), list[int]()
    for position in positions:
        record = records[position]
        headers = list(record.headers)
        if batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is None:
            yield batch, covered
            batch, covered = producer.create_batch(), []
            batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
        covered.append(position)
    yield batch, covered


async def _close(producer: AIOKafkaProducer) -> None:
    """Close without flushing. The private parts are aiokafka 0.14's: `stop` alone would wait for every batch."""
    accumulator = producer._message_accumulator  # noqa: SLF001
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer._sender.close()  # noqa: SLF001
            waiting = [batch for batches in accumulator._batches.values() for batch in batches]  # noqa: SLF001
            for batch in (*waiting, *accumulator._pending_batches):  # noqa: SLF001
                batch.future.cancel()
            await producer.stop()


def _ignore(flight: asyncio.Future[object]) -> None:
    # An exception that nobody looks at would be reported when the future is dropped.
    if not flight.cancelled():
        flight.exception()


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, Unreachable) else type(error).__name__
