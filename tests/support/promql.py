"""What a PromQL expression names: metrics with the labels of their selectors, and labels that it groups by.

No parser of the language (promtool checks the grammar): strings, numbers, functions and keywords are put aside, what is
left are metrics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^}]*)\}")
_WORD = re.compile(r"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()(?![\w:])")
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring"}

PROMETHEUS_OWN = {"up": frozenset({"job", "instance"}), "ALERTS": frozenset({"alertname", "alertstate", "severity"})}
TARGET_LABELS = frozenset({"job", "instance"})


@dataclass(frozen=True)
class Named:
    """`metrics`: name → labels that selectors ask for. `grouped`: labels of by, on and the like."""

    metrics: dict[str, frozenset[str]]
    grouped: frozenset[str]


def named(expression: str) -> Named:
    """What an expression names."""
    plain = _RANGE.sub("", _STRING.sub('""', expression.replace("$__rate_interval", "1m")))
    grouped = {label.strip() for group in _GROUPING.findall(plain) for label in group.split(",")} - {""}
    plain = _GROUPING.sub(" ", plain)
    metrics: dict[str, set[str]] = {}
    for metric, matchers in _SELECTOR.findall(plain):
        metrics.setdefault(metric, set()).update(_MATCHER.findall(matchers))
    for word in _WORD.findall(_SELECTOR.sub(" ", plain)):
        if word not in _KEYWORDS:
            metrics.setdefault(word, set())
    return Named({metric: frozenset(labels) for metric, labels in metrics.items()}, frozenset(grouped))


def strangers(expression: str, known: dict[str, frozenset[str]]) -> list[str]:
    """Metrics and labels that an expression names and nobody tells. `known`: metric → its labels."""
    everything, found = {**known, **PROMETHEUS_OWN}, []
    said = named(expression)
    within: frozenset[str] = frozenset()
    for metric, labels in said.metrics.items():
        if metric not in everything:
            found.append(metric)
            continue
        within |= everything[metric]
        found += [f"{metric}{{{label}}}" for label in sorted(labels - everything[metric] - TARGET_LABELS)]
    return found + [f"by {label}" for label in sorted(said.grouped - within - TARGET_LABELS)]
