"""Where settings come from: environment over `.env`, secrets from files, hints at slips."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendledger.config import ConfigError, load
from sendledger.environment import unknown_names

LONG = "canary-secret-0123456789abcdef"
OTHER = "canary-other-0123456789abcdef"


def test_the_environment_stands_over_the_env_file(tmp_path: Path) -> None:
    """`.env` fills in what the environment does not say."""
    env = tmp_path / ".env"
    env.write_text("SENDLEDGER_API_PORT=1111\nSENDLEDGER_RECEIVER_PORT=2222\n# no line\n", encoding="utf-8")
    settings = load({"SENDLEDGER_API_PORT": "3333"}, env)
    assert (settings.api_port, settings.receiver_port) == (3333, 2222)


def test_a_missing_env_file_is_an_empty_one(tmp_path: Path) -> None:
    """Nobody has to have a `.env`."""
    assert load({}, tmp_path / ".env").api_port == 8080


@pytest.mark.parametrize("name", ["SENDLEDGER_PROVIDER_API_KEY", "KAFKA_SASL_PASSWORD", "SENDLEDGER_POSTBACK_TOKENS"])
def test_every_secret_can_stand_in_a_file(tmp_path: Path, name: str) -> None:
    """X_FILE gives the content of a file, trimmed, in the place of X."""
    file = tmp_path / "secret"
    file.write_text(f"  {LONG}\n", encoding="utf-8")
    assert load({f"{name}_FILE": str(file)}, None).echo()[name] == "(set)"
    assert load({f"{name}_FILE": str(file)}, None).warnings == ()


def test_the_content_is_what_counts(tmp_path: Path) -> None:
    """The secret is the file's content without the blanks around it."""
    file = tmp_path / "pepper"
    file.write_text(f"\n{LONG} \n", encoding="utf-8")
    assert load({"SENDLEDGER_RECIPIENT_PEPPER_FILE": str(file)}, None).pepper() == LONG.encode()


def test_a_variable_replaces_the_env_file_s_other_form(tmp_path: Path) -> None:
    """X in the environment beats X_FILE in `.env`, and the other way round: no clash is made up."""
    file, env = tmp_path / "pepper", tmp_path / ".env"
    file.write_text(OTHER, encoding="utf-8")
    env.write_text(f"SENDLEDGER_RECIPIENT_PEPPER_FILE={file}\n", encoding="utf-8")
    assert load({"SENDLEDGER_RECIPIENT_PEPPER": LONG}, env).pepper() == LONG.encode()
    env.write_text(f"SENDLEDGER_RECIPIENT_PEPPER={LONG}\n", encoding="utf-8")
    assert load({"SENDLEDGER_RECIPIENT_PEPPER_FILE": str(file)}, env).pepper() == OTHER.encode()


def test_a_file_that_cannot_be_used_is_told_without_its_content(tmp_path: Path) -> None:
    """Missing, empty, binary, or both forms at once: one line with the variable."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.touch()
    binary.write_bytes(b"canary\xff\xfe")
    cases = {
        str(tmp_path / "none"): "SENDLEDGER_PROVIDER_API_KEY_FILE: cannot read the file: No such file or directory",
        str(empty): "SENDLEDGER_PROVIDER_API_KEY_FILE: the file is empty",
        str(binary): "SENDLEDGER_PROVIDER_API_KEY_FILE: cannot read the file: not UTF-8",
    }
    for path, line in cases.items():
        with pytest.raises(ConfigError) as refused:
            load({"SENDLEDGER_PROVIDER_API_KEY_FILE": path}, None)
        assert refused.value.problems == (line,)
    with pytest.raises(ConfigError, match="set it or SENDLEDGER_PROVIDER_API_KEY_FILE, not both"):
        load({"SENDLEDGER_PROVIDER_API_KEY": LONG, "SENDLEDGER_PROVIDER_API_KEY_FILE": str(empty)}, None)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("SENDLEDGER_API_PROT", "SENDLEDGER_API_PROT: no such setting, ignored; did you mean SENDLEDGER_API_PORT?"),
        ("SENDLEDGER_XYZZY_PLUGH", "SENDLEDGER_XYZZY_PLUGH: no such setting, ignored"),
        ("KAFKA_SASL_PASWORD", "KAFKA_SASL_PASWORD: no such setting, ignored; did you mean KAFKA_SASL_PASSWORD?"),
        ("KAFKA_HEAP_OPTS", None),
        ("SENDLEDGER_PARENT_PID", None),
        ("PATH", None),
    ],
)
def test_a_slip_in_a_name_is_pointed_at(name: str, line: str | None) -> None:
    """An unknown variable of ours is told with the closest name; other people's variables are theirs."""
    told = load({name: "canary-value-0123456789abcdef"}, None).warnings
    assert told == (() if line is None else (line,))


def test_hints_are_in_order_and_without_values() -> None:
    """The lines come sorted, so that two starts say the same."""
    told = unknown_names({"SENDLEDGER_B": "canary", "SENDLEDGER_A": "canary"}, ["SENDLEDGER_HOST"])
    assert [line.split(":")[0] for line in told] == ["SENDLEDGER_A", "SENDLEDGER_B"]
    assert "canary" not in "".join(told)
