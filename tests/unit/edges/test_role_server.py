from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import Counter

from sendledger.demo.ports import free_run
from sendledger.edges.metrics_server import serving
from sendledger.edges.readiness import NotReadyError, not_ready, until_ready
from sendledger.life import Life
from tests.support.processes import until

Served = tuple[Life, str]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A role's life, served on a free port."""
    life, port = Life(), free_run(1)
    async with serving("fold", life, host="127.0.0.1", port=port):
        yield life, f"http://127.0.0.1:{port}"


async def get(address: str) -> tuple[int, str]:
    """Status and text of an answer."""
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status, await answer.text()


async def test_a_role_lives_before_it_is_ready(served: Served) -> None:
    """Alive from the first moment; ready when the role says so; not ready any more once it has to stop."""
    life, address = served
    assert (await get(f"{address}/livez"))[0] == 200
    assert (await get(f"{address}/readyz"))[0] == 503
    life.ready.set()
    assert (await get(f"{address}/readyz"))[0] == 200
    life.stop.set()
    assert (await get(f"{address}/readyz"))[0] == 503
    assert (await get(f"{address}/livez"))[0] == 200


async def test_metrics_are_the_roles_own(served: Served) -> None:
    """What a role counts in its registry is what Prometheus reads."""
    life, address = served
    Counter("sendledger_test", "A count", registry=life.registry).inc(3)
    status, text = await get(f"{address}/metrics")
    assert status == 200
    assert "sendledger_test_total 3.0" in text


async def test_nothing_else_is_served(served: Served) -> None:
    """There is no other page."""
    assert (await get(f"{served[1]}/"))[0] == 404


async def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    """Two roles on one port do not both start."""
    port = int(served[1].rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with serving("merge", Life(), host="127.0.0.1", port=port):
            pass


async def test_who_is_not_ready_is_named(served: Served) -> None:
    """A role that is not ready and one that does not answer are both named."""
    life, address = served
    addresses = {"fold": address, "merge": f"http://127.0.0.1:{free_run(1)}"}
    assert await not_ready(addresses) == ["fold", "merge"]
    life.ready.set()
    assert await not_ready(addresses) == ["merge"]


async def test_waiting_ends_when_all_are_ready(served: Served) -> None:
    """`until_ready` tells who is missing, and returns once nobody is."""
    life, address = served
    told: list[list[str]] = []
    waiting = asyncio.create_task(until_ready({"fold": address}, timeout=20, waiting_for=told.append))
    await until(lambda: told, "somebody is missing")
    life.ready.set()
    await waiting
    assert told == [["fold"]]


async def test_waiting_ends_with_a_reason(served: Served) -> None:
    """Who is not ready in time is named in the error."""
    with pytest.raises(NotReadyError, match="fold"):
        await until_ready({"fold": served[1]}, timeout=0.1)
