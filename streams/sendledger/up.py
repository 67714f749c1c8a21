"""One instance of the whole program: a broker if there is none, the topics, and every role as a child process.

Start                                     Why in this place
 1. the lock on the data directory        a second instance would fight for broker, stores and ports
 2. the broker (unless one is given)      everything else talks only through it
 3. topics and system record              no role may start on a log of another shape or with another pepper
    the API's first token                 the API does not start without one, and it is told only once it can be used
 4. merge, fold                           they tail the log; who asks for numbers early gets them early
 5. receiver                              it listens before the first call that could make the provider answer it
 6. sender                                only now may a call go out
 7. api                                   last, so that what it accepts is worked on at once
 8. the file for the CLI's verbs          it tells of an instance that is there
Stop
 1. the file                              nobody joins an instance that ends
 2. api                                   nothing new comes in
 3. sender                                finishes the calls in flight and writes their responses
 4. receiver                              listened as long as calls were made
 5. fold, merge                           they have seen what the others wrote
 6. the broker                            last: all of the above write to it until their end
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import SecretStr

from sendledger.config import Settings
from sendledger.edges import kafka, system_record, topics
from sendledger.edges.embedded_kafka import EmbeddedKafka
from sendledger.edges.running import announce, only_instance, withdraw
from sendledger.edges.secrets_file import first_token, with_kept_secrets
from sendledger.edges.supervisor import Program, Supervisor
from sendledger.wiring import ROLES, Role

START_ORDER: tuple[Role, ...] = ("merge", "fold", "receiver", "sender", "api")
STOP_ORDER: tuple[Role, ...] = ("api", "sender", "receiver", "fold", "merge")
ROLES_VARIABLE = "SENDLEDGER_PARENT_ROLES"
"""Tells the children which roles run beside them: `/readyz` of the API answers for all of them."""
LIVE_PAGE = "live page"
"""Its name among the addresses."""

Tell = Callable[[str], None]
log = structlog.get_logger()


@dataclass(frozen=True)
class Instance:
    """A running instance. `settings` are complete: the broker and the secrets are filled in.

    `token`: the admin token that this start made, to be told this once; None where there was a token already.
    """

    settings: Settings
    supervisor: Supervisor
    roles: tuple[Role, ...]
    token: SecretStr | None = None

    def readiness(self) -> dict[str, str]:
        """Role → the address that tells whether it is ready."""
        return {role: f"http://{self.settings.host}:{self.settings.metrics_port_of(role)}" for role in self.roles}


def roles_for(settings: Settings) -> tuple[Role, ...]:
    """All roles; without the sender where nobody said whom to send to."""
    can_send = settings.provider_url is not None and settings.provider_api_key is not None
    return tuple(role for role in ROLES if can_send or role != "sender")


def addresses(settings: Settings) -> dict[str, str]:
    """What one can look at, by name; no tokens."""
    host = settings.host
    api = f"http://{host}:{settings.api_port}"
    return {
        LIVE_PAGE: f"{api}/",
        "api": api,
        "api description": f"{api}/openapi.json",
        "receiver": f"http://{settings.receiver_host}:{settings.receiver_port}/postbacks/…",
        "kafka": settings.kafka.bootstrap_servers or "",
    } | {f"metrics of {role}": f"http://{host}:{settings.metrics_port_of(role)}/metrics" for role in ROLES}


@asynccontextmanager
async def broker_of(settings: Settings) -> AsyncIterator[tuple[Settings, EmbeddedKafka | None]]:
    """The settings with a broker and the installation's secrets, and the broker if it is our own.

    Errors: BrokerError, ConfigError.
    """
    complete = with_kept_secrets(settings)
    if not settings.embedded:
        await kafka.wait_for_broker(settings.kafka, log)
        yield complete, None
        return
    async with EmbeddedKafka(settings.data_dir, settings.kafka_jars) as broker:
        yield complete.on(broker.bootstrap_servers), broker


async def prepare(settings: Settings) -> None:
    """Topics and system record as they must be. Errors: TopicsError, OtherSystemError, KafkaError."""
    if settings.embedded:
        await topics.create(settings)
    elif problems := await topics.check(settings):
        raise topics.TopicsError([*problems, "`sendledger topics create` makes what is missing"])
    await system_record.confirm(settings)


@dataclass(frozen=True)
class Surroundings:
    """Of the child processes: they read their settings from `environment`, in `directory` (None: here).

    `output`: a folder for a log file each (None: the parent's stderr).
    """

    environment: Mapping[str, str] = field(repr=False)
    directory: Path | None = None
    output: Path | None = None


@asynccontextmanager
async def running(
    settings: Settings, roles: Sequence[Role], around: Surroundings, tell: Tell
) -> AsyncIterator[Instance]:
    """The whole instance while the context lasts; start and stop as this file's first lines say.

    The context begins before all roles are ready.
    Errors: AlreadyRunningError, BrokerError, ConfigError, TopicsError, OtherSystemError, KafkaError.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(only_instance(settings.data_dir))
        tell("starting Kafka" if settings.embedded else "looking for Kafka")
        complete, broker = await stack.enter_async_context(broker_of(settings))
        tell("preparing topics")
        await prepare(complete)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.stop_all, STOP_ORDER)
        if broker is not None:
            supervisor.depend_on("kafka", broker.ended())
        ordered = tuple(role for role in START_ORDER if role in roles)
        instance = Instance(complete, supervisor, ordered, first_token(complete))
        tell(f"starting {', '.join(instance.roles)}")
        for role in instance.roles:
            await supervisor.start(_program(role, instance, around))
        announce(
            settings.data_dir,
            bootstrap_servers=complete.kafka.bootstrap_servers or "",
            embedded=complete.embedded,
            urls=addresses(complete),
        )
        stack.callback(withdraw, settings.data_dir)
        yield instance


def _program(role: Role, instance: Instance, around: Surroundings) -> Program:
    over = {ROLES_VARIABLE: ",".join(instance.roles)}
    settings = instance.settings
    if settings.embedded:
        # The secrets are not handed over: each role reads them from the data directory itself.
        over |= {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "",
            "SENDLEDGER_EMBEDDED_BROKER": "true",
        }
    return Program(
        name=role,
        command=(sys.executable, "-m", "sendledger", "run", role),
        environment={**around.environment, **over},
        output=None if around.output is None else around.output / f"{role}.log",
        directory=around.directory,
    )
