"""Every setting, typed, with its default and its unit, in one place (DESIGN §8).

A setting `x` is the variable `SENDLEDGER_X`; Kafka's have their customary names `KAFKA_…`. `load` is the only door:
making a `Settings` never looks at the environment behind one's back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sendledger import setting_types
from sendledger.environment import FILE_SUFFIX, merged, read_secret_files, unknown_names, values_of
from sendledger.setting_types import (
    ApiTokens,
    BasicPairs,
    Networks,
    Pepper,
    PlainPath,
    Port,
    PostbackTokens,
    PostgresDsn,
    ProviderKey,
    Url,
)

ROLES = ("sender", "receiver", "fold", "merge", "api")
_HOURS_OF_DAY = 24


class ConfigError(Exception):
    """Settings that cannot be used: one line each, naming the variable and never a secret's value. Exit code 2."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Given(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, enable_decoding=False, allow_inf_nan=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: see the module's first lines."""
        return (init_settings,)


class KafkaSettings(_Given):
    """How to reach Kafka. Without `bootstrap_servers` the program starts its own."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: PlainPath | None = None
    ssl_certfile: PlainPath | None = None
    ssl_keyfile: PlainPath | None = None
    ssl_password: SecretStr | None = None
    ssl_check_hostname: bool = True

    @field_validator("security_protocol", "sasl_mechanism", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        for server in (value or "").split(",") if value else ():
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit():
                raise ValueError("must be host:port, several with commas between")
        return value

    def problems(self) -> list[str]:
        """What does not fit together, one line each."""
        lines = []
        if self.security_protocol.startswith("SASL"):
            lines += [
                f"{variable(name, 'KAFKA_')}: must be set with KAFKA_SECURITY_PROTOCOL={self.security_protocol}"
                for name in ("sasl_username", "sasl_password")
                if getattr(self, name) is None
            ]
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                lines.append(f"KAFKA_{name.upper()}: there is no file {path}")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            lines.append("KAFKA_SSL_CERTFILE: must be set with KAFKA_SSL_KEYFILE")
        return lines


class Settings(_Given):
    """All settings. Secrets are `SecretStr`; times carry their unit in their name or here."""

    model_config = SettingsConfigDict(env_prefix="SENDLEDGER_")

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    warnings: tuple[str, ...] = ()

    # the provider
    provider_url: Url | None = None
    provider_api_key: ProviderKey | None = None
    provider_allow_http: bool = False  # else only https, or http to this machine
    provider_timeout: Annotated[float, Field(gt=0, le=600)] = 30.0  # seconds, a whole call
    send_rate: Annotated[float, Field(gt=0, le=10_000)] = 10.0  # messages/s of the account: raise it to your contract's
    sender_concurrency: Annotated[int, Field(ge=1, le=1_000)] = 64  # calls in flight in one process
    halt_failure_share: Annotated[float, Field(gt=0, lt=1)] | None = None  # of a campaign's answers; above it: halted
    halt_min_answers: Annotated[int, Field(ge=1)] = 100  # before which no share halts a campaign
    default_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None  # ISO 3166, for numbers with a leading 0
    default_expiry_hours: Annotated[float, Field(gt=0)] = 7.0 * _HOURS_OF_DAY

    # secrets of this installation
    recipient_pepper: Pepper | None = None
    postback_tokens: PostbackTokens = ()
    api_tokens: ApiTokens = ()
    api_rate_limit: Annotated[float, Field(ge=0)] = 100.0  # requests/s of one token; 0 = no limit

    postgres_dsn: PostgresDsn | None = None  # of `sink postgres`; it holds a password

    # addresses
    host: str = "127.0.0.1"
    api_port: Port = 8080
    receiver_host: str = "127.0.0.1"  # else as host
    receiver_port: Port = 8081
    receiver_basic_auth: BasicPairs = ()  # user:password; what a postback must carry beside the token
    receiver_allow_from: Networks = ()  # where postbacks may come from; () = from anywhere
    receiver_proxies: Networks = ()  # whose X-Forwarded-For is believed
    receiver_name: str = Field(default_factory=socket.gethostname)
    metrics_port: Annotated[int, Field(ge=1, le=65531)] = 9464  # sender; receiver, fold, merge, api: the next four
    sink_metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9469  # of a sink that follows the topics; 0 = none
    metrics_campaigns: Annotated[int, Field(ge=0, le=1_000)] = 50  # the newest that are not over have a label
    public_url: Url | None = None  # how the provider reaches the receiver; for `postback-url`

    # the disk
    data_dir: PlainPath = Path("~/.local/share/sendledger")
    spool_dir: PlainPath = Path("spool")  # else data_dir/spool; it holds personal data
    spool_max_mb: Annotated[int, Field(ge=1)] = 1024
    kafka_jars: PlainPath | None = None  # None = infra/kafka/lib of the checkout

    # the log
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 8
    embedded_broker: bool = (
        False  # `up` tells it to the roles that it starts: KAFKA_BOOTSTRAP_SERVERS is its own broker
    )
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1  # else 3 on a Kafka of one's own
    log_retention_days: Annotated[float, Field(gt=0)] | None = None  # None = for ever
    dead_letter_retention_days: Annotated[float, Field(gt=0)] = 14.0
    session_timeout: Annotated[float, Field(ge=1, le=300)] = 6.0  # seconds until a silent worker loses its partitions
    fold_slot: Annotated[int, Field(ge=0, le=999)] = 0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("log_level", "default_region", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_follow(cls, given: dict[str, Any]) -> dict[str, Any]:
        kafka = given.get("kafka")
        foreign = isinstance(kafka, KafkaSettings) and kafka.bootstrap_servers and not given.get("embedded_broker")
        data_dir = Path(given.get("data_dir", cls.model_fields["data_dir"].default))
        follow = {
            "receiver_host": given.get("host", cls.model_fields["host"].default),
            "spool_dir": data_dir / "spool",
            "replication_factor": 3 if foreign else 1,
        }
        return {**follow, **given}

    @property
    def embedded(self) -> bool:
        """Whether the broker is the program's own: still to be started, or joined by `on`."""
        return self.embedded_broker or self.kafka.bootstrap_servers is None

    def on(self, bootstrap_servers: str) -> Settings:
        """These settings on the program's own broker, which listens there."""
        return self.model_copy(
            update={"kafka": KafkaSettings(bootstrap_servers=bootstrap_servers), "embedded_broker": True}
        )

    def metrics_port_of(self, role: str) -> int:
        """The port on which a role tells its metrics."""
        return self.metrics_port + ROLES.index(role)

    def pepper(self) -> bytes:
        """The key of the recipients' hash. Errors: ConfigError if there is none."""
        self.require("recipient_pepper")
        return self.recipient_pepper.get_secret_value().encode() if self.recipient_pepper else b""

    def require(self, *names: str) -> None:
        """Errors: ConfigError with a line for each of these settings that is not set."""
        if missing := [f"{variable(name)}: must be set" for name in names if getattr(self, name) in (None, ())]:
            raise ConfigError(missing)

    def echo(self) -> dict[str, str]:
        """Each variable with its value; of a secret only whether it is set."""
        return {
            variable(name, prefix): _shown(getattr(part, name), secret=name in _secret_fields(type(part)))
            for prefix, part in (("KAFKA_", self.kafka), ("SENDLEDGER_", self))
            for name in _names(type(part))
        }

    def problems(self) -> list[str]:
        """What does not fit together, one line each."""
        url, key = self.provider_url or "", self.provider_api_key
        lines = [*self.kafka.problems(), *setting_types.provider_problems(url, key, in_clear=self.provider_allow_http)]
        if not self.embedded and self.recipient_pepper is None:
            once = "must be set with KAFKA_BOOTSTRAP_SERVERS, the same for every role for ever"
            lines.append(f"SENDLEDGER_RECIPIENT_PEPPER: {once}")
        if self.receiver_proxies and not self.receiver_allow_from:
            lines.append("SENDLEDGER_RECEIVER_PROXIES: says nothing without SENDLEDGER_RECEIVER_ALLOW_FROM")
        metrics = range(self.metrics_port, self.metrics_port + len(ROLES))
        if self.api_port == self.receiver_port or self.api_port in metrics or self.receiver_port in metrics:
            names = ", ".join(map(variable, ("api_port", "receiver_port", "metrics_port")))
            lines.append(f"{names} (and the next four): must differ")
        days = self.log_retention_days
        if days is not None and days * _HOURS_OF_DAY < self.default_expiry_hours + _HOURS_OF_DAY:
            why = "must exceed SENDLEDGER_DEFAULT_EXPIRY_HOURS by a day, or a message could be sent twice"
            lines.append(f"SENDLEDGER_LOG_RETENTION_DAYS: {why}")
        return lines


def variable(name: str, prefix: str = "SENDLEDGER_") -> str:
    """The environment variable of a field."""
    return prefix + name.upper()


def _names(part: type[BaseSettings]) -> list[str]:
    return [name for name in part.model_fields if name not in ("kafka", "warnings")]


def _secret_fields(part: type[BaseSettings]) -> set[str]:
    return {name for name, field in part.model_fields.items() if "Secret" in str(field) or "ApiToken" in str(field)}


def _shown(value: object, *, secret: bool) -> str:
    if value is None or value == ():
        return "(not set)"
    if secret:
        return "(set)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _faults(error: ValidationError, prefix: str) -> list[str]:
    return [
        f"{variable(str(fault['loc'][0]), prefix)}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_input=False, include_url=False)
    ]


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. `environ`: None = the process's environment; `env_file`: None = no file.

    Errors: ConfigError with one line for each wrong setting.
    """
    given = merged(os.environ if environ is None else environ, env_file)
    parts: tuple[tuple[str, type[BaseSettings]], ...] = (("KAFKA_", KafkaSettings), ("SENDLEDGER_", Settings))
    secrets = [variable(name, prefix) for prefix, part in parts for name in sorted(_secret_fields(part))]
    known = [variable(name, prefix) for prefix, part in parts for name in _names(part)]
    filled, problems = read_secret_files(given, secrets)
    made: dict[str, Any] = {"warnings": tuple(unknown_names(given, [*known, *(s + FILE_SUFFIX for s in secrets)]))}
    try:
        made["kafka"] = KafkaSettings(**values_of(KafkaSettings, filled))
    except ValidationError as error:
        problems += _faults(error, "KAFKA_")
    try:
        settings = Settings(**{**values_of(Settings, filled), "kafka": KafkaSettings(), **made})
    except ValidationError as error:
        raise ConfigError(problems + _faults(error, "SENDLEDGER_")) from None
    if problems := problems + settings.problems():
        raise ConfigError(problems)
    return settings.model_copy(update={"warnings": (*settings.warnings, *_costs(settings))})


def _costs(settings: Settings) -> list[str]:
    found = []
    if setting_types.leaves_in_the_clear(settings.provider_url or ""):
        found.append("SENDLEDGER_PROVIDER_ALLOW_HTTP: the key, numbers and texts go over plain http")
    if settings.log_retention_days is None:
        return found
    cut = f"SENDLEDGER_LOG_RETENTION_DAYS: what is older than {settings.log_retention_days:g} days is deleted"
    return [*found, f"{cut}; numbers of campaigns that began before are archived and can no longer be verified"]
