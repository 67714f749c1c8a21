"""How old the knowledge of orders is: it counts from when the broker said where they end, once all are read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition

from sendledger.agents.sender_control import ASK_EVERY, ControlLog
from sendledger.edges.clocks import steady
from sendledger_schemas.topics import CAMPAIGNS, SUPPRESSIONS
from tests.support.processes import until

ORDERS, SUPPRESSED = TopicPartition(CAMPAIGNS, 0), TopicPartition(SUPPRESSIONS, 0)


async def test_orders_are_known_only_when_both_logs_were_read_to_their_ends() -> None:
    """A pause of last week, still unread, holds from the first call on; and so does a number that must get nothing."""
    ends = {ORDERS: 2, SUPPRESSED: 1}

    async def end_offsets(_: object) -> dict[TopicPartition, int]:
        return dict(ends)

    control = ControlLog(cast("Any", SimpleNamespace(end_offsets=end_offsets)), asyncio.Event())
    control._positions = {ORDERS: 0, SUPPRESSED: 0}
    began = steady()
    asking = asyncio.create_task(control._ask(list(ends)))
    try:
        for positions in ({ORDERS: 1, SUPPRESSED: 1}, {ORDERS: 2, SUPPRESSED: 0}):
            control._positions = positions
            asked = control._asked
            await until(lambda: control._asked is not asked, "the ends are asked for", timeout=5)  # noqa: B023
            assert control.age() == float("inf")
            assert not control.caught_up.is_set()
        control._positions = dict(ends)
        await until(control.caught_up.is_set, "all is read")
        assert 0 <= control.age() <= steady() - began
        ends[ORDERS] = 3
        seen = control.age()
        await until(lambda: control.age() > seen + 2 * ASK_EVERY, "what is not read makes it older")
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
