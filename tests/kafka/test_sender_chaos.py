"""One short round of `make chaos-sender`: three senders killed, stopped and misled, judged by the provider's ledger."""

from __future__ import annotations

from sendledger.config import Settings
from tests.chaos.hands import nursery
from tests.chaos.plan import plan
from tests.chaos.play import play
from tests.support.chaos import Scale


async def test_whatever_happens_nothing_is_sent_twice_lost_or_in_a_wrong_bucket(shared_kafka: Settings) -> None:
    """Nor called while it is paused. The seed is printed; CHAOS_SEED=n repeats it."""
    seed = Scale().seed
    print(f"CHAOS_SEED={seed}")  # noqa: T201
    async with nursery() as kids:
        verdict = await play(shared_kafka, plan(seed, 0, seconds=3.0), kids)
    print(f"{verdict}; {dict(verdict.faults)}")  # noqa: T201
    assert verdict.violations == []
    assert verdict.messages >= 500
    assert verdict.submissions >= 100
    assert verdict.faults.total() >= 3
