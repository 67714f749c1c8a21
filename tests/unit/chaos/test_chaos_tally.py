"""The last line of the chaos rounds."""

from __future__ import annotations

import json
from collections import Counter

from tests.chaos.__main__ import Tally
from tests.chaos.judge import Verdict


def test_the_last_line_adds_the_rounds_up() -> None:
    """JSON with rounds, violations, messages, seed, and how often each fault was there."""
    tally = Tally(7)
    tally.add(0, Verdict(messages=520, faults=Counter(kill=2), buckets=Counter(accepted=520)))
    tally.add(1, Verdict(messages=520, faults=Counter(kill=1, stop=1), violations=["m is queued: lost"]))
    said = json.loads(tally.line(12.3))
    assert (said["rounds"], said["violations"], said["messages"], said["seed"]) == (2, 1, 1040, 7)
    assert said["faults"] == {"kill": 3, "stop": 1}
    assert tally.violations == ["seed 7, round 1: m is queued: lost"]
