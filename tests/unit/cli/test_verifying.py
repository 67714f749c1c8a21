"""The verb verify: `--every` and its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from sendledger.cli import verifying
from sendledger.config import load
from sendledger.edges.verify.program import Options


async def test_an_interrupt_that_a_library_swallowed_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation that got lost on its way out of a run counts behind that run."""
    begun, runs = asyncio.Event(), 0

    async def swallowing(*_: object, **__: object) -> list[Any]:
        nonlocal runs
        runs += 1
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        return []

    async def there(settings: object) -> object:
        return settings

    monkeypatch.setattr(verifying, "_one", swallowing)
    monkeypatch.setattr(verifying, "reachable", there)
    settings = load(env_file=None)
    options = Options(None, None, 1.0)
    verify = asyncio.create_task(verifying._runs(settings, options, 30.0, mend=False, as_json=True))
    await begun.wait()
    verify.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(verify, 20)
    assert runs == 1
