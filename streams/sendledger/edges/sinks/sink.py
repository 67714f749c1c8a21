"""What a sink is told, and how it says that it cannot go on."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

PATIENCE = 60.0


class SinkError(Exception):
    """The sink cannot go on, and trying again would not help. The message says why and what to do."""


@dataclass(frozen=True)
class Sink:
    """What to keep where. `once`: only to the ends that the topics have at the start."""

    dsn: SecretStr
    schema: str = "sendledger"
    create: bool = False
    once: bool = False
    patience: float = PATIENCE
    """Seconds for which the database may be away before the sink gives up."""
