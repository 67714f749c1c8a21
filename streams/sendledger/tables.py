"""Rates and latencies of a campaign as tables for a terminal: the CLI and the demo show them alike. No I/O."""

from __future__ import annotations

from typing import Any

from rich.table import Table

Json = dict[str, Any]


def rates(found: Json) -> Table:
    """Each rate with its numerator and denominator."""
    table = Table("rate", "", "of", box=None, header_style="bold", padding=(0, 2))
    for name, rate in found.items():
        if rate["denominator"]:
            table.add_row(name.replace("_", " "), f"{rate['value']:.1%}", f"{rate['numerator']}/{rate['denominator']}")
    return table


def latencies(found: Json) -> Table:
    """Each stage with its percentiles in seconds."""
    table = Table("stage", "p50", "p95", "p99", "messages", box=None, header_style="bold", padding=(0, 2))
    for stage, values in found.items():
        if values["count"]:
            seconds = (f"{values[share]:.3f} s" for share in ("p50", "p95", "p99"))
            table.add_row(stage.replace("_", " "), *seconds, str(values["count"]))
    return table
