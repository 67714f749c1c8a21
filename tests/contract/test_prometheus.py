"""infra/prometheus: it scrapes what the roles serve, names only what they tell, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sendledger.config import Settings
from sendledger.wiring import ROLES
from tests.support.promql import named, strangers
from tests.support.registries import known_labels

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "infra" / "prometheus"
RUNBOOKS = ROOT / "infra" / "runbooks"

Rule = dict[str, Any]


def rules(file: str) -> list[Rule]:
    """All rules of a file."""
    groups = yaml.safe_load((PROMETHEUS / "rules" / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}


def recorded(known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Recorded series → their labels: those that the rule groups by."""
    return {rule["record"]: named(rule["expr"]).grouped & frozenset({"campaign"}) for rule in rules("recording.yml")}


def test_every_role_is_scraped_at_its_port() -> None:
    """The file fits `sendledger up` with its defaults."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    scraped = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    settings = Settings()
    assert scraped == {f"sendledger-{role}": [f"127.0.0.1:{settings.metrics_port_of(role)}"] for role in ROLES}
    assert [(PROMETHEUS / file).is_file() for file in config["rule_files"]] == [True, True]


def test_rules_name_only_what_some_role_tells(tmp_path: Path) -> None:
    """Every metric, and every label of it, exists in the registry that a role makes; alerts may use recorded series."""
    known = known_labels(tmp_path)
    for rule in rules("recording.yml"):
        assert strangers(rule["expr"], known) == [], rule["record"]
    for name, rule in ALERTS.items():
        assert strangers(rule["expr"], known | recorded(known)) == [], name


def test_strangers_are_seen(tmp_path: Path) -> None:
    """The test before is worth something: a wrong name, a wrong label and a wrong grouping are each found."""
    known = known_labels(tmp_path)
    right = 'sum by (outcome) (rate(sendledger_sender_calls_total{outcome=~"a|b"}[5m])) > bool 0.5 * 3'
    assert strangers(right, known) == []
    assert strangers(right.replace("calls_total", "call_total"), known) == [
        "sendledger_sender_call_total",
        "by outcome",
    ]
    assert strangers(right.replace("{outcome", "{result"), known) == ["sendledger_sender_calls_total{result}"]
    assert strangers(right.replace("by (outcome)", "by (reason)"), known) == ["by reason"]
    assert strangers("time() - max(process_start_time_seconds offset 30m) and on () vector(1)", known) == []


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_what_to_do(name: str) -> None:
    """Severity, what is wrong, what to do, and a page of the repository that says more."""
    alert = ALERTS[name]
    assert name.startswith("Sendledger")
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    notes = alert["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert len(notes["description"]) > 30
    page = ROOT / notes["runbook_url"]
    assert page.parent == RUNBOOKS
    text = page.read_text()
    assert re.match(r"# \S", text)
    assert "**Look**" in text
    assert "**Do**" in text
    assert len(text.splitlines()) <= 30


def test_no_page_without_an_alert() -> None:
    """What no alert leads to is read by nobody."""
    linked = {Path(alert["annotations"]["runbook_url"]).name for alert in ALERTS.values()}
    assert {page.name for page in RUNBOOKS.glob("*.md")} == linked


COMMANDS = re.compile(r"`sendledger ([a-z-]+)")
METRICS = re.compile(r"`(sendledger_[a-z_]+|process_[a-z_]+)")


def test_pages_name_commands_and_metrics_that_exist(tmp_path: Path) -> None:
    """A page that sends people to a command that is gone is worse than none."""
    from typer.main import get_command  # noqa: PLC0415 — the CLI is heavy, and only this test asks

    from sendledger.cli.app import application  # noqa: PLC0415

    verbs, known = set(get_command(application()).commands), known_labels(tmp_path)  # type: ignore[attr-defined]  # a group
    for page in RUNBOOKS.glob("*.md"):
        text = page.read_text()
        assert set(COMMANDS.findall(text)) <= verbs, page.name
        assert set(METRICS.findall(text)) <= known.keys(), page.name


def expectations() -> Iterator[tuple[str, bool]]:
    """(alert, whether it is expected to fire) of everything that the unit tests ask for."""
    for file in PROMETHEUS.glob("tests/*.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for asked in test.get("promql_expr_test", ()):
                if "ALERTS" in asked["expr"]:
                    pattern = re.search(r'alertname=(~?)"([^"]+)"', asked["expr"])
                    wanted = pattern.group(2) if pattern else ".*"
                    for name in ALERTS:
                        if re.fullmatch(wanted, name):
                            yield name, bool(asked["exp_samples"]) if pattern else name == "SendledgerWatchdog"


def test_each_alert_is_tested_both_ways() -> None:
    """Once where it fires, once where it does not; tests/e2e/test_alerts.py has promtool run them."""
    asked = set(expectations())
    assert [name for name in ALERTS if (name, True) not in asked] == []
    assert [name for name in ALERTS if (name, False) not in asked] == ["SendledgerWatchdog"]
