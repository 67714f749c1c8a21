"""What the parts of one sender share: made once by `sender.serve`, handed to each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sendledger.agents.lease import Lease
from sendledger.agents.sender_control import ControlLog
from sendledger.agents.sender_journal import JournalWriter
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.config import Settings
from sendledger.domain.pace import Pace
from sendledger.edges.clocks import BrokerClock
from sendledger.edges.failpoints import Failpoint
from sendledger.edges.log_reader import LogReader
from sendledger.edges.provider import Provider

_MICROS = 1_000_000


@dataclass(frozen=True)
class Kit:
    """`worker` and `incarnation` (random for each process) name this sender in its claims and ids.

    `lease`: until when the partitions are surely ours, and with them our share of the pace.

    `wake`: there may be something new to claim (a record was read, a call has ended, somebody ordered something).
    """

    settings: Settings
    provider: Provider
    writer: JournalWriter
    control: ControlLog
    lookups: LogReader
    broker: BrokerClock
    pace: Pace
    lease: Lease
    metrics: SenderMetrics
    worker: str
    incarnation: str
    strike: Failpoint
    wake: asyncio.Event

    @property
    def default_expiry(self) -> int:
        """How long a request without an end of its own is worth sending, in microseconds."""
        return int(self.settings.default_expiry_hours * 3600 * _MICROS)

    @property
    def call_deadline(self) -> int:
        """How long a call takes at most, in microseconds."""
        return int(self.settings.provider_timeout * _MICROS)

    @property
    def concurrency(self) -> int:
        """Calls in flight at most."""
        return self.settings.sender_concurrency
