"""Hostile bodies over real sockets: each answered, kept once or refused, and the next postback is taken as ever."""

from __future__ import annotations

import time
from pathlib import Path

from sendledger.edges.receiver import SPOOL_FILE
from sendledger.edges.receiver_app import MAX_BODY
from sendledger.edges.spool import Spool
from tests.support.hostile import BODIES
from tests.support.receiver import receipt, running, settings_for

MOST_SECONDS = 0.05
TRIES = 3


async def test_each_hostile_body_is_answered_cheaply_and_kept(tmp_path: Path) -> None:
    """200 and durable, or 413 above 64 KiB, for less than 50 ms of processor time: the client's share included."""
    costs: dict[str, float] = {}
    async with running(settings_for(tmp_path)) as receiver:
        for name, body in BODIES.items():
            expected = 200 if len(body) <= MAX_BODY else 413
            for _ in range(TRIES):
                before = time.process_time()
                # Of what is too long the head and a part suffice: it is refused by its length.
                answer = await receiver.post(body[: MAX_BODY * 2], Content_Length=str(len(body)))
                costs[name] = min(costs.get(name, 1.0), time.process_time() - before)
                assert answer.status == expected, name
        assert (await receiver.post(receipt(1))).status == 200
        assert {name: cost for name, cost in costs.items() if cost >= MOST_SECONDS} == {}
        await receiver.stop()
        spool = Spool(receiver.settings.spool_dir / SPOOL_FILE, max_bytes=10**9)
        assert len(spool.head(records=10_000, size=10**9)) == 1 + TRIES * sum(
            len(body) <= MAX_BODY for body in BODIES.values()
        )
        spool.close()
