from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sendledger.simulator.desk import Rules
from sendledger.simulator.ledger_reader import read_ledger
from sendledger.simulator.profile import Misbehaviour
from tests.support.simulation import quiet, request, simulator, submit

PROFILE: dict[str, Any] = {
    "errors": {"E110": 0.2, "E120": 0.2},
    "misbehave": {Misbehaviour.HTML: 0.2},
    "receipts": {70: 0.3},
    "form": "mixed",
    "repeat": 0.3,
    "early": 0.3,
}
CALLS = [request(f"1555000{number:04}") for number in range(60)]


async def story(directory: Path, order: int, at_once: int, seed: int = 1) -> dict[str, Any]:
    """What became of each number, called in this order with so many calls at once."""
    async with simulator(directory, rules=Rules(seed=seed, scale=0), **PROFILE) as it:
        calls = CALLS[::order]
        for start in range(0, len(calls), at_once):
            await asyncio.gather(*(submit(it.url, call) for call in calls[start : start + at_once]))
        await quiet(it)
    return {
        message.to: (
            [(call.outcome, call.answer, call.code) for call in message.submissions],
            [(post.entry.why, post.entry.form, post.entry.claim, post.entry.detail) for post in message.postbacks],
        )
        for message in read_ledger(directory / "ledger.jsonl").messages
    }


async def test_one_seed_is_one_story_whatever_the_timing(tmp_path: Path) -> None:
    """Another order and another concurrency give every message the same fate; another seed does not."""
    for name in ("one", "other", "seed"):
        (tmp_path / name).mkdir()
    one = await story(tmp_path / "one", 1, 7)
    assert len(one) == len(CALLS)
    assert await story(tmp_path / "other", -1, 1) == one
    assert await story(tmp_path / "seed", 1, 7, seed=2) != one
