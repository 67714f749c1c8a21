"""`make bench`: sender, receiver and fold one after the other, each in one process with a broker beside it.

The last line is JSON: `sender_per_s` (accepted messages, claims durable), `receiver_per_s` (durable postbacks),
`fold_per_s` (events folded). The table before it sets each beside the least that it has to be, as a ratio of one run:
absolute numbers of two machines, or of one machine on two days, say little.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bench:
    """One benchmark: its module, the number it tells (as `told`), and the least that the number has to be."""

    module: str
    name: str
    least: float
    told: str = ""
    arguments: tuple[str, ...] = ()


BENCHES = (
    Bench("tests.bench.bench_sender", "sender_per_s", 2_000, "ours", ("--grow=",)),
    Bench("tests.bench.bench_receiver", "receiver_per_s", 2_000, "ours"),
    Bench("tests.bench.bench_fold", "fold_per_s", 50_000),
)


def last_json(output: str) -> dict[str, Any]:
    """The last line of the output that is a JSON object. Errors: ValueError if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise ValueError("the benchmark printed no JSON")


def run(bench: Bench) -> dict[str, Any]:
    """Run one benchmark in a process of its own. Errors: CalledProcessError, ValueError."""
    print(f"{bench.name} …", flush=True)
    command = [sys.executable, "-m", bench.module, *bench.arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told = last_json(done.stdout)
    print(f"  {json.dumps(told)}", flush=True)
    return told


def main() -> int:
    """Run all; 1 if one is below its least."""
    measured = {bench.name: float(run(bench)[bench.told or bench.name]) for bench in BENCHES}
    for bench in BENCHES:
        rate = measured[bench.name]
        print(f"{bench.name:15} {rate:10,.0f}   {rate / bench.least:5.1f} x the least ({bench.least:,.0f})")
    slowest = min(measured.values())
    print("ratios of this run: " + ", ".join(f"{name} {rate / slowest:.1f}" for name, rate in measured.items()))
    print(json.dumps({name: round(rate) for name, rate in measured.items()}))
    return int(any(measured[bench.name] < bench.least for bench in BENCHES))


if __name__ == "__main__":
    sys.exit(main())
