"""The composition root: which code makes a role, in which order things start and stop, and why.

Start of a role                                         Why in this place
 1. signals                                             a SIGTERM during the start must not be lost
 2. /livez, /readyz, /metrics                           whoever watches sees a role that still waits for its broker
 3. the broker; the log's pepper and partitions         a role that does not fit the log must not touch it
                                                        (the receiver listens meanwhile: it never waits for Kafka)
 4. the role                                            it tells by `life.ready` when it works
Stop of a role
 1. `life.stop`                                         the role takes nothing new and finishes what it has begun
 2. the role returns                                    its own order: calls, responses, stores, then its group
 3. /livez, /readyz, /metrics                           last, so that a role which hangs at its end can be seen
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Literal, assert_never, get_args

import structlog
from aiokafka.errors import KafkaError

from sendledger.config import ConfigError, Settings
from sendledger.edges import system_record
from sendledger.edges.kafka import wait_for_broker
from sendledger.edges.metrics_server import serving
from sendledger.edges.process_metrics import tell_of_process
from sendledger.edges.system_record import OtherSystemError
from sendledger.life import Life

Role = Literal["sender", "receiver", "fold", "merge", "api"]
ROLES: tuple[Role, ...] = get_args(Role)

_AGAIN = 1.0
Serve = Callable[[Settings, Life], Awaitable[None]]
log = structlog.get_logger()


class EndedByItselfError(Exception):
    """A role returned although nobody had asked it to stop."""


def serve_of(role: Role) -> Serve:
    """The code of a role. Imported here and not above: a role must not pay for the other roles' libraries."""
    match role:
        case "sender":
            from sendledger.agents.sender import serve  # noqa: PLC0415
        case "receiver":
            from sendledger.edges.receiver import serve  # noqa: PLC0415
        case "fold":
            from sendledger.agents.fold import serve  # noqa: PLC0415
        case "merge":
            from sendledger.agents.merge import serve  # noqa: PLC0415
        case "api":
            from sendledger.edges.api import serve  # noqa: PLC0415
        case _:
            assert_never(role)
    return serve


async def run_role(role: Role, settings: Settings) -> None:
    """Run one role until SIGTERM or SIGINT. `settings.kafka` names the broker.

    Errors: OtherSystemError if the log is another installation's; whatever else ends the role, to be answered by a
    restart; OSError if its metrics port is taken.
    """
    life = Life()
    tell_of_process(role, life)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.stop.set)
    async with serving(role, life, host=settings.host, port=settings.metrics_port_of(role)):
        log.info("role starts", bootstrap_servers=settings.kafka.bootstrap_servers)
        await _run(role, settings, life)
    if not life.stop.is_set():
        raise EndedByItselfError(f"{role} returned without having been asked to stop")
    log.info("role stopped")


async def _run(role: Role, settings: Settings, life: Life) -> None:
    stop = asyncio.create_task(life.stop.wait(), name="stop")
    fitting = asyncio.create_task(_fits(settings), name="fits the log")
    work: asyncio.Task[None] | None = None
    try:
        if role != "receiver":  # which listens before Kafka can be reached, and is checked meanwhile
            await asyncio.wait({stop, fitting}, return_when=asyncio.FIRST_COMPLETED)
            if not fitting.done():
                return
            fitting.result()
        work = asyncio.create_task(_served(role, settings, life), name=role)
        await asyncio.wait({work, fitting}, return_when=asyncio.FIRST_COMPLETED)
        if fitting.done() and fitting.exception() is not None:
            life.stop.set()
        await work
        if fitting.done():
            fitting.result()
    finally:
        for task in (stop, fitting, *([work] if work is not None else [])):
            task.cancel()
        await asyncio.gather(stop, fitting, return_exceptions=True)


async def _served(role: Role, settings: Settings, life: Life) -> None:
    try:
        await serve_of(role)(settings, life)
    except BaseExceptionGroup as group:
        raise _wrong(group) or group from None


def _wrong(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """What a restart cannot mend, if that is in the group: it is told as it is, in one line."""
    for error in group.exceptions:
        found = _wrong(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, (ConfigError, OtherSystemError)):
            return found
    return None


async def _fits(settings: Settings) -> None:
    """Wait for the broker; then the log must be of this pepper and partition count. Errors: OtherSystemError."""
    while True:
        await wait_for_broker(settings.kafka, log)
        try:
            await system_record.confirm(settings, write=False)
        except KafkaError as error:
            log.warning("Kafka went away", reason=type(error).__name__)
            await asyncio.sleep(_AGAIN)
        else:
            return
