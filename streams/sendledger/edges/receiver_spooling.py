"""The receiver's way into its spool: one put at a time, and no work behind a disk that hangs (P3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from sendledger.edges.record import Record
from sendledger.edges.spool import Spool, SpoolState

_PUT_SECONDS = 1.0  # a disk that takes longer hangs
_LEAST_SECONDS = 0.05

log = structlog.get_logger()


class Spooling:
    """Puts records into `spool`, on `thread`. `on_kept` hears how many each put kept, even too late."""

    def __init__(
        self,
        spool: Spool,
        thread: Executor,
        *,
        on_kept: Callable[[int], None],
        on_spool: Callable[[SpoolState], None],
    ) -> None:
        self._spool = spool
        self._thread = thread
        self._on_kept = on_kept
        self._on_spool = on_spool
        self._loop = asyncio.get_running_loop()
        self._pending: asyncio.Future[int] | None = None
        self._since = 0.0
        self._refusing = False

    @property
    def pending(self) -> bool:
        """Whether a put is on its way."""
        return self._pending is not None

    async def put(self, records: list[Record], deadline: float) -> int:
        """How many of them, from the first on, stand in the spool for sure. `deadline`: the event loop's clock."""
        # A disk that hangs must not gather work behind it: whoever comes meanwhile is refused.
        while self._pending is not None:
            patience = min(deadline, self._since + _PUT_SECONDS) - self._loop.time()
            if patience <= 0:
                return 0
            await asyncio.wait([self._pending], timeout=patience)
        put = self._pending = asyncio.ensure_future(self._loop.run_in_executor(self._thread, self._put, records))
        self._since = self._loop.time()
        put.add_done_callback(lambda _: self._ended(len(records), put))
        await asyncio.wait([put], timeout=max(deadline - self._loop.time(), _LEAST_SECONDS))
        return put.result() if put.done() and put.exception() is None else 0

    def _put(self, records: list[Record]) -> int:
        kept = self._spool.put(records, now=time.time())
        state = self._spool.state()
        self._loop.call_soon_threadsafe(self._on_spool, state)
        return kept

    def _ended(self, wanted: int, put: asyncio.Future[int]) -> None:
        self._pending = None
        if put.cancelled():
            return
        error = put.exception()
        kept = 0 if error else put.result()
        if kept == wanted:
            self._refusing = False
        elif not self._refusing:  # told once, not with each postback
            self._refusing = True
            log.error("spool does not take records: answering 503", reason=str(error) if error else "it is full")
        self._on_kept(kept)
