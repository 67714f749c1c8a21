"""Writes dashboards/*.json from the descriptions beside this file. `--check`: says what is stale, exit code 1.

A description is a list of sections of panels; here stands what all of them share: the data source as a variable, the
variables job and instance in every query (WHERE), the form of legends, and the place on the grid.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WHERE = 'job=~"$job", instance=~"$instance"'
_WIDTH = 24

Json = dict[str, Any]


def quantiles(histogram: str, *shares: int) -> tuple[tuple[str, str], ...]:
    """A query for each per cent of a histogram."""
    inner = f"sum by (le) (rate({histogram}_bucket{{WHERE}}[$__rate_interval]))"
    return tuple((f"p{share}", f"histogram_quantile(0.{share}, {inner})") for share in shares)


def share_within(histogram: str, seconds: int) -> str:
    """What share of a histogram was not longer than that; there must be such a bucket."""
    within = f'sum(rate({histogram}_bucket{{WHERE, le="{seconds}.0"}}[$__rate_interval]))'
    return f"{within} / sum(rate({histogram}_count{{WHERE}}[$__rate_interval]))"


@dataclass(frozen=True)
class Panel:
    """One panel. `queries`: (legend, PromQL with WHERE in its selectors). `limits`: (from, colour) above `base`."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limits: tuple[tuple[float, str], ...] = ()
    base: str = "green"
    stat: bool = False
    stacked: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return (4, 4) if self.stat else (8, 8)

    def document(self, number: int, x: int, y: int) -> Json:
        """As Grafana reads it."""
        width, height = self.size
        steps = [{"color": self.base, "value": None}, *({"color": c, "value": v} for v, c in self.limits)]
        return {
            "id": number,
            "type": "stat" if self.stat else "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": {} if self.stat else self._drawn(),
                },
                "overrides": [],
            },
            "options": _STAT_OPTIONS if self.stat else _GRAPH_OPTIONS,
            "targets": [
                {
                    "refId": chr(ord("A") + index),
                    "datasource": SOURCE,
                    "expr": expression.replace("WHERE", WHERE),
                    "legendFormat": legend,
                    "instant": self.stat,
                    "range": not self.stat,
                }
                for index, (legend, expression) in enumerate(self.queries)
            ],
        }

    def _drawn(self) -> Json:
        return {
            "fillOpacity": 20 if self.stacked else 0,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if self.stacked else "none"},
            "thresholdsStyle": {"mode": "line" if self.limits else "off"},
        }


_STAT_OPTIONS: Json = {
    "colorMode": "value",
    "graphMode": "none",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "textMode": "auto",
}
_GRAPH_OPTIONS: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


@dataclass(frozen=True)
class Dashboard:
    """One file. `sections`: (title, panels). `by_campaign`: with a variable of that name."""

    uid: str
    title: str
    description: str
    sections: tuple[tuple[str, tuple[Panel, ...]], ...]
    by_campaign: bool = False

    def document(self) -> Json:
        """As Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["sendledger"],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": list(self._variables())},
            "annotations": {"list": []},
            "links": [_LINKS],
            "panels": list(self._panels()),
        }

    def _variables(self) -> Iterator[Json]:
        yield {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": "Prometheus", "value": "prometheus"},
        }
        yield _variable("job", "label_values(sendledger_build_info, job)")
        yield _variable("instance", 'label_values(sendledger_build_info{job=~"$job"}, instance)')
        if self.by_campaign:
            yield _variable("campaign", f"label_values(sendledger_campaign_messages{{{WHERE}}}, campaign)")

    def _panels(self) -> Iterator[Json]:
        number = x = y = below = 0
        for title, panels in self.sections:
            number, y = number + 1, below
            place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
            x, y, below = 0, y + 1, y + 1
            for panel in panels:
                width, height = panel.size
                if x + width > _WIDTH:
                    x, y = 0, below
                number += 1
                yield panel.document(number, x, y)
                x, below = x + width, max(below, y + height)


_LINKS: Json = {"type": "dashboards", "title": "Sendledger", "tags": ["sendledger"], "asDropdown": False, "icon": ""}


def _variable(name: str, query: str) -> Json:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def main(arguments: Sequence[str]) -> int:
    """Write, or check, every dashboard."""
    from campaigns import CAMPAIGNS  # noqa: PLC0415 — they import this file
    from pipeline import PIPELINE  # noqa: PLC0415
    from provider import PROVIDER  # noqa: PLC0415

    stale = []
    for dashboard in (CAMPAIGNS, PIPELINE, PROVIDER):
        file = FOLDER / f"{dashboard.uid}.json"
        text = json.dumps(dashboard.document(), indent=1, ensure_ascii=False) + "\n"
        if "--check" not in arguments:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(file.name)
    for name in stale:
        sys.stderr.write(f"dashboards/{name} is stale: run python infra/grafana/generate.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
