"""infra/compose.yaml without Docker: settings that the program takes, ports, files and names that fit each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sendledger.config import load

INFRA = Path(__file__).parents[2] / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def settings_of(service: str, directory: Path, provider: str) -> Any:
    """What a service's environment means to the program, with secrets that somebody wrote down."""
    given = dict(SERVICES[service]["environment"])
    given["SENDLEDGER_PROVIDER_URL"] = provider
    for name, path in given.items():
        if name.endswith("_FILE"):
            assert Path(path).name in SERVICES[service]["secrets"]
            secret = directory / Path(path).name
            scope = "admin:" if name == "SENDLEDGER_API_TOKENS_FILE" else ""
            secret.write_text(f"{scope}0123456789abcdef0123456789abcdef")
            given[name] = str(secret)
    return load(given, env_file=None)


def test_the_program_takes_its_settings(tmp_path: Path) -> None:
    """No name that it does not know, nothing that does not fit, with or without a provider; its ports are published."""
    settings = settings_of("sendledger", tmp_path, "https://provider.invalid/")
    assert settings == settings_of("topics", tmp_path, "https://provider.invalid/")
    assert [line for line in settings.warnings if "no such setting" in line] == []
    assert settings.replication_factor == 1
    settings.require("recipient_pepper", "postback_tokens", "api_tokens")  # else receiver and API do not start
    assert settings_of("sendledger", tmp_path, "").provider_url is None
    ports = {line.rpartition(":")[2] for line in SERVICES["sendledger"]["ports"]}
    assert ports == {str(settings.api_port), str(settings.receiver_port), "9090"}
    assert settings.kafka.bootstrap_servers == "kafka:9092"


def test_nothing_is_open_to_the_world() -> None:
    """Every published port is on the loopback address."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_kafka_is_the_one_that_is_tested() -> None:
    """The version of the embedded one, and each of its settings that is not about this machine's size or ports."""
    pom = (INFRA / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.+)</kafka.version>", pom)
    assert version
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version.group(1)}"
    lines = (INFRA / "kafka" / "server.properties").read_text().splitlines()
    embedded = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    given = SERVICES["kafka"]["environment"]
    for name, value in embedded.items():
        known = given.get("KAFKA_" + name.upper().replace(".", "_"))
        if known is not None and "${" not in value and "LISTENERS" not in name.upper():
            assert known == value, name
    assert given["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"] == "1"
    for name in ("auto.create.topics.enable", "log.retention.ms", "log.message.timestamp.type"):
        assert "KAFKA_" + name.upper().replace(".", "_") in given


def test_what_is_named_is_there() -> None:
    """Volumes, secrets, services to wait for, and files of the repository."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = (INFRA / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert there, f"{name}: {volume}"
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
    assert SERVICES["prometheus"]["network_mode"].removeprefix("service:") in SERVICES
    assert (INFRA.parent / SERVICES["sendledger"]["build"]["dockerfile"]).is_file()
    ignored = (INFRA.parent / ".gitignore").read_text() + (INFRA.parent / ".dockerignore").read_text()
    assert ignored.count("infra/secrets") == 2


def test_grafana_gets_what_its_provisioning_asks_for() -> None:
    """Every variable of the provisioning files is set, and the dashboards stand where it looks."""
    grafana = SERVICES["grafana"]
    files = (INFRA / "grafana" / "provisioning").rglob("*.yml")
    asked = {name for file in files for name in re.findall(r"^[^#]*\$([A-Z_]+)", file.read_text(), re.MULTILINE)}
    assert asked == grafana["environment"].keys()
    assert f"../dashboards:{grafana['environment']['DASHBOARDS']}:ro" in grafana["volumes"]
