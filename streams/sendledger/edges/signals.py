"""SIGTERM and SIGINT (Ctrl-C) end a task, once: what it does at its end is not cut short by a second one."""

from __future__ import annotations

import asyncio
import signal
from typing import Any


def cancel_on_signals(task: asyncio.Task[Any]) -> None:
    """Cancel the task at the first SIGTERM or SIGINT; further ones change nothing. To be called in its loop."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
