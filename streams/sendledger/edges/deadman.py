"""Ends a process that hangs where nothing inside its event loop could: the loop does not turn, or the end has no end.

A thread of the interpreter that needs neither the loop nor Python's lock waits for a sign of life. When none comes it
writes where each thread stands (files, lines and functions, no values) to stderr and ends the process with code 1. So
a disk that does not answer, or a library's task that swallows its cancellation, cannot leave a worker behind whose
consumer thread still tells Kafka that all is well.
"""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Coroutine
from typing import Any

TURNS_WITHIN = 60.0  # seconds without a turn of the loop
ENDS_WITHIN = 20.0  # seconds from the end of the work to the end of the loop: other tasks, other threads


async def guarded(
    work: Coroutine[Any, Any, None], *, turns_within: float = TURNS_WITHIN, ends_within: float = ENDS_WITHIN
) -> None:
    """Do the work as the only one of this process. Whoever ends the loop in good time calls `disarm` afterwards."""
    faulthandler.dump_traceback_later(turns_within, exit=True)  # the task below needs a turn to begin
    beating = asyncio.create_task(_beat(turns_within), name="deadman")
    try:
        await work
    finally:
        beating.cancel()
        faulthandler.dump_traceback_later(ends_within, exit=True)


def disarm() -> None:
    """The loop has ended: nobody has to be ended any more."""
    faulthandler.cancel_dump_traceback_later()


async def _beat(within: float) -> None:
    while True:
        faulthandler.dump_traceback_later(within, exit=True)
        await asyncio.sleep(within / 10)
