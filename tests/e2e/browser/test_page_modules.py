"""The page's modules by themselves, in the browser: the stream's format, the silent line, how values are shown."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.e2e.browser.conftest import System
from tests.support.browser import Opened, opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAM = ': hello\nretry: 2000\n\nid: a-1\nevent: campaign\ndata: {"x":\ndata: 1}\n\n: still here\n\nid: a-2\r\ndata: two\r\n\r\n'  # noqa: E501
EVENTS = [
    {"kind": "campaign", "data": '{"x":\n1}', "id": "a-1"},
    {"kind": "message", "data": "two", "id": "a-2"},
]
PARSE = """async (chunks) => {
  const { Parser } = await import("/page/sse.js");
  const parser = new Parser();
  return chunks.flatMap((chunk) => parser.feed(chunk));
}"""


async def at_the_door(it: Opened) -> Opened:
    """A page on which nobody has signed in: nothing of its own runs there."""
    await it.page.goto(f"{it.base}/")
    await it.page.wait_for_selector("#token")
    return it


async def test_a_stream_may_be_cut_anywhere(browser: Browser, system: System) -> None:
    """However the bytes of a stream are cut into pieces, the events are the same."""
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    async with opened(browser, system.base) as it:
        await at_the_door(it)
        for _ in range(100):
            cuts = sorted(rng.sample(range(1, len(STREAM)), rng.randrange(1, 20)))
            chunks = [STREAM[one:other] for one, other in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
            assert await it.page.evaluate(PARSE, chunks) == EVENTS, f"seed {seed}: {chunks}"


SILENT = """async () => {
  const { Live } = await import("/page/live.js");
  window.states = [];
  window.fetch = async (_, { signal }) => new Response(new ReadableStream({
    start: (line) => signal.addEventListener("abort", () => line.error(new Error("ended"))),
  }));
  new Live({ onState: (state) => states.push(state.name), onEvent() {} }).open("/v1/stream");
}"""


async def test_a_line_that_only_looks_alive_is_given_up(browser: Browser, system: System) -> None:
    """A server that says nothing for two heartbeats and more is taken for gone, and asked again."""
    async with opened(browser, system.base) as it:
        await it.page.clock.install()
        await at_the_door(it)
        await it.page.evaluate(SILENT)

        async def states() -> Any:
            return await it.page.evaluate("() => states")

        await it.page.clock.run_for(30_000)
        assert await states() == ["connecting", "live"]
        await it.page.clock.run_for(11_000)
        assert "disconnected" in await states()
        await it.page.clock.run_for(2_000)
        assert (await states())[-1] == "live"


TABLES = """async () => {
  const { share, duration, count, perSecond } = await import("/page/format.js");
  const { points } = await import("/page/series.js");
  const { Pace } = await import("/page/pace.js");
  let now = 0;
  const pace = new Pace(() => now);
  const rates = [];
  for (let second = 0; second <= 40; second += 1) {
    now = second * 1000;
    if (second <= 20) pace.saw({ requested: 1000, queued: 1000 - second * 10, attempting: 0 });
    rates.push(pace.rate());
  }
  const steps = [
    { at: "2026-05-01T09:00:00+00:00", seconds: 60, accepted: 60, delivered: 30, failed: 0 },
    { at: "2026-05-01T09:03:00+00:00", seconds: 60, accepted: 0, delivered: 20, failed: 6 },
    { at: "2026-05-01T09:00:00+00:00", seconds: 3600, accepted: 0, delivered: 60, failed: 0 },
  ].sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : one.seconds - other.seconds));
  return {
    share: [null, 0, 0.0001, 0.5, 0.99999, 1].map(share),
    duration: [null, 0.001, 0.25, 1.25, 42, 75, 3600, 7300, 259200].map(duration),
    count: [0, 1234567].map(count),
    perSecond: [0, 3.21, 45.6, 1234.5].map(perSecond),
    total: points(steps, "total"),
    minute: points(steps, "minute"),
    rates,
  };
}"""
START = 1777626000  # 2026-05-01T09:00Z


async def test_values_are_shown_as_people_read_them(browser: Browser, system: System) -> None:
    """Shares, times, rates and the chart's rows, each as in this table; nothing is rounded to what it is not."""
    async with opened(browser, system.base) as it:
        await at_the_door(it)
        found = await it.page.evaluate(TABLES)
    assert found["share"] == ["–", "0.0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100.0 %"]
    assert found["duration"] == ["–", "1 ms", "250 ms", "1.3 s", "42 s", "1 min 15 s", "1 h", "2 h 2 min", "3 d"]
    assert found["count"] == ["0", "1,234,567"]
    assert found["perSecond"] == ["0.0 /s", "3.2 /s", "46 /s", "1,235 /s"]
    assert found["total"][0] == [START, 0, 0, 0]
    assert found["total"][-1] == [START + 3600, 60, 110, 6]
    times = [row[0] for row in found["total"]]
    assert times == sorted(set(times))
    assert found["minute"][0] == [START, 60, 31, 0]
    assert found["minute"][-1] == [START + 180, 0, 20, 6]
    rates = found["rates"]
    assert rates[:2] == [None, None], "before two seconds nobody knows"
    assert rates[20] == pytest.approx(10)
    assert rates[40] == pytest.approx(10 * 10 / 30), "of the last 30 seconds only 10 had any"
