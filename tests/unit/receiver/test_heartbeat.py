"""The heartbeat: when a gap is an absence, and that no absence is lost on the way to the log."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendledger.edges import heartbeat
from sendledger.edges.heartbeat import AWAY_AFTER, Heartbeat, away, away_record, beat_on, last_beat
from sendledger_schemas.envelope import decode
from sendledger_schemas.postbacks import ReceiverAway
from sendledger_schemas.topics import RECEIVERS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - AWAY_AFTER - timedelta(microseconds=1)


@pytest.fixture
def beat(tmp_path: Path) -> Heartbeat:
    """A heartbeat in a directory that does not exist yet."""
    return Heartbeat(tmp_path / "spool" / "heartbeat")


def test_the_last_beat_is_read_back(beat: Heartbeat) -> None:
    """It is None before the first one, then always the newest."""
    assert beat.last() is None
    for when in (NOW, NOW + timedelta(seconds=5)):
        beat.beat(when)
        assert beat.last() == when


def test_a_file_that_holds_no_time_is_as_none(beat: Heartbeat, tmp_path: Path) -> None:
    """A damaged file is no reason not to start."""
    beat.beat(NOW)
    (tmp_path / "spool" / "heartbeat").write_text("?")
    assert beat.last() is None


def test_beats_on_several_threads_never_meet(beat: Heartbeat) -> None:
    """The last beat of a receiver may come while an earlier one is still being written."""
    times = [NOW + timedelta(seconds=n) for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(beat.beat, times))
    assert beat.last() in times


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, None),
        (NOW - AWAY_AFTER, None),
        (LONG_AGO, (LONG_AGO, NOW)),
        (NOW + timedelta(hours=1), None),
    ],
)
def test_only_a_gap_longer_than_a_restart_is_an_absence(
    last: datetime | None, expected: tuple[datetime, datetime] | None
) -> None:
    """The first start, a restart and a clock that went back are none."""
    assert away(last, NOW) == expected


def test_an_absence_told_twice_is_one_event() -> None:
    """A crash after telling it gives the same id again, so readers count one absence."""
    first, again = (
        away_record(NOW, until, receiver="r-1", source="s") for until in (NOW + AWAY_AFTER, NOW + 2 * AWAY_AFTER)
    )
    events = [decode(record.value) for record in (first, again)]
    assert events[0].id == events[1].id
    assert isinstance(events[0].data, ReceiverAway)
    assert (first.topic, first.partition, first.key) == (RECEIVERS, 0, b"r-1")
    assert (events[0].data.from_, events[0].data.to) == (NOW, NOW + AWAY_AFTER)


async def test_no_beat_before_the_absence_is_durable(beat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the absence is kept the old beat stays on disk, so that a crash cannot make it unseen; then it beats on."""
    monkeypatch.setattr(heartbeat, "_RETRY_SECONDS", 0.0)
    beat.beat(NOW)
    seen: list[datetime | None] = []
    beaten = asyncio.Event()
    later = NOW + 2 * AWAY_AFTER

    async def keep(since: datetime, until: datetime) -> bool:
        assert (since, until) == (NOW, later)
        seen.append(beat.last())
        return len(seen) == 3

    def clock() -> datetime:
        return later

    honest = beat.beat

    def told(now: datetime) -> None:
        honest(now)
        loop.call_soon_threadsafe(beaten.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(beat, "beat", told)
    beating = asyncio.create_task(beat_on(beat, keep, clock=clock))
    await asyncio.wait_for(beaten.wait(), 10)
    beating.cancel()
    assert seen == [NOW] * 3
    assert beat.last() == later


async def test_a_process_that_slept_tells_its_absence(beat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a gap in mid-run, of a process or machine that was suspended, is an absence."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.0)
    times = iter([NOW, NOW + timedelta(seconds=5), NOW + timedelta(hours=1)])
    told: asyncio.Future[tuple[datetime, datetime]] = asyncio.get_running_loop().create_future()

    async def keep(since: datetime, until: datetime) -> bool:
        told.set_result((since, until))
        return True

    beating = asyncio.create_task(beat_on(beat, keep, clock=lambda: next(times)))
    assert await asyncio.wait_for(told, 10) == (NOW + timedelta(seconds=5), NOW + timedelta(hours=1))
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


@pytest.mark.parametrize(("before", "after"), [(None, NOW), (NOW - AWAY_AFTER, NOW), (LONG_AGO, LONG_AGO)])
async def test_the_last_beat_hides_no_absence(beat: Heartbeat, before: datetime | None, after: datetime) -> None:
    """A receiver stopped before it could tell its absence leaves the old beat, so that the next one tells it."""
    if before is not None:
        beat.beat(before)
    await last_beat(beat, NOW)
    assert beat.last() == after


async def test_a_disk_that_takes_no_beat_ends_no_receiver(tmp_path: Path) -> None:
    """Neither at its end, which has records to bring away, nor while it runs."""
    (tmp_path / "spool").touch()
    refused = Heartbeat(tmp_path / "spool" / "heartbeat")
    with pytest.raises(OSError, match="spool"):
        refused.beat(NOW)
    await last_beat(refused, NOW)
