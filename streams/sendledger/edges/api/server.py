"""The role `api`: from settings to a server that answers.

Start                                     Why in this place
 1. wait for the broker                   a broker that is away is no reason to crash
 2. the system record                     another pepper or partition count would write to wrong places
 3. the port                              taken → the role ends before it has written anything
 4. producer and consumers
 5. readers and web server together       /livez answers at once; /v1 answers 503 until the view is caught up
 6. ready                                 both readers are where the topics ended at their start, the board is made
Stop
 1. not ready, streams end                a load balancer looks elsewhere
 2. web server                            takes no new connections, finishes what it has begun
 3. readers, then clients
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar

import structlog
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sendledger.config import Settings
from sendledger.edges.api.app import application
from sendledger.edges.api.auth import Tokens
from sendledger.edges.api.board import Board
from sendledger.edges.api.desk import Desk
from sendledger.edges.api.http import Protocol
from sendledger.edges.api.pasts import Pasts
from sendledger.edges.api_metrics import tell_of_view
from sendledger.edges.intake import Intake, terms_of
from sendledger.edges.kafka import consumer, producer, wait_for_broker
from sendledger.edges.message_index import MessageIndex
from sendledger.edges.orders import Orders
from sendledger.edges.past import recall
from sendledger.edges.publisher import MAX_BATCH_BYTES
from sendledger.edges.readiness import not_ready
from sendledger.edges.system_record import confirm
from sendledger.edges.tail import Tail
from sendledger.edges.token_file import TokenFile
from sendledger.edges.under_way import watching
from sendledger.edges.verify.result import LastVerification
from sendledger.edges.view import View, tails
from sendledger.life import Life

log = structlog.get_logger()

ROLES_VARIABLE = "SENDLEDGER_PARENT_ROLES"
"""Set by `up`: the roles that run beside this one, with commas between."""
_STALLED_MS = 60_000
_GRACE = 5  # seconds for answers that were begun


async def serve(settings: Settings, life: Life) -> None:
    """Serve the API on `settings.host:settings.api_port` until `life.stop`.

    Errors: ConfigError without tokens or pepper; OtherSystemError; OSError: port taken; KafkaError; UnknownVersion.
    """
    made = TokenFile(settings.data_dir)
    settings.require("recipient_pepper", *(() if made() else ("api_tokens",)))
    tokens = Tokens(((each.scope, each.token.get_secret_value()) for each in settings.api_tokens), made)
    if not await _broker(settings, life):
        return
    await confirm(settings, write=False)
    async with contextlib.AsyncExitStack() as stack:
        listening = stack.enter_context(_listening(settings.host, settings.api_port))
        index = stack.enter_context(_index(settings))
        writer = await stack.enter_async_context(_started(producer(settings.kafka, max_batch_size=MAX_BATCH_BYTES)))
        quick = await stack.enter_async_context(_started(consumer(settings.kafka, group_id=None)))
        states = await stack.enter_async_context(_started(consumer(settings.kafka, group_id=None)))
        view = View(index)
        readers = tails(view, quick, states, partitions=settings.partitions)
        desk = _desk(settings, life, view, writer, readers[0])
        stack.push_async_callback(desk.pasts.close)
        tell_of_view(life.registry, view, readers)
        stack.callback(gc.unfreeze)  # what `_ready` froze
        life.registry.register(LastVerification(settings.data_dir))
        web = _Server(uvicorn.Config(application(desk, tokens, per_second=settings.api_rate_limit), **_UVICORN))
        log.info("listening", host=settings.host, port=settings.api_port)
        await _run(life, web, listening, readers, desk.board)


_UVICORN: dict[str, Any] = {
    "http": Protocol,
    "ws": "none",
    "lifespan": "off",
    "access_log": False,  # it would write every URL down
    "log_config": None,
    "server_header": False,
    "timeout_graceful_shutdown": _GRACE,
}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are the composition root's, which tells by `life.stop`."""
        yield


async def _broker(settings: Settings, life: Life) -> bool:
    """Wait for Kafka or for the end, whichever comes first."""
    waiting = asyncio.create_task(wait_for_broker(settings.kafka, log))
    stop = asyncio.create_task(life.stop.wait())
    await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if waiting.done():
        waiting.result()
        return True
    waiting.cancel()
    return False


async def _run(
    life: Life, web: uvicorn.Server, listening: socket.socket, readers: tuple[Tail, Tail], board: Board
) -> None:
    reading = [asyncio.create_task(reader.run(), name="reader") for reader in readers]
    serving = asyncio.create_task(web.serve(sockets=[listening]), name="web server")
    stop = asyncio.create_task(life.stop.wait(), name="stop")
    ready = asyncio.create_task(_ready(life, readers, board), name="ready")
    keeping = asyncio.create_task(board.keep(), name="board")
    try:
        await asyncio.wait({*reading, serving, stop, keeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        life.ready.clear()
        web.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        for task in (*reading, stop, ready, keeping):
            task.cancel()
        results = await asyncio.gather(*reading, serving, stop, ready, keeping, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _ready(life: Life, readers: tuple[Tail, Tail], board: Board) -> None:
    for reader in readers:
        await reader.caught_up.wait()
    await board.made()
    gc.collect()
    gc.freeze()  # millions of objects that stay: a collector that walks over them stops all answers meanwhile
    life.ready.set()
    log.info("caught up with the log")


def _desk(settings: Settings, life: Life, view: View, writer: AIOKafkaProducer, quick: Tail) -> Desk:
    terms = terms_of(settings)

    async def written(message_ids: Sequence[str]) -> set[str]:
        return await asyncio.to_thread(view.index.known, message_ids)

    return Desk(
        view=view,
        quick=quick,
        intake=Intake(writer, view.campaigns, quick.reached, terms, written=written),
        orders=Orders(writer, pepper=terms.pepper, partitions=terms.partitions),
        kafka=settings.kafka,
        region=settings.default_region,
        life=life,
        roles_behind=lambda: _roles_behind(settings),
        watching=lambda: watching(settings),
        pasts=Pasts(lambda asked, told: recall(settings.kafka, asked, partitions=settings.partitions, progress=told)),
    )


async def _roles_behind(settings: Settings) -> list[str]:
    """Those of the other roles of this instance that are not ready."""
    roles = [role for role in os.environ.get(ROLES_VARIABLE, "").split(",") if role and role != "api"]
    addresses = {role: f"http://{settings.host}:{settings.metrics_port_of(role)}" for role in roles}
    return await not_ready(addresses) if addresses else []


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A listener that takes nothing any more (its machine sleeps) is given up, and what waits for it with it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, f"the API cannot listen on {host}:{port}: {error.strerror}") from error
        yield listening


@contextlib.contextmanager
def _index(settings: Settings) -> Iterator[MessageIndex]:
    directory = settings.data_dir / "api"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(MessageIndex(directory / f"view-{settings.api_port}.sqlite3")) as index:
        yield index


_Client = TypeVar("_Client", AIOKafkaConsumer, AIOKafkaProducer)


@contextlib.asynccontextmanager
async def _started(client: _Client) -> AsyncIterator[_Client]:
    await client.start()
    try:
        yield client
    finally:
        await client.stop()
