"""What the API tells of what it shows. What it answers is counted in `api/guard.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge

from sendledger.domain.numbers import imbalance
from sendledger.edges.view import View


class Reader(Protocol):
    """Something that follows topics (`edges.tail.Tail`)."""

    def lag(self) -> int: ...  # noqa: D102 — records still to be read


def tell_of_view(registry: CollectorRegistry, view: View, readers: Iterable[Reader]) -> None:
    """Ask at each scrape how far the view is, and whether what it shows adds up."""
    behind = Gauge(
        "sendledger_api_view_lag_records",
        "Records between what the API has read and the ends of its topics.",
        registry=registry,
    )
    behind.set_function(lambda: float(sum(reader.lag() for reader in readers)))
    balance = Gauge(
        "sendledger_api_imbalance",
        "Messages of all campaigns, as the API shows them, that are in no bucket or in several (P6): 0.",
        registry=registry,
    )
    balance.set_function(lambda: float(sum(abs(imbalance(state.counters)) for state in list(view.states.values()))))
