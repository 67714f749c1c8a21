"""What every role's metrics are called, and that nobody's data becomes a name or a label."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from sendledger.wiring import Role
from tests.support.registries import TELLERS, Teller, labels_in, registry_of

NAME = re.compile(r"sendledger_[a-z][a-z0-9]*(_[a-z0-9]+)*")
UNITS = ("_seconds", "_bytes", "_records", "_messages", "_total", "_offset", "_ratio", "_info", "_per_second")
UNLIKE_BASE_UNITS = re.compile(r"_(ms|milliseconds|micros|minutes|hours|kb|mb|percent)(_|$)")
CLIENTS = ("process_", "python_")
PERSONAL_LABELS = re.compile(r"(recipient|number|phone|msisdn|^to$|message|text|tracking|token|key)")


@pytest.mark.parametrize("role", TELLERS)
def test_names_follow_prometheus_rules(role: Teller, tmp_path: Path) -> None:
    """Prefix, lower case, no colon, base units, `_total` on counters and on nothing else, a help text, few labels."""
    seen = set()
    for name, kind, text, labels in labels_in(registry_of(role, tmp_path)):
        seen.add(name)
        if name.startswith(CLIENTS):
            continue
        assert NAME.fullmatch(name), name
        assert not UNLIKE_BASE_UNITS.search(name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or "_seconds_" in name, name
        assert len(text) > 5, f"{name} has no help text"
        assert len(labels) <= 4, name
        assert not [label for label in labels if PERSONAL_LABELS.search(label)], f"{name}: {labels}"
    assert {"sendledger_build_info", "sendledger_role_ready", "process_resident_memory_bytes"} <= seen


def test_who_runs_is_told(tmp_path: Path) -> None:
    """Which build a role is, and that it is not ready before it says so."""
    told = generate_latest(registry_of("fold", tmp_path)).decode()
    assert "_created" not in told
    assert re.search(r'sendledger_build_info\{.*role="fold",version="\d[^"]*"\} 1\.0', told)
    assert 'sendledger_role_ready{role="fold"} 0.0' in told


def test_what_never_happened_is_zero(tmp_path: Path) -> None:
    """Values of closed labels are there from the start: the first doubt must be an increase."""
    sender = registry_of("sender", tmp_path)
    for name, labels in (
        ("doubts", {"reason": "timeout"}),
        ("calls", {"outcome": "unanswered"}),
        ("claims", {"result": "lost"}),
        ("withheld", {"reason": "expired"}),
        ("refusals", {"error_class": "account"}),
        ("automatic_pauses", {"scope": "account"}),
    ):
        assert sender.get_sample_value(f"sendledger_sender_{name}_total", labels) == 0, name
    sink = registry_of("sink", tmp_path)
    for name, labels in (("rows", {"table": "campaigns"}), ("errors", {"kind": "database_away"})):
        assert sink.get_sample_value(f"sendledger_sink_{name}_total", labels) == 0, name
    fold = registry_of("fold", tmp_path)
    assert fold.get_sample_value("sendledger_fold_dead_letters_total", {"topic": "sms.postbacks.v1"}) == 0


@pytest.mark.parametrize(
    ("role", "name", "levels"),
    [
        ("receiver", "sendledger_receiver_seconds", (0.03, 0.1, 5.0)),
        ("merge", "sendledger_merge_freshness_seconds", (0.03, 0.1, 1.0)),
        ("sender", "sendledger_sender_call_seconds", (0.5, 5.0, 30.0)),
        ("api", "sendledger_api_request_seconds", (0.05, 0.5)),
    ],
)
def test_buckets_stand_at_the_service_levels(role: Role, name: str, levels: tuple[float, ...], tmp_path: Path) -> None:
    """What is promised can be read without interpolation."""
    registry = registry_of(role, tmp_path)
    samples = [sample for metric in registry.collect() for sample in metric.samples if sample.name == f"{name}_bucket"]
    bounds = {float(sample.labels["le"]) for sample in samples}
    if not bounds:  # with labels there is none before the first observation
        bounds = set(vars(registry._names_to_collectors[name])["_kwargs"]["buckets"])
    assert set(levels) <= bounds, bounds
