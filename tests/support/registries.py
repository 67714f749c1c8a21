"""Every role's registry, made by the code that the role makes it with; only Kafka and HTTP are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from sendledger.agents.fold_metrics import FoldMetrics
from sendledger.agents.merge_metrics import MergeMetrics
from sendledger.agents.sender_metrics import SenderMetrics
from sendledger.domain.merging import Merged
from sendledger.edges.api.guard import Guard
from sendledger.edges.api_metrics import tell_of_view
from sendledger.edges.position_metrics import PositionMetrics
from sendledger.edges.process_metrics import tell_of_process
from sendledger.edges.receiver_metrics import ReceiverMetrics
from sendledger.edges.sinks.metrics import SinkMetrics
from sendledger.edges.verify.result import LastVerification, keep_result
from sendledger.edges.view import View
from sendledger.life import Life
from sendledger.wiring import ROLES, Role

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_QUEUED = {"requested": 1, "b:queued": 1}


def merged(counters: Mapping[str, int], series: Mapping[str, Mapping[str, int]] | None = None) -> Merged:
    """A campaign's numbers as the merge has them."""
    days = {day: dict(of_day) for day, of_day in (series or {}).items()}
    return Merged(dict(counters), days, to={}, version=1, fold_version=1, archived=False)


Teller = Role | Literal["sink"]
"""Who has metrics: the roles, and `sink postgres`."""
TELLERS: tuple[Teller, ...] = (*ROLES, "sink")


def registry_of(role: Teller, data_dir: Path) -> CollectorRegistry:
    """What `/metrics` of the role shows. The merge knows one campaign; a verify has left its result in `data_dir`."""
    life = Life()
    tell_of_process(role, life)
    match role:
        case "sender":
            SenderMetrics(life.registry)
        case "fold":
            FoldMetrics(life.registry, PositionMetrics(life.registry, "sendledger-fold"))
        case "merge":
            MergeMetrics(life.registry).campaigns.told("c1", merged(_QUEUED), 0)
        case "receiver":
            ReceiverMetrics(life.registry)
        case "sink":
            SinkMetrics(life.registry)
        case "api":
            Guard(cast("Any", None), life.registry)
            tell_of_view(life.registry, cast("View", SimpleNamespace(states={})), ())
            keep_result(data_dir, divergence=0, unproved=0, seconds=1.0)
            life.registry.register(LastVerification(data_dir))
    if role in ("sender", "merge"):
        PositionMetrics(life.registry, f"sendledger-{role}")
    return life.registry


def registries(data_dir: Path) -> dict[Teller, CollectorRegistry]:
    """Of all."""
    return {teller: registry_of(teller, data_dir) for teller in TELLERS}


def labels_in(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """(name of a sample, type, help, its labels) of everything in a registry, also of what has no sample yet."""
    declared = {
        collector: frozenset(collector._labelnames)
        for collector in registry._collector_to_names
        if isinstance(collector, MetricWrapperBase)
    }
    for collector, labels in declared.items():
        (family,) = collector.describe()
        for suffix in SUFFIXES[family.type]:
            more = {"le"} if suffix == "_bucket" else set()
            yield family.name + suffix, family.type, family.documentation, labels | more
    for other in registry._collector_to_names.keys() - declared.keys():
        for family in other.collect():
            for sample in family.samples:
                yield sample.name, family.type, family.documentation, frozenset(sample.labels)


def known_labels(data_dir: Path) -> dict[str, frozenset[str]]:
    """Sample → the labels that it may have, over all roles."""
    found: dict[str, frozenset[str]] = {}
    for registry in registries(data_dir).values():
        for name, _, _, labels in labels_in(registry):
            found[name] = found.get(name, frozenset()) | labels
    return found
