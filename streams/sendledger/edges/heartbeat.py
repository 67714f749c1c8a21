"""When nobody listened: a heartbeat on local disk, and from it `ReceiverAway` on the next start (DESIGN §7)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from sendledger.edges.record import Record
from sendledger_schemas import ids
from sendledger_schemas.envelope import HEADERS, encode, event
from sendledger_schemas.fields import format_instant
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.topics import RECEIVERS

BEAT_SECONDS = 5.0
AWAY_AFTER = timedelta(seconds=60)
"""Shorter gaps are restarts: the provider's retries, 5 minutes apart, bridge them without loss."""

_RETRY_SECONDS = 1.0
_PARTITION = 0  # sms.receivers.v1 is not keyed: it has one partition

Keep = Callable[[datetime, datetime], Awaitable[bool]]

log = structlog.get_logger()


class Heartbeat:
    """The time of the last beat, in a file. Safe on several threads. Errors of its methods: OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()  # a beat on its thread outlives the task that asked for it

    def last(self) -> datetime | None:
        """When it beat last; None at the very first start, or if the file cannot be read as a time."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return datetime.fromisoformat(self._path.read_text(encoding="ascii").strip())
        return None

    def beat(self, now: datetime) -> None:
        """Write the time, whole or not at all, synced: a power cut must not leave an empty file."""
        draft = self._path.with_suffix(".new")
        with self._writing:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("w", encoding="ascii") as file:
                file.write(format_instant(now))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)


def away(last: datetime | None, now: datetime) -> tuple[datetime, datetime] | None:
    """From when to when nobody listened, if that was longer than a restart takes."""
    if last is None or now - last <= AWAY_AFTER:
        return None
    return last, now


def away_record(since: datetime, until: datetime, *, receiver: str, source: str) -> Record:
    """The event of one absence. Its id comes from its beginning: told again after a crash, it is the same absence."""
    data = ReceiverAway(from_=since, to=until, receiver=receiver)
    told = event(data, id=ids.event_id(data.TYPE, receiver, format_instant(since)), source=source, time=until)
    return Record(RECEIVERS, _PARTITION, receiver.encode(), encode(told), tuple(HEADERS))


async def _until_kept(keep: Keep, absence: tuple[datetime, datetime]) -> None:
    while True:
        if await keep(*absence):
            return
        await asyncio.sleep(_RETRY_SECONDS)


async def beat_on(
    heartbeat: Heartbeat,
    keep: Keep,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Beat for ever; returns never. `keep(since, until)` makes an absence durable and says whether it did.

    An absence is told before the next beat, which would hide it: also one in mid-run, of a process that was stopped.
    """
    last = heartbeat.last()
    while True:
        now = clock()
        if absence := away(last, now):
            log.warning("receiver was away", since=absence[0].isoformat(), until=absence[1].isoformat())
            await _until_kept(keep, absence)
        with _refusal_told():
            await asyncio.to_thread(heartbeat.beat, now)
            last = now
        await asyncio.sleep(BEAT_SECONDS)


async def last_beat(heartbeat: Heartbeat, now: datetime) -> None:
    """Beat as the receiver ends, which no disk may disturb; an absence not told yet is left to the next start."""
    with _refusal_told():
        if away(heartbeat.last(), now) is None:
            await asyncio.to_thread(heartbeat.beat, now)


@contextlib.contextmanager
def _refusal_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("heartbeat cannot be written", reason=error.strerror)
