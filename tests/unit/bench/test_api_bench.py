"""What `make bench-api` reads is what the merge would write, and what it counts is what came."""

from __future__ import annotations

import pytest

from sendledger.domain.numbers import imbalance
from tests.bench import bench_api, campaigns


def test_the_campaigns_numbers_add_up() -> None:
    """Each template is a fold of real events: in balance, with the messages that it says, and with its series."""
    for size, template in zip(campaigns.SIZES, campaigns.templates(), strict=True):
        assert template.counters["requested"] == size
        assert imbalance(template.counters) == 0
        assert sum(map(len, template.series.values())) > 5
        later = campaigns.state(template, 7, 3)
        assert (later.campaign_id, imbalance(later.counters)) == (campaigns.name(7), 0)
        assert later.version > template.version


@pytest.mark.parametrize("size", [1, 2, 7, 10, 1000])
def test_events_are_counted_however_they_are_cut(size: int) -> None:
    """A snapshot that comes in pieces is one, two that come together are two; comments are none."""
    stream = b"retry: 2000\n\n" + b"id: 1\nevent: campaigns\ndata: []\n\n" * 5 + b": still here\n\n"
    listener = bench_api.Listener("/v1/stream")
    for start in range(0, len(stream), size):
        listener.data_received(stream[start : start + size])
    assert listener.events == 5
