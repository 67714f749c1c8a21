"""Short rounds of the benchmarks that are about facts, too: what they time has to be right before it may be quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import bench_latency, bench_restart, traffic
from tests.bench.fleet import fleet

pytestmark = pytest.mark.alone  # benchmarks

RATE, SECONDS = 200.0, 2.0


async def test_each_postback_over_http_is_counted_once_its_campaign_says_so(tmp_path: Path) -> None:
    """Every 200 is found on the log and, by the offsets that they carry, in the numbers; each receipt is delivered."""
    async with fleet(tmp_path) as stage:
        await traffic.write_accepted(stage.settings, 0, int(RATE * SECONDS) // 2)
        await stage.start("receiver", "fold", "merge")
        told = await bench_latency.load(stage, RATE, SECONDS, warm=0.0)
    assert told["postbacks"] == RATE * SECONDS
    assert told["refused"] == 0
    assert told["max_ms"] < float("inf"), "some postback was never counted"


async def test_a_worker_killed_or_bare_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Under load; the numbers are exact at the end, and who folds the log anew tells how far it is."""
    cases = ("killed", "bare")
    told = await bench_restart.drill(tmp_path, 15_000, 300.0, 1.0, cases, SESSION_TIMEOUT="2")
    assert all(told[f"{name}_current_s"] >= 0 for name in ("kill", "bare")), "it never caught up"
    assert told["bare_progress_lines"] >= 1
    assert told["bare_remaining"] == 0
    assert told["messages"] > 0
