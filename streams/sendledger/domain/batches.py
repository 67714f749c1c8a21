"""Which batch an idempotency key stands for: the first BatchRegistered of a key in log order wins (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sendledger_schemas.campaigns import BatchRegistered
from sendledger_schemas.envelope import Event


@dataclass(frozen=True, slots=True)
class Batch:
    """The winner. `digest` tells whether another submission under the same key is the same one.

    `region`: the one by which its numbers were read ("": none); None if its event does not tell.
    """

    campaign_id: str
    digest: str
    rows: int
    at: datetime
    offset: int
    region: str | None = None


@dataclass(slots=True)
class Batches:
    """Fold of the campaigns log, in its order: batch id → its first registration."""

    first: dict[str, Batch] = field(default_factory=dict)

    def evolve(self, offset: int, event: Event) -> None:
        """One step; later registrations of a known batch, and all other events, change nothing."""
        data = event.data
        if isinstance(data, BatchRegistered) and data.batch not in self.first:
            self.first[data.batch] = Batch(
                data.campaign_id, data.body_sha256, data.rows, event.time, offset, data.region
            )
