"""`make chaos-sender`: so many rounds, several at once, each on a broker of its own; the last line is JSON.

The exit code is 1 if anything is wrong. A round's line names what was done in it; a violation names seed, round and
message. `--seed 7 --first 12 --rounds 1` plays the plan of round 12 once more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.config import Settings
from sendledger.edges import system_record, topics
from sendledger.edges.kafka import admin
from sendledger_schemas.topics import CAMPAIGNS, FOLD_SOURCES, SUPPRESSIONS
from tests.chaos.hands import Nursery, nursery
from tests.chaos.judge import Verdict
from tests.chaos.plan import plan
from tests.chaos.play import play
from tests.support.kafka import broker, eventually, settings_on

_USED = (*FOLD_SOURCES, CAMPAIGNS, SUPPRESSIONS)


@dataclass
class Tally:
    """The sum of all rounds."""

    seed: int
    rounds: int = 0
    messages: int = 0
    submissions: int = 0
    excused: int = 0
    violations: list[str] = field(default_factory=list)
    buckets: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, verdict: Verdict) -> None:
        """One more round."""
        self.rounds += 1
        self.messages += verdict.messages
        self.submissions += verdict.submissions
        self.excused += verdict.excused
        self.violations += [f"seed {self.seed}, round {number}: {line}" for line in verdict.violations]
        self.buckets += verdict.buckets
        self.doubts += verdict.doubts
        self.faults += verdict.faults

    def line(self, seconds: float) -> str:
        """The last line."""
        return json.dumps(
            {
                "rounds": self.rounds,
                "violations": len(self.violations),
                "messages": self.messages,
                "calls": self.submissions,
                "seed": self.seed,
                "seconds": round(seconds),
                "buckets": dict(sorted(self.buckets.items())),
                "doubts": dict(sorted(self.doubts.items())),
                "excused": self.excused,
                "faults": dict(sorted(self.faults.items())),
            }
        )


async def _fresh(settings: Settings) -> None:
    """Empty topics, of those that a sender reads or writes."""
    async with admin(settings.kafka) as client:
        there = {name for name in await topics.find(client) if name in _USED}
        if there:
            await client.delete_topics(sorted(there))

            async def gone() -> bool:
                return not there & set(await topics.find(client))

            await eventually(gone, what="the topics are deleted")
    await topics.create(settings)
    await system_record.confirm(settings)


async def _lane(
    numbers: Iterator[int], tally: Tally, given: argparse.Namespace, directory: Path, kids: Nursery
) -> None:
    """Rounds, one after the other, as long as there are any."""
    async with broker(directory / "kafka") as kafka:
        for number in numbers:
            here = directory / f"round-{number}"
            settings = settings_on(kafka.bootstrap_servers, here)
            await _fresh(settings)
            began = time.monotonic()
            verdict = await play(settings, plan(tally.seed, number, messages=given.messages), kids)
            tally.add(number, verdict)
            faults = ", ".join(f"{count} {name}" for name, count in sorted(verdict.faults.items()))
            print(f"round {number}: {time.monotonic() - began:.0f} s, {verdict}; {faults}", flush=True)
            for line in verdict.violations:
                print(f"VIOLATION seed {tally.seed}, round {number}: {line}", flush=True)
            if not verdict.violations:
                shutil.rmtree(here)


async def _main(given: argparse.Namespace) -> int:
    tally, began = Tally(given.seed), time.monotonic()
    numbers = iter(range(given.first, given.first + given.rounds))
    directory = Path(tempfile.mkdtemp(prefix="sendledger-chaos-"))
    print(f"seed {given.seed}, {given.rounds} rounds", flush=True)
    async with nursery() as kids:
        await asyncio.gather(
            *(_lane(numbers, tally, given, directory / f"lane-{lane}", kids) for lane in range(given.lanes))
        )
    if tally.violations:
        print(f"logs and ledgers are kept: {directory}")
    else:
        shutil.rmtree(directory)
    print(tally.line(time.monotonic() - began))
    return 1 if tally.violations or tally.rounds < given.rounds else 0


def main() -> int:
    """The arguments, and the rounds."""
    parser = argparse.ArgumentParser(prog="make chaos-sender", description="Random chaos for the sender.")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first round (0)")
    parser.add_argument("--lanes", type=int, default=3, help="rounds at once (3)")
    parser.add_argument("--messages", type=int, default=520, help="in each round (520)")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_main(parser.parse_args()))
    return 130


if __name__ == "__main__":
    sys.exit(main())
