"""What a role shares with the process that runs it: when it is ready, when it must stop, where its metrics go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry


@dataclass
class Life:
    """One role's life in one process.

    The role sets `ready` once it does its work and clears it while it cannot; it returns when `stop` is set,
    after a clean shutdown. An exception out of a role ends the process with exit code 1: a supervisor restarts it.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
