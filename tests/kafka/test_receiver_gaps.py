"""A receiver that was away says so: from its heartbeat to the line beside the campaign's rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sendledger.config import Settings
from sendledger.edges.heartbeat import Heartbeat
from sendledger.edges.receiver import BEAT_FILE
from tests.support.api import NUMBER, running_api
from tests.support.instance import cli
from tests.support.kafka import eventually
from tests.support.receiver import with_receiver
from tests.support.receiver_process import AWAY_SECONDS, SHORT_ABSENCES, receiver_process


async def test_a_killed_receiver_is_a_gap_beside_the_numbers(shared_kafka: Settings) -> None:
    """Kill -9, a while of nobody, a new start: API and status tell from when to when; a quick restart tells nothing."""
    settings = with_receiver(shared_kafka)
    beat = Heartbeat(settings.spool_dir / BEAT_FILE)
    async with running_api(shared_kafka) as api:
        await api.submit("spring", [NUMBER])

        async def gaps() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await api.get("/v1/campaigns/spring")).json["receiver_gaps"]
            return found

        for _ in range(2):  # the second one comes at once
            async with receiver_process(settings, SHORT_ABSENCES) as receiver:
                await eventually(lambda: _age(beat) < timedelta(seconds=1), what="it beats")
                receiver.kill()
                await receiver.ended()
        last = beat.last()
        assert last is not None
        assert await gaps() == []
        await eventually(lambda: _age(beat) > timedelta(seconds=AWAY_SECONDS + 0.5), what="an absence")
        async with receiver_process(settings, SHORT_ABSENCES) as receiver:
            await receiver.reaches_kafka()
            (gap,) = await eventually(gaps, what="the gap is beside the numbers")
            assert await receiver.stop() == 0
    assert datetime.fromisoformat(gap["from"]) == last
    assert datetime.fromisoformat(gap["to"]) - last > timedelta(seconds=AWAY_SECONDS)
    assert gap["receiver"] == "r-1"
    said = (await cli(shared_kafka, "status", "spring")).out
    since, until = (datetime.fromisoformat(gap[end]) for end in ("from", "to"))
    assert "receiver away" in said
    assert f"{since:%H:%M}–" in said
    assert f"{until:%H:%M}: receipts may be missing" in said


def _age(beat: Heartbeat) -> timedelta:
    last = beat.last()
    return timedelta.max if last is None else datetime.now(UTC) - last
