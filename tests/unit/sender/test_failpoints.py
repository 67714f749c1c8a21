"""Failpoints: off unless asked for, exact when asked for, and refused when misspelt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sendledger.edges.failpoints import RECEIVER_STEPS, STEPS, Failpoint, from_environment

PROGRAM = "from sendledger.edges.failpoints import from_environment as f\ns = f()\nfor _ in range(3): s('answer_read')"


def test_nothing_is_armed_without_the_variable() -> None:
    """Every step is walked through unharmed."""
    strike = from_environment()
    for step in (*STEPS, *RECEIVER_STEPS):
        strike(step)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("answer_read", ("answer_read", "kill", 1)),
        ("before_call:stop", ("before_call", "stop", 1)),
        ("before_claim:kill@7", ("before_claim", "kill", 7)),
    ],
)
def test_what_the_variable_says(text: str, parsed: tuple[str, str, int]) -> None:
    """Step, action, and at which visit."""
    point = Failpoint.parse(text)
    assert (point.step, point.action, point.nth) == parsed


@pytest.mark.parametrize("text", ["nowhere", "answer_read:explode", "answer_read:kill@often"])
def test_a_misspelt_failpoint_is_refused(text: str) -> None:
    """A test that arms nothing would prove nothing."""
    with pytest.raises(ValueError, match=r"FAILPOINT|often"):
        Failpoint.parse(text)


@pytest.mark.parametrize(("visit", "code"), [(3, -signal.SIGKILL), (4, 0)])
def test_it_strikes_at_its_visit(visit: int, code: int) -> None:
    """The third visit of three kills the process, a fourth never comes."""
    environment = {**os.environ, "SENDLEDGER_FAILPOINT": f"answer_read:kill@{visit}"}
    assert subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=False).returncode == code
