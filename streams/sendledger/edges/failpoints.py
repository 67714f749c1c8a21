"""Places where a test may kill or stop the process: `SENDLEDGER_FAILPOINT=answer_read:kill`, `…:stop`, `…@7` (the 7th).

Off unless the variable is set when the process starts; then each place costs one comparison.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import Literal

Step = Literal[
    "before_claim",
    "claim_unacknowledged",
    "claim_acknowledged",
    "before_call",
    "answer_read",
    "response_written",
]
STEPS: tuple[str, ...] = Step.__args__  # type: ignore[attr-defined]  # typing keeps a Literal's values there
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass
class Failpoint:
    """One armed place; `step` empty = none. `nth`: the visit at which it strikes."""

    step: str = ""
    action: str = "kill"
    nth: int = 1
    _visits: int = field(default=0, repr=False)

    @classmethod
    def parse(cls, text: str) -> Failpoint:
        """`step[:kill|stop][@n]`, or nothing. Errors: ValueError for a step or action that does not exist."""
        if not text:
            return cls()
        name, _, nth = text.partition("@")
        step, _, action = name.partition(":")
        if step not in STEPS or (action or "kill") not in _SIGNALS:
            raise ValueError(f"SENDLEDGER_FAILPOINT: one of {', '.join(STEPS)}, then :kill or :stop")
        return cls(step, action or "kill", int(nth or 1))

    def __call__(self, step: Step) -> None:
        """Strike, if this is the place and the time."""
        if step != self.step:
            return
        self._visits += 1
        if self._visits == self.nth:
            os.kill(os.getpid(), _SIGNALS[self.action])


def from_environment() -> Failpoint:
    """What the environment arms."""
    return Failpoint.parse(os.environ.get("SENDLEDGER_FAILPOINT", ""))
