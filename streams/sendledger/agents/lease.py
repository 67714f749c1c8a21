"""Until when our partitions are surely ours: the group's session, as seen from this side (DESIGN §6, rule 2).

The broker gives a silent member's partitions away once its session has run out, counted from the last request of the
group that it got. The same time counted here, from before that request was sent, ends earlier. So whoever was stopped
for longer knows it when it wakes, before it has asked anybody: its share of the pace may be somebody else's by now.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from sendledger.edges.clocks import steady

KEPT = 0.9
"""Part of the session for which its last renewal counts: what is begun at the end of it arrives within it."""

_RENEWALS = (HeartbeatRequest, SyncGroupRequest)


class Lease:
    """Renewed by the consumer's thread, read by others. `session`: seconds. `now`: seconds that never jump."""

    def __init__(self, session: float) -> None:
        self._lasts = session * KEPT
        self._until = float("-inf")

    def renewed(self, asked_at: float) -> None:
        """The group has confirmed our membership; it was asked at that time."""
        self._until = max(self._until, asked_at + self._lasts)

    def holds(self, now: float) -> bool:
        """Whether nobody else can have our partitions yet."""
        return now < self._until


class LeasedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Tells a lease about each heartbeat and each join that the group has confirmed."""

    def __init__(self, *topics: str, lease: Lease, **given: Any) -> None:
        super().__init__(*topics, **given)
        self._lease = lease

    async def start(self) -> None:
        """As aiokafka starts, and listen to what its coordinator is answered."""
        await super().start()
        coordinator, lease = self._coordinator, self._lease
        stock = coordinator._send_req  # noqa: SLF001 — the only place where each answer of the group can be seen

        async def told(request: Any) -> Any:
            asked_at = steady()
            answer = await stock(request)
            if isinstance(request, _RENEWALS) and answer.error_code == 0:
                lease.renewed(asked_at)
            return answer

        coordinator._send_req = told  # noqa: SLF001 — as above
