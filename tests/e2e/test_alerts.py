"""The rules of infra/prometheus as Prometheus reads them (Debian's promtool): grammar, and each alert both ways."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import tool

PROMETHEUS = Path(__file__).parents[2] / "infra" / "prometheus"
RULES = sorted(PROMETHEUS.glob("rules/*.yml"))


def promtool(*arguments: str | Path) -> None:
    """Run it; it has to agree."""
    command = [tool("promtool"), *map(str, arguments)]
    ended = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_configuration_and_rules_can_be_read() -> None:
    """Nothing that Prometheus would refuse, nor a rule that stands there twice."""
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.parametrize("file", sorted(PROMETHEUS.glob("tests/*.yml")), ids=lambda file: file.stem)
def test_alerts_fire_when_they_should(file: Path) -> None:
    """Series in, alerts out, minute by minute: thresholds, least volumes, and how long it has to last."""
    promtool("test", "rules", file)
