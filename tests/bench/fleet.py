"""A broker of one's own and the program's roles as real processes beside it: `sendledger run …`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sendledger.config import Settings, load
from sendledger.edges import system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.readiness import until_ready
from sendledger.edges.secrets_file import with_kept_secrets
from sendledger.wiring import Role
from tests.support.instance import Program, environment, running
from tests.support.processes import descendants

_NOBODY = "http://127.0.0.1:9/"
_READY_WITHIN = 90.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Fleet:
    """A broker with topics; `start` adds roles. `settings`: as every role has them."""

    directory: Path
    settings: Settings
    environment: Mapping[str, str]
    stack: AsyncExitStack
    programs: dict[str, Program] = field(default_factory=dict)

    async def start(self, *roles: Role, name: str = "", **over: str) -> None:
        """Start these roles and return when each says that it is ready. `over`: settings without SENDLEDGER_."""
        await asyncio.gather(*(self.launch(role, name=name, **over) for role in roles))
        await self.ready(*roles)

    async def launch(self, role: Role, *, name: str = "", **over: str) -> Program:
        """Start a role and do not wait; `name`: what it is known by here, if not by its role."""
        known = name or role
        given = {**self.environment, **{f"SENDLEDGER_{setting}": value for setting, value in over.items()}}
        run = running(known, "run", role, env=given, directory=self.directory)
        self.programs[known] = await self.stack.enter_async_context(run)
        return self.programs[known]

    async def ready(self, *roles: Role) -> None:
        """Return when each of these is ready. Errors: NotReadyError."""
        ports = {role: self.settings.metrics_port_of(role) for role in roles}
        await until_ready({role: f"http://127.0.0.1:{port}" for role, port in ports.items()}, timeout=_READY_WITHIN)

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far of each role, Kafka, this process (`load`), and all others on the machine."""
        pids = {name: program.process.pid for name, program in self.programs.items()}
        broker = [pid for pid in descendants(os.getpid()) if _command(pid) == "java"]
        used = {name: cpu_seconds(pid) for name, pid in {**pids, "load": os.getpid()}.items()}
        ours = {**used, "kafka": sum(map(cpu_seconds, broker))}
        return {**ours, "elsewhere": _machine_seconds() - sum(ours.values())}


def _machine_seconds() -> float:
    """Processor time of the whole machine since its start, without idling and waiting for disks."""
    first = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0].split()
    user, nice, system, _idle, _waiting, *interrupts = map(int, first[1:8])
    return (user + nice + system + sum(interrupts)) / _TICKS


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def cpu_seconds(pid: int) -> float:
    """Processor time of a living process, user and system; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


@asynccontextmanager
async def fleet(directory: Path, **over: str) -> AsyncIterator[Fleet]:
    """A broker with all topics, and whatever roles are started on it. `over`: settings without SENDLEDGER_."""
    variables = environment(directory / "data", PROVIDER_URL=_NOBODY, PROVIDER_API_KEY="key-of-no-account", **over)
    settings = with_kept_secrets(load(variables, env_file=None))
    async with EmbeddedKafka(settings.data_dir) as broker:
        settings = settings.on(broker.bootstrap_servers)
        await topics.create(settings)
        await system_record.confirm(settings)
        joined = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "SENDLEDGER_EMBEDDED_BROKER": "true"}
        async with AsyncExitStack() as stack:
            yield Fleet(directory, settings, {**variables, **joined}, stack)
