"""Places where a test may kill or stop the process: `SENDLEDGER_FAILPOINT=answer_read:kill`, `…:stop`, `…@7` (the 7th).

Off unless the variable is set when the process starts; then each place costs one comparison.

| step | what has happened, and what has not |
|---|---|
| `before_claim` | messages are picked; their claims are not handed to Kafka |
| `claim_unacknowledged` | the claims are on their way to Kafka; nobody here knows that they are there |
| `claim_acknowledged` | their offsets are known; nobody has looked yet which of them won |
| `before_call` | a claim has won and has its token; the second look is not taken |
| `request_half_written` | half of the body has left; the rest has not |
| `request_written` | the last byte has left; the answer is not read |
| `answer_read` | the answer is known; its event is not handed to Kafka |
| `response_written` | the event is acknowledged |
| `cursor_moved` | the event is folded; the store holds it and the cursor behind it |

And of the receiver:

| step | what has happened, and what has not |
|---|---|
| `postback_gathered` | postbacks are decoded; nothing is handed to Kafka |
| `postback_acknowledged` | all in-sync replicas have them; no answer went out |
| `postback_spooled` | they stand in the spool, synced; no answer went out |
| `spool_acknowledged` | Kafka has records of the spool; they still stand in it |
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import Literal

Step = Literal[
    "before_claim",
    "claim_unacknowledged",
    "claim_acknowledged",
    "before_call",
    "request_half_written",
    "request_written",
    "answer_read",
    "response_written",
    "cursor_moved",
]
STEPS: tuple[Step, ...] = Step.__args__  # type: ignore[attr-defined]  # typing keeps a Literal's values there
ReceiverStep = Literal["postback_gathered", "postback_acknowledged", "postback_spooled", "spool_acknowledged"]
RECEIVER_STEPS: tuple[ReceiverStep, ...] = ReceiverStep.__args__  # type: ignore[attr-defined]  # as above
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_TURNS = 20


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
        if step not in (*STEPS, *RECEIVER_STEPS) or (action or "kill") not in _SIGNALS:
            raise ValueError(
                f"SENDLEDGER_FAILPOINT: one of {', '.join((*STEPS, *RECEIVER_STEPS))}, then :kill or :stop"
            )
        return cls(step, action or "kill", int(nth or 1))

    def __call__(self, step: Step | ReceiverStep) -> None:
        """Strike, if this is the place and the time."""
        if step != self.step:
            return
        self._visits += 1
        if self._visits == self.nth:
            os.kill(os.getpid(), _SIGNALS[self.action])

    def is_armed(self, *steps: Step) -> bool:
        """Whether one of these places is armed: what only a failpoint needs is made only then."""
        return self.step in steps

    async def on_its_way(self, step: Step) -> None:
        """Strike once the loop has turned so often that a library has written to its socket what it was handed."""
        if step != self.step:
            return
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self(step)


def from_environment() -> Failpoint:
    """What the environment arms."""
    return Failpoint.parse(os.environ.get("SENDLEDGER_FAILPOINT", ""))
