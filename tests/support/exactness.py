"""Whether everything published is what the oracle makes of the log, after whatever a test did to the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from sendledger.config import Settings
from sendledger.life import Life
from sendledger_schemas import envelope
from sendledger_schemas.envelope import UnreadableEvent
from sendledger_schemas.topics import CAMPAIGN_PARTIALS, CAMPAIGN_STATE, FOLD_SOURCES, MESSAGE_STATE, TOPICS
from tests.support.chaos_truth import Truth, campaigns_differ, compacted, partials_differ, states_differ, truth
from tests.support.folding import Records, read
from tests.support.kafka import eventually

WITHIN = 60.0  # seconds until the lag is 0 again


def readable(log: Records) -> Records:
    """The records that are events of ours in their place, judged by the models and not by the fold's decoder."""
    return [record for record in log if _is_ours(record)]


def _is_ours(record: Any) -> bool:
    try:
        data = envelope.decode(record.value or b"").data
    except UnreadableEvent:
        return False
    return isinstance(data, TOPICS[record.topic].events) and record.key == str(_recipient(data)).encode()


def _recipient(data: Any) -> Any:
    return data.recipient_id


async def log_of(settings: Settings) -> Records:
    """What the fold's sources hold now."""
    return readable(await read(settings, *FOLD_SOURCES))


async def exact(settings: Settings, log: Records | None = None, *, within: float = WITHIN) -> Truth:
    """Wait until every partial, message state and campaign state is the log's; `log`: what it held, if it was cut."""
    wanted = truth(await log_of(settings) if log is None else log)
    apart: list[str] = []

    async def equal() -> bool:
        partials = readable_json(await read(settings, CAMPAIGN_PARTIALS))
        states, campaigns = await read(settings, MESSAGE_STATE), readable_json(await read(settings, CAMPAIGN_STATE))
        apart[:] = [
            *partials_differ(wanted, partials),
            *partials_differ(wanted, compacted(partials)),
            *states_differ(wanted, states),
            *campaigns_differ(wanted, campaigns),
        ]
        return not apart

    try:
        await eventually(equal, within)
    except AssertionError:
        raise AssertionError(f"not within {within:g} s: {apart}") from None
    return wanted


def readable_json(records: Iterable[Any]) -> Records:
    """Without what a test wrote to be unreadable: it says so in its key."""
    return [record for record in records if not (record.key or b"unreadable").startswith(b"unreadable")]


async def restarted(
    serve: Callable[[Settings, Life], Any],
    settings: Settings,
    goal: Callable[[], Any],
    *,
    allowed: tuple[type[Exception], ...],
    times: int = 12,
) -> list[Exception]:
    """Run a role until `goal` returns, again each time that it ends with an allowed error, as a supervisor does.

    Returns these errors. Any other error, or too many of them, is raised.
    """
    errors: list[Exception] = []
    reached = asyncio.ensure_future(goal())
    try:
        while not reached.done():
            life = Life()
            running = asyncio.ensure_future(serve(settings, life))
            await asyncio.wait({running, reached}, return_when=asyncio.FIRST_COMPLETED)
            life.stop.set()
            try:
                await running
            except allowed as error:
                errors.append(error)
                assert len(errors) <= times, errors
    finally:
        reached.cancel()
        await asyncio.gather(reached, return_exceptions=True)
    reached.result()
    return errors
