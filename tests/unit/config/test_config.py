"""Settings: names, defaults, refusals, and that no secret is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from sendledger.config import ROLES, ConfigError, KafkaSettings, Settings, load
from sendledger.setting_types import ApiToken

LONG = "canary-secret-0123456789abcdef"
OWN_KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9093", "SENDLEDGER_RECIPIENT_PEPPER": LONG}
SECRETS = {
    "KAFKA_SASL_PASSWORD": LONG,
    "KAFKA_SSL_PASSWORD": LONG,
    "SENDLEDGER_PROVIDER_API_KEY": LONG,
    "SENDLEDGER_RECIPIENT_PEPPER": LONG,
    "SENDLEDGER_POSTBACK_TOKENS": f"{LONG},{LONG}2",
    "SENDLEDGER_RECEIVER_BASIC_AUTH": f"one:{LONG},two:{LONG}2",
    "SENDLEDGER_API_TOKENS": f"read:{LONG},admin:{LONG}2",
}


def problems(environ: dict[str, str]) -> list[str]:
    """The lines with which these settings are refused."""
    with pytest.raises(ConfigError) as refused:
        load(environ, None)
    return list(refused.value.problems)


def test_nothing_has_to_be_set() -> None:
    """The embedded default starts without any variable, with the design's defaults."""
    settings = load({}, None)
    assert settings.embedded
    assert settings.kafka == KafkaSettings()
    assert (settings.host, settings.api_port, settings.receiver_port) == ("127.0.0.1", 8080, 8081)
    assert (settings.partitions, settings.replication_factor) == (8, 1)
    assert settings.data_dir == Path("~/.local/share/sendledger").expanduser()
    assert settings.log_retention_days is None
    assert settings.halt_failure_share is None


def test_metrics_ports_follow_the_design_s_order() -> None:
    """The base port is the sender's, the next four are receiver, fold, merge and api."""
    settings = load({"SENDLEDGER_METRICS_PORT": "9000"}, None)
    assert [settings.metrics_port_of(role) for role in ROLES] == [9000, 9001, 9002, 9003, 9004]
    assert ROLES == ("sender", "receiver", "fold", "merge", "api")


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("SENDLEDGER_PROVIDER_URL", "https://api.example/sms", "provider_url", "https://api.example/sms"),
        ("SENDLEDGER_PROVIDER_TIMEOUT", "12.5", "provider_timeout", 12.5),
        ("SENDLEDGER_SEND_RATE", "250", "send_rate", 250.0),
        ("SENDLEDGER_HALT_FAILURE_SHARE", "0.5", "halt_failure_share", 0.5),
        ("SENDLEDGER_DEFAULT_REGION", "de", "default_region", "DE"),
        ("SENDLEDGER_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("SENDLEDGER_DATA_DIR", "~/x", "data_dir", Path("~/x").expanduser()),
        ("SENDLEDGER_PARTITIONS", "32", "partitions", 32),
        ("SENDLEDGER_LOG_RETENTION_DAYS", "90", "log_retention_days", 90.0),
        ("SENDLEDGER_SESSION_TIMEOUT", "45", "session_timeout", 45.0),
        ("SENDLEDGER_FOLD_SLOT", "2", "fold_slot", 2),
        ("SENDLEDGER_API_PORT", "  ", "api_port", 8080),
        ("sendledger_api_port", "8888", "api_port", 8888),
    ],
)
def test_each_variable_sets_its_field(name: str, text: str, field: str, value: object) -> None:
    """A setting has the variable's name without its prefix; an empty one counts as not set."""
    assert getattr(load({name: text}, None), field) == value


def test_kafka_has_its_customary_names(tmp_path: Path) -> None:
    """The KAFKA_ variables that other programs use work here too."""
    file = tmp_path / "x.pem"
    file.touch()
    kafka = load(
        {
            **OWN_KAFKA,
            "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "KAFKA_SASL_MECHANISM": "scram-sha-512",
            "KAFKA_SASL_USERNAME": "app",
            "KAFKA_SASL_PASSWORD": LONG,
            "KAFKA_SSL_CAFILE": str(file),
            "KAFKA_SSL_CERTFILE": str(file),
            "KAFKA_SSL_KEYFILE": str(file),
            "KAFKA_SSL_PASSWORD": LONG,
            "KAFKA_SSL_CHECK_HOSTNAME": "false",
        },
        None,
    ).kafka
    assert kafka == KafkaSettings(
        bootstrap_servers="one:9092, two:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="app",
        sasl_password=SecretStr(LONG),
        ssl_cafile=file,
        ssl_certfile=file,
        ssl_keyfile=file,
        ssl_password=SecretStr(LONG),
        ssl_check_hostname=False,
    )


def test_defaults_that_follow_other_settings() -> None:
    """The receiver listens where all do, the spool lies in the data directory, a cluster keeps three copies."""
    settings = load({**OWN_KAFKA, "SENDLEDGER_HOST": "0.0.0.0", "SENDLEDGER_DATA_DIR": "/data"}, None)  # noqa: S104
    assert settings.receiver_host == "0.0.0.0"  # noqa: S104
    assert settings.spool_dir == Path("/data/spool")
    assert settings.replication_factor == 3
    assert load({**OWN_KAFKA, "SENDLEDGER_REPLICATION_FACTOR": "2"}, None).replication_factor == 2


def test_on_the_own_broker_stays_embedded() -> None:
    """What `up` tells its roles by variables is the same as what `on` makes: one node, no pepper to be asked for."""
    here = load({}, None).on("127.0.0.1:1")
    told = load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SENDLEDGER_EMBEDDED_BROKER": "true"}, None)
    assert here == told
    assert here.embedded
    assert here.replication_factor == 1


def test_tokens_are_parsed_with_their_scopes() -> None:
    """Several tokens stand with commas between; an API token has its scope before a colon."""
    settings = load(SECRETS, None)
    assert settings.api_tokens == (
        ApiToken(scope="read", token=SecretStr(LONG)),
        ApiToken(scope="admin", token=SecretStr(f"{LONG}2")),
    )
    assert [token.get_secret_value() for token in settings.postback_tokens] == [LONG, f"{LONG}2"]
    assert settings.pepper() == LONG.encode()


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"SENDLEDGER_API_PORT": "http"}, "SENDLEDGER_API_PORT: Input should be a valid integer"),
        ({"SENDLEDGER_API_PORT": "70000"}, "SENDLEDGER_API_PORT: Input should be less than or equal to 65535"),
        ({"SENDLEDGER_API_PORT": "8081"}, "SENDLEDGER_API_PORT, SENDLEDGER_RECEIVER_PORT, SENDLEDGER_METRICS_PORT"),
        ({"SENDLEDGER_RECEIVER_PORT": "9468"}, "SENDLEDGER_API_PORT, SENDLEDGER_RECEIVER_PORT"),
        ({"SENDLEDGER_SEND_RATE": "0"}, "SENDLEDGER_SEND_RATE: Input should be greater than 0"),
        ({"SENDLEDGER_SEND_RATE": "nan"}, "SENDLEDGER_SEND_RATE: "),
        ({"SENDLEDGER_DEFAULT_EXPIRY_HOURS": "inf"}, "SENDLEDGER_DEFAULT_EXPIRY_HOURS: Input should be a finite"),
        ({"SENDLEDGER_HALT_FAILURE_SHARE": "50"}, "SENDLEDGER_HALT_FAILURE_SHARE: Input should be less than"),
        ({"SENDLEDGER_PROVIDER_URL": "ftp://x"}, "SENDLEDGER_PROVIDER_URL: must be an address"),
        ({"SENDLEDGER_PROVIDER_URL": f"https://u:{LONG}@x/"}, "SENDLEDGER_PROVIDER_URL: must not carry a user"),
        (
            {"SENDLEDGER_PROVIDER_API_KEY": "canary\nkey"},
            "SENDLEDGER_PROVIDER_API_KEY: must be printable characters on",
        ),
        ({"SENDLEDGER_PROVIDER_API_KEY": "canary\x1b[0m"}, "SENDLEDGER_PROVIDER_API_KEY: must be printable"),
        ({"SENDLEDGER_DEFAULT_REGION": "Germany"}, "SENDLEDGER_DEFAULT_REGION: "),
        ({"SENDLEDGER_POSTBACK_TOKENS": "canary-short"}, "SENDLEDGER_POSTBACK_TOKENS: a token has at least 22"),
        ({"SENDLEDGER_API_TOKENS": LONG}, "SENDLEDGER_API_TOKENS: entry 1 is not scope:token"),
        ({"SENDLEDGER_API_TOKENS": f"read:{LONG},root:{LONG}"}, "SENDLEDGER_API_TOKENS: entry 2 is not scope:token"),
        ({"SENDLEDGER_RECIPIENT_PEPPER": "canary"}, "SENDLEDGER_RECIPIENT_PEPPER: must have at least 22 characters"),
        ({"SENDLEDGER_LOG_RETENTION_DAYS": "7"}, "SENDLEDGER_LOG_RETENTION_DAYS: must exceed"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "one"}, "KAFKA_BOOTSTRAP_SERVERS: must be host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "one:1"}, "SENDLEDGER_RECIPIENT_PEPPER: must be set with KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL'"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "a"}, "KAFKA_SASL_PASSWORD: must be set with"),
        ({"KAFKA_SSL_CAFILE": "/no/such"}, "KAFKA_SSL_CAFILE: there is no file /no/such"),
        ({"KAFKA_SSL_KEYFILE": __file__}, "KAFKA_SSL_CERTFILE: must be set with KAFKA_SSL_KEYFILE"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_variable(environ: dict[str, str], line: str) -> None:
    """Each refusal names the variable and the reason, and never quotes a secret."""
    (told,) = problems(environ)
    assert told.startswith(line)
    assert "canary" not in told
    assert "\n" not in told


IN_CLEAR = "http://provider.example/sms"
PROVIDERS = [
    # address, SENDLEDGER_PROVIDER_ALLOW_HTTP, why it is refused
    ("https://provider.example/sms?version=1.3", None, None),
    (IN_CLEAR, None, "must be https"),
    (IN_CLEAR, "false", "must be https"),
    (IN_CLEAR, "true", None),
    ("HTTP://provider.example/", None, "must be https"),
    ("http://10.0.0.7/", None, "must be https"),
    ("http://[2001:db8::1]/", None, "must be https"),
    ("http://127.0.0.1.nip.example/", None, "must be https"),
    ("http://localhost.example/", None, "must be https"),
    ("http://localhost:8090/", None, None),
    ("http://127.0.0.1:8090/", None, None),
    ("http://127.8.8.8/", None, None),
    ("http://[::1]:8090/", None, None),
    ("https://provider.example/?action=sendsms&API_KEY=canary", None, "must not carry a key"),
    ("https://provider.example/?apikey=", None, "must not carry a key"),
    (f"https://provider.example/{LONG}/sms", None, "must not carry a key"),
    (f"https://provider.example/sms#{LONG.replace('-', '%2D')}", None, "must not carry a key"),
    ("http://127.0.0.1/?password=canary", "true", "must not carry a key"),
]


@pytest.mark.parametrize(("url", "allowed", "refused"), PROVIDERS)
def test_the_key_goes_over_https_and_not_in_the_address(url: str, allowed: str | None, refused: str | None) -> None:
    """Plain http is for this machine, or for who says so; an address that holds the key is refused."""
    given = {"SENDLEDGER_PROVIDER_URL": url, "SENDLEDGER_PROVIDER_API_KEY": LONG}
    given |= {"SENDLEDGER_PROVIDER_ALLOW_HTTP": allowed} if allowed else {}
    if refused is None:
        assert load(given, None).provider_url == url
        return
    (told,) = problems(given)
    assert told.startswith(f"SENDLEDGER_PROVIDER_URL: {refused}")
    assert "canary" not in told


def test_who_sends_in_the_clear_is_warned() -> None:
    """The explicit setting is answered with a line at each start; without need of it there is none."""
    given = {"SENDLEDGER_PROVIDER_ALLOW_HTTP": "true"}
    (warning,) = load({**given, "SENDLEDGER_PROVIDER_URL": IN_CLEAR}, None).warnings
    assert "plain http" in warning
    assert load({**given, "SENDLEDGER_PROVIDER_URL": "https://provider.example/"}, None).warnings == ()


def test_a_key_has_no_blanks_around_it() -> None:
    """Blanks around a key belong to the file or the shell, not to the key."""
    key = load({"SENDLEDGER_PROVIDER_API_KEY": f" {LONG}\n"}, None).provider_api_key
    assert key == SecretStr(LONG)


def test_all_wrong_settings_are_told_at_once() -> None:
    """Who has made three mistakes is told three lines, not one at a time."""
    told = problems({"KAFKA_BOOTSTRAP_SERVERS": "x", "SENDLEDGER_API_PORT": "x", "SENDLEDGER_API_TOKENS": "x"})
    assert {line.split(":")[0] for line in told} == {
        "KAFKA_BOOTSTRAP_SERVERS",
        "SENDLEDGER_API_PORT",
        "SENDLEDGER_API_TOKENS",
    }


def test_no_secret_is_shown() -> None:
    """P8: neither repr, str, echo nor an error of these settings contains a secret."""
    settings = load(SECRETS, None)
    shown = [repr(settings), str(settings), repr(settings.echo()), repr(settings.kafka), repr(settings.api_tokens)]
    assert "canary" not in "".join(shown)
    with pytest.raises(ConfigError) as refused:
        load({**SECRETS, "SENDLEDGER_API_PORT": "x", "SENDLEDGER_API_TOKENS": f"{LONG}:read"}, None)
    assert "canary" not in repr(refused.value) + str(refused.value)


def test_echo_tells_every_variable_and_only_whether_a_secret_is_set() -> None:
    """The echo is the whole configuration: variables with values, secrets as (set) or (not set)."""
    told = load(SECRETS, None).echo()
    assert set(SECRETS) <= set(told)
    assert {told[name] for name in SECRETS} == {"(set)"}
    assert told["SENDLEDGER_API_PORT"] == "8080"
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "(not set)"
    fields = {f"SENDLEDGER_{name.upper()}" for name in Settings.model_fields} - {
        "SENDLEDGER_KAFKA",
        "SENDLEDGER_WARNINGS",
    }
    assert set(told) == fields | {f"KAFKA_{name.upper()}" for name in KafkaSettings.model_fields}


def test_every_secret_type_counts_as_a_secret() -> None:
    """The fields that echo hides are exactly the ones that hold secrets."""
    told = load(SECRETS, None).echo()
    assert {name for name, value in told.items() if value == "(set)"} == set(SECRETS)


def test_require_names_each_missing_setting() -> None:
    """A role that needs settings says all of them at once."""
    with pytest.raises(ConfigError) as refused:
        load({}, None).require("provider_url", "provider_api_key", "host", "api_tokens")
    assert refused.value.problems == (
        "SENDLEDGER_PROVIDER_URL: must be set",
        "SENDLEDGER_PROVIDER_API_KEY: must be set",
        "SENDLEDGER_API_TOKENS: must be set",
    )


def test_a_cut_of_the_log_is_warned_of() -> None:
    """A retention is allowed, with a warning that says what it costs."""
    (warning,) = load({"SENDLEDGER_LOG_RETENTION_DAYS": "30"}, None).warnings
    assert "older than 30 days is deleted" in warning
    assert load({}, None).warnings == ()


def test_settings_never_look_at_the_environment_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only load() reads the process's environment; a Settings made by hand is what it was given."""
    monkeypatch.setitem(os.environ, "SENDLEDGER_API_PORT", "9999")
    assert Settings().api_port == 8080
    assert load(env_file=None).api_port == 9999
