"""The program's own Apache Kafka: one KRaft node in a JVM, its data under `<data_dir>/kafka`.

1. The data directory is locked; the lock goes on to the JVM, so a half-stopped broker still holds it.
2. The log is formatted when there is none (a crash while formatting leaves no meta.properties: it is done again).
3. The JVM starts under a guard (broker_guard) that ends it with the program, also after kill -9.
4. The broker is ready when it answers a metadata request that names it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import TracebackType
from typing import IO, Self

from sendledger.config import KafkaSettings
from sendledger.edges.kafka import out_of_reach

_CHECKOUT = Path(__file__).parents[3] / "infra" / "kafka"
# C1 only and one collector thread: measured the same speed on two cores, a third less processor time (DECISIONS.md).
_JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "TMPDIR", "TZ")  # secrets of ours are not Kafka's
_POLL = 0.05  # seconds between looks at a file, a port or a process
_LONGEST_LOG = 16 * 1024 * 1024
_PORT_TAKEN = re.compile("BindException|Address already in use")
_TRIES = 3  # a free port may be taken by another process before the broker has it


class BrokerError(Exception):
    """The broker cannot run; the message says why in one line and what to do."""


class EmbeddedKafka:
    """One broker on one data directory; `async with` starts and stops it.

    `jars`: the folder with Kafka's jars; None = `infra/kafka/lib` of the checkout. `settings`: broker settings over
    those of server.properties; `${broker_port}` and the like are filled in there too.
    """

    def __init__(
        self,
        data_dir: Path,
        jars: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 20.0,
    ) -> None:
        self._home = data_dir / "kafka"
        self._jars = jars or _CHECKOUT / "lib"
        self._settings = dict(settings or {})
        self._start_timeout, self._stop_timeout = start_timeout, stop_timeout
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self.bootstrap_servers = ""

    async def __aenter__(self) -> Self:
        """Start. Errors: BrokerError."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def kafka(self) -> KafkaSettings:
        """How a client reaches this broker."""
        return KafkaSettings(bootstrap_servers=self.bootstrap_servers)

    async def start(self) -> None:
        """Start the broker and wait until it answers. Errors: BrokerError."""
        java = _java()
        if not any(self._jars.glob("kafka_*.jar")):
            raise BrokerError(f"no Kafka jars in {self._jars}: run `make setup`, or set SENDLEDGER_KAFKA_JARS")
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = await _locked(self._home / "lock", self._stop_timeout)
        try:
            for left in reversed(range(_TRIES)):
                if await self._started(java, last=left == 0):
                    return
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the broker and wait until its processes are gone and the lock is free; nothing to do when it is not."""
        await self._end()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            await _let_go(self._home / "lock", self._stop_timeout)

    async def _end(self) -> None:
        if self._guard is None:
            return
        if self._guard.stdin:
            self._guard.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stop_timeout):
                await self.ended()
        if self._guard.poll() is None:
            self._guard.kill()  # the kernel kills the JVM with it
            await self.ended()
        self._guard = None

    async def ended(self) -> int:
        """Wait until the broker has ended, by itself or by `stop`. Returns its exit code; 0 if it never ran."""
        while self._guard is not None:
            if (code := self._guard.poll()) is not None:
                return code
            await asyncio.sleep(_POLL)  # a process has no event to wait for that works in every thread and loop
        return 0

    async def _started(self, java: str, *, last: bool) -> bool:
        ports = _free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{ports[0]}"
        properties = self._write_properties(*ports)
        log = self._home / "server.log"
        if log.is_file() and log.stat().st_size > _LONGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        mark = log.stat().st_size if log.is_file() else 0
        if not (self._home / "data" / "meta.properties").is_file():
            await asyncio.to_thread(self._format, java, properties, log, mark)
        self._guard = await asyncio.to_thread(self._spawn, self._command(java, "kafka.Kafka", properties), log)
        try:
            async with asyncio.timeout(self._start_timeout):
                while await out_of_reach(self.kafka):
                    if self._guard.poll() is not None:
                        break
                    await asyncio.sleep(_POLL)
                else:
                    return True
        except TimeoutError:
            raise BrokerError(f"Kafka was not ready within {self._start_timeout:.0f} s: see {log}") from None
        await self._end()
        told = _said_since(log, mark)
        if last or not _PORT_TAKEN.search(told):
            raise BrokerError(f"Kafka ended while starting ({_reason(told)}): see {log}")
        return False

    def _write_properties(self, broker_port: int, controller_port: int) -> Path:
        template = _template_file().read_text(encoding="utf-8")
        lines = [*template.splitlines(), *(f"{name}={value}" for name, value in self._settings.items())]
        filled = Template("\n".join(lines) + "\n").substitute(
            broker_port=broker_port, controller_port=controller_port, log_dir=self._home / "data"
        )
        path = self._home / "server.properties"
        path.touch(mode=0o600)
        path.write_text(filled, encoding="utf-8")
        return path

    def _command(self, java: str, main: str, *arguments: object) -> list[str]:
        return [java, *_JVM, "-cp", f"{self._jars}/*", main, *map(str, arguments)]

    def _format(self, java: str, properties: Path, log: Path, mark: int) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a", 1)
        wanted = ("format", "--ignore-formatted", "--cluster-id", cluster, "--config", properties)
        with log.open("ab") as output:
            done = subprocess.run(
                self._command(java, "kafka.tools.StorageTool", *wanted),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                check=False,
            )
        if done.returncode:
            raise BrokerError(f"Kafka could not format its directory ({_reason(_said_since(log, mark))}): see {log}")

    def _spawn(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        assert self._lock is not None  # noqa: S101 — start() took it
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "sendledger.edges.broker_guard", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(),
                pass_fds=[self._lock.fileno()],
                start_new_session=True,  # Ctrl-C is for the program, which stops its broker last
            )


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        raise BrokerError("no `java` found: install a JDK 17 or later, or set JAVA_HOME or KAFKA_BOOTSTRAP_SERVERS")
    return java


def _template_file() -> Path:
    beside = Path(__file__).with_name("server.properties")  # in an installed wheel
    return beside if beside.is_file() else _CHECKOUT / "server.properties"


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


async def _locked(path: Path, patience: float) -> IO[str]:
    """Take the lock. If its last holder is gone, its broker is still stopping: wait for that. Errors: BrokerError."""
    lock = path.open("a+", encoding="utf-8")
    until = time.monotonic() + patience
    while not _taken(lock):
        holder = _holder(path)
        if time.monotonic() > until or _alive(holder):
            lock.close()
            raise BrokerError(
                f"process {holder or 'unknown'} runs Kafka on {path.parent}: stop it, or set SENDLEDGER_DATA_DIR"
            )
        await asyncio.sleep(_POLL)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


async def _let_go(path: Path, patience: float) -> None:
    """Return when no process of ours holds the lock any more: a JVM that the kernel kills takes a moment."""
    until = time.monotonic() + patience
    with path.open("a+", encoding="utf-8") as lock:
        while not _taken(lock):
            if _holder(path) != str(os.getpid()) or time.monotonic() > until:
                return
            await asyncio.sleep(_POLL)


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()


def _said_since(log: Path, mark: int) -> str:
    with log.open("rb") as file:
        file.seek(mark)
        return file.read(_LONGEST_LOG).decode(errors="replace")


def _reason(told: str) -> str:
    found = re.findall(r"[\w.]*(?:Exception|Error)\b[^\n]*", told)
    return found[-1][:200] if found else "it gave no reason"
