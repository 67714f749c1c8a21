"""dashboards/*.json without Grafana: the rules of grafana/dashboard-linter, some of our own, and names that exist.

Whether the queries find anything is asked of a real Prometheus in tests/e2e/test_dashboards.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import strangers
from tests.support.registries import known_labels

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "infra" / "grafana"
FILES = sorted((ROOT / "dashboards").glob("sendledger-*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FILES}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "percentunit", "s", "bytes", "mps", "cps", "reqps"}  # Grafana's names of units
COUNTER_FUNCTIONS = r"(?:rate|irate|increase)\("

Json = dict[str, Any]


def panels(board: Json) -> list[Json]:
    """All but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """(dashboard, panel, query)."""
    for name, board in DASHBOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield name, panel["title"], target["expr"]


def test_the_three_dashboards_are_there() -> None:
    """Campaigns, pipeline, provider and receipts; each file is named by its uid."""
    assert list(DASHBOARDS) == ["sendledger-campaigns", "sendledger-pipeline", "sendledger-provider"]
    assert [board["uid"] for board in DASHBOARDS.values()] == list(DASHBOARDS)


@pytest.mark.parametrize("board", DASHBOARDS.values(), ids=DASHBOARDS)
def test_variables(board: Json) -> None:
    """Data source, job and instance are variables with labels, for several values, and asked anew as time goes on."""
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert all(variable["label"] for variable in variables.values())
    queried = [variable for variable in variables.values() if variable["type"] == "query"]
    assert {"job", "instance"} <= {variable["name"] for variable in queried}
    for variable in queried:
        assert variable["datasource"] == SOURCE
        assert variable["query"]["query"].startswith("label_values(sendledger_")
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".+")
        assert variable["refresh"] == 2
    assert board["editable"] is False
    assert board["title"]
    assert board["description"]


@pytest.mark.parametrize("board", DASHBOARDS.values(), ids=DASHBOARDS)
def test_panels(board: Json) -> None:
    """Each has a title of its own, a description, a unit, thresholds, queries with legends, and the variable source."""
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) >= 7, panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0] in ({"color": "green", "value": None}, {"color": "red", "value": None})
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
        assert panel["datasource"] == SOURCE
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == SOURCE
            assert target["legendFormat"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("board", DASHBOARDS.values(), ids=DASHBOARDS)
def test_nothing_lies_upon_another(board: Json) -> None:
    """No two panels share a place, and none is wider than the grid."""
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        places = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= places


@pytest.mark.parametrize(("board", "panel", "query"), list(queries()))
def test_queries(board: str, panel: str, query: str) -> None:
    """Job and instance in every selector; counters, and only they, through rate or increase; no own windows."""
    metrics = re.findall(r"(?:sendledger|process)_[a-z_]+", query)
    selectors = re.findall(r"((?:sendledger|process)_[a-z_]+)\{([^}]*)\}", query)
    assert len(selectors) == len(metrics) > 0, f"{board}: {panel}: a metric without a selector"
    for metric, matchers in selectors:
        assert 'job=~"$job"' in matchers, metric
        assert 'instance=~"$instance"' in matchers, metric
    assert set(re.findall(r"\[([^\]]+)\]", query)) <= {"$__rate_interval"}
    for metric, _ in selectors:
        cumulative = metric.endswith(("_total", "_bucket", "_count", "_sum"))
        assert bool(re.search(COUNTER_FUNCTIONS + re.escape(metric) + r"\{", query)) == cumulative, metric
    if "histogram_quantile" in query:
        assert re.search(r"sum by \(le[^)]*\) ?\(rate\(", query)


def test_dashboards_name_only_what_some_role_tells(tmp_path: Path) -> None:
    """Every metric and label exists in the registry that a role makes."""
    known = known_labels(tmp_path)
    wrong = [f"{board}: {panel}: {name}" for board, panel, query in queries() for name in strangers(query, known)]
    assert wrong == []


def test_legends_use_labels_that_are_there() -> None:
    """`{{label}}` in a legend is one that the query keeps."""
    for board in DASHBOARDS.values():
        for panel in panels(board):
            for target in panel["targets"]:
                used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                kept = {
                    label.strip()
                    for group in re.findall(r"by \(([^)]*)\)", target["expr"])
                    for label in group.split(",")
                }
                assert used <= kept, (panel["title"], target["legendFormat"])


def test_provisioning_fits() -> None:
    """The data source has the uid of the variable's default and the scrape interval; the folder comes from outside."""
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    current = DASHBOARDS["sendledger-pipeline"]["templating"]["list"][0]["current"]
    assert (source["type"], source["uid"], source["name"]) == ("prometheus", current["value"], current["text"])
    interval = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/sendledger.yml").read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "$DASHBOARDS")
