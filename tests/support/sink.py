"""What a running sink tells of itself: its health and metrics over HTTP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.kafka import eventually


@dataclass
class Told:
    """What a sink tells of itself over HTTP."""

    session: aiohttp.ClientSession
    url: str

    async def now(self) -> dict[str, float]:
        """Its readiness, and its metrics summed up (of ages the greatest)."""
        async with self.session.get(f"{self.url}/readyz") as answer:
            ready = float(answer.status == 200)
        async with self.session.get(f"{self.url}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        found: dict[str, list[float]] = defaultdict(list)
        for sample in (sample for family in families for sample in family.samples):
            name = f"{sample.name}{{{sample.labels['kind']}}}" if "kind" in sample.labels else sample.name
            found[name].append(sample.value)
        assert found["sendledger_role_ready"] == [ready]
        return {
            "ready": ready,
            "cursor": sum(found["sendledger_consumer_cursor_offset"]),
            "lag": sum(found["sendledger_consumer_lag_records"]),
            "age": max(found["sendledger_consumer_lag_seconds"], default=-1),
            "away": sum(found["sendledger_sink_errors_total{database_away}"]),
            "rows": sum(found["sendledger_sink_rows_total"]),
            "written_at": sum(found["sendledger_sink_last_write_timestamp_seconds"]),
        }

    async def until(self, **wanted: float) -> None:
        """Wait until it tells this."""

        async def so() -> bool:
            seen = await self.now()
            return {name: seen[name] for name in wanted} == wanted

        await eventually(so, what=f"the sink tells {wanted}")


@asynccontextmanager
async def told_by(port: int) -> AsyncIterator[Told]:
    """What the sink at this port tells, once it listens."""
    async with aiohttp.ClientSession(trust_env=False) as session:
        told = Told(session, f"http://127.0.0.1:{port}")

        async def listens() -> bool:
            try:
                await told.now()
            except aiohttp.ClientError:
                return False
            return True

        await eventually(listens, what="the sink listens")
        yield told
