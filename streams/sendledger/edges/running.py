"""The file by which the CLI's verbs find a running instance, and the lock that keeps a second one away.

`running.json` in the data directory holds the process id, Kafka's address and the URLs: nothing secret. A process id
alone could have been given to another process since, so the process's start time stands beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sendledger.config import ConfigError

_FILE = "running.json"
_LOCK = "running.lock"
_START_TIME_FIELD = 19  # of /proc/PID/stat, counted behind the command's closing parenthesis (man 5 proc: field 22)


class AlreadyRunningError(Exception):
    """Another instance holds this data directory; the message names its process id."""


@dataclass(frozen=True)
class Running:
    """One running instance. `embedded`: the broker is its own. `urls`: name → address, without tokens."""

    pid: int
    started: str
    bootstrap_servers: str
    embedded: bool
    urls: dict[str, str] = field(default_factory=dict)


def started_at(pid: int) -> str | None:
    """When the process started, in the kernel's ticks since boot; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[_START_TIME_FIELD]


def announce(data_dir: Path, *, bootstrap_servers: str, embedded: bool, urls: dict[str, str]) -> Running:
    """Write the file for this process, whole or not at all."""
    pid = os.getpid()
    running = Running(pid, started_at(pid) or "", bootstrap_servers, embedded, urls)
    draft = data_dir / f"{_FILE}.{pid}"
    draft.write_text(json.dumps(asdict(running), indent=1), encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(data_dir / _FILE)
    return running


def withdraw(data_dir: Path) -> None:
    """Remove the file; it may be gone already."""
    (data_dir / _FILE).unlink(missing_ok=True)


def find(data_dir: Path) -> Running | None:
    """The instance that runs on this data directory; None if there is none or the file is a dead one's."""
    try:
        fields = json.loads((data_dir / _FILE).read_text(encoding="utf-8"))
        running = Running(**fields)
    except (OSError, ValueError, TypeError):
        return None
    return running if started_at(running.pid) == running.started else None


@contextmanager
def only_instance(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this process. Errors: AlreadyRunningError; ConfigError if it cannot be used.

    The kernel drops the lock with the process, however it ends, so a crash leaves nothing to clean up.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened = (data_dir / _LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"SENDLEDGER_DATA_DIR: cannot use {data_dir}: {error.strerror}"]) from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = (data_dir / _LOCK).read_text(encoding="utf-8").strip() or "unknown"
            raise AlreadyRunningError(
                f"another Sendledger (process {holder}) runs on {data_dir}: stop it, or set SENDLEDGER_DATA_DIR"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
