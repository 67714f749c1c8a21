"""The programs that are measured beside each other, each started as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sendledger_schemas.topics import CAMPAIGN_PARTIALS, FOLD_SOURCES

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
_LONGEST = 400.0  # seconds for one run
_PYTHON = _ROOT / ".venv-bench" / "bin" / "python"
SOURCES = FOLD_SOURCES[:4]
"""Decisions are left out: there are none."""


@dataclass(frozen=True)
class Job:
    """What a process is to do: `name` is that of its group, `directory` its own, `events` are on the log."""

    servers: str
    name: str
    directory: Path
    partitions: int
    events: int

    @property
    def output(self) -> str:
        """The topic for its counts."""
        return f"{self.name}-counts"


@dataclass(frozen=True)
class Peer:
    """One program. `told_on`: the topic with its counts."""

    command: Callable[[Job], list[str]]
    told_on: Callable[[Job], str] = lambda job: job.output


@dataclass(frozen=True)
class Run:
    """What one run took. `cpu_us`: processor time of the process, an event, its start included."""

    rate: float
    cpu_us: float
    max_rss_mb: int


def _ours(job: Job) -> list[str]:
    where = (job.servers, str(job.directory), str(job.partitions), str(job.events))
    return [sys.executable, "-m", "tests.bench.peers.ours", *where]


def _kafka_streams(job: Job) -> list[str]:
    target = _HERE / "kafka_streams" / "target"
    classes = f"{target / 'bench-kafka-streams.jar'}:{target / 'lib'}/*"
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    where = (job.servers, job.name, str(job.directory), str(job.events), job.output)
    return [str(java), quiet, "-cp", classes, "sendledger.bench.Main", *where, *SOURCES]


def _python(module: str, python: Path | str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        where = (job.servers, job.name, str(job.directory), str(job.events), job.output)
        return [str(python), "-m", f"tests.bench.peers.{module}", *where, *SOURCES]

    return command


PEERS = {
    "ours": Peer(_ours, lambda _job: CAMPAIGN_PARTIALS),
    "kafka_streams": Peer(_kafka_streams),
    "quix": Peer(_python("quix_fold", _PYTHON)),
    "bytewax": Peer(_python("bytewax_fold", _PYTHON)),
    "faust": Peer(_python("faust_fold", sys.executable)),
}


def run(peer: Peer, job: Job) -> Run:
    """Start the program and wait for its end. Errors: RuntimeError if it failed or took too long."""
    job.directory.mkdir(parents=True)
    with (job.directory / "stderr").open("w+b") as errors:
        process = subprocess.Popen(peer.command(job), cwd=_ROOT, stdout=subprocess.PIPE, stderr=errors)
        watch = threading.Timer(_LONGEST, process.kill)
        watch.start()
        assert process.stdout is not None
        try:
            output = process.stdout.read().decode()
            _, status, used = os.wait4(process.pid, 0)  # this child's own figures
        finally:
            watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{job.name} ended with {process.returncode}: {errors.read()[-2_000:].decode()}")
    seconds = float(json.loads(output.splitlines()[-1])["seconds"])
    busy = used.ru_utime + used.ru_stime
    return Run(job.events / seconds, busy / job.events * 1e6, used.ru_maxrss // 1024)
