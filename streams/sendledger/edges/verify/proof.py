"""Which campaigns the log can still prove in a partition where retention has deleted its beginning (DESIGN §5)."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sendledger.domain.message import Offsets
from sendledger.domain.partial import NO_CAMPAIGN
from sendledger.domain.refold import offsets_of
from sendledger.edges.verify.snapshot import Snapshot
from sendledger_schemas.topics import FOLD_SOURCES

_DAY = 86_400
_NEVER = float("inf")


class Proof:
    """Of one partition. `firsts`: where its topics begin now; `oldest`: topic → time of its first record (ms).

    A campaign can be proved if its numbers begin where the log does, or if it was registered after everything that
    is gone: a campaign is registered before its first request.
    """

    def __init__(
        self,
        partition: int,
        firsts: Offsets,
        oldest: Mapping[str, int],
        snapshot: Snapshot,
        retention_days: float | None,
    ) -> None:
        self._partition, self._firsts, self._snapshot = partition, firsts, snapshot
        kept = _NEVER if retention_days is None else (time.time() - retention_days * _DAY) * 1000
        cut = [topic for topic, first in zip(FOLD_SOURCES, firsts, strict=True) if first]
        self._gone_before = max((oldest.get(topic, kept) for topic in cut), default=0)
        self._known: dict[str, bool] = {}

    def proved(self, campaign: str) -> bool:
        """Whether the log holds all that the campaign's numbers count."""
        known = self._known.get(campaign)
        if known is None:
            known = self._known[campaign] = self._proved(campaign)
        return known

    def _proved(self, campaign: str) -> bool:
        partial = self._snapshot.published.best((campaign, self._partition, None))
        if partial is not None:
            if partial.archived:
                return False
            if offsets_of(partial.from_) == self._firsts:
                return True
        if not any(self._firsts):
            return True
        if campaign == NO_CAMPAIGN:
            return False
        return self._snapshot.registered.get(campaign, -1) >= self._gone_before
