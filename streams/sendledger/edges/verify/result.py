"""What the last whole run of `verify` found, in a small file of the data directory, and as metrics for who reads it.

`verify` is a short process that nobody can scrape: it leaves `verify.json`, and the API's /metrics shows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_FILE = "verify.json"


def keep_result(data_dir: Path, *, divergence: int, unproved: int, seconds: float) -> None:
    """Write down what a run has found, whole or not at all. Errors: OSError."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "divergence": divergence,
        "unproved_campaigns": unproved,
        "seconds": round(seconds, 3),
    }
    draft = data_dir / f"{_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.replace(data_dir / _FILE)


def last_result(data_dir: Path) -> dict[str, Any] | None:
    """What the last run found; None if there was none, or its file cannot be read."""
    try:
        found = json.loads((data_dir / _FILE).read_text(encoding="utf-8"))
        datetime.fromisoformat(found["at"])
        float(found["divergence"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return dict(found)


class LastVerification(Collector):
    """`sendledger_verify_divergence` and the time of the last run. Before the first run there are no such metrics."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def collect(self) -> Iterator[Metric]:
        """Read at each scrape."""
        found = last_result(self._data_dir)
        if found is None:
            return
        names = "sendledger_verify_divergence", "sendledger_verify_last_run_timestamp_seconds"
        values = float(found["divergence"]), datetime.fromisoformat(found["at"]).timestamp()
        told = "Published numbers that the log does not confirm", "When `sendledger verify` last ran over everything"
        for name, value, text in zip(names, values, told, strict=True):
            yield GaugeMetricFamily(name, text, value=value)
