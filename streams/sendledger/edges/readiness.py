"""Asks roles over HTTP whether they are ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp

_PATIENCE = aiohttp.ClientTimeout(total=2)
_BETWEEN = 0.1


class NotReadyError(Exception):
    """Some are not ready in time; the message names them."""


async def not_ready(addresses: Mapping[str, str]) -> list[str]:
    """Of name → base address, the names whose `/readyz` does not answer 200 now."""
    async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
        answers = await asyncio.gather(*(_ready(session, address) for address in addresses.values()))
    return [name for name, ready in zip(addresses, answers, strict=True) if not ready]


async def until_ready(
    addresses: Mapping[str, str], *, timeout: float, waiting_for: Callable[[list[str]], None] | None = None
) -> None:
    """Return once all are ready; `waiting_for` is told who is missing whenever that changes. Errors: NotReadyError."""
    end = time.monotonic() + timeout
    told: list[str] = []
    while missing := await not_ready(addresses):
        if time.monotonic() > end:
            raise NotReadyError(f"not ready within {timeout:g} s: {', '.join(missing)}")
        if missing != told and waiting_for is not None:
            waiting_for(missing)
        told = missing
        await asyncio.sleep(_BETWEEN)


async def _ready(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/readyz") as response:
            return response.status == 200  # noqa: PLR2004 — HTTP's OK
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
