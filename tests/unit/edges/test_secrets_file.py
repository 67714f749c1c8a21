"""The secrets of the embedded default: made once, kept, private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from sendledger.config import ConfigError, Settings, load
from sendledger.edges.secrets_file import with_kept_secrets

OWN = "canary-secret-0123456789abcdef"


def settings(directory: Path, **over: str) -> Settings:
    """Settings of the embedded default on this data directory."""
    return load({"SENDLEDGER_DATA_DIR": str(directory), **over}, None)


def test_first_use_makes_every_secret_and_the_next_one_finds_them(tmp_path: Path) -> None:
    """Pepper, postback token and an admin token are there after the first start and never change."""
    first = with_kept_secrets(settings(tmp_path / "new"))
    assert with_kept_secrets(settings(tmp_path / "new")) == first
    assert [token.scope for token in first.api_tokens] == ["admin"]
    assert len(first.pepper()) >= 32
    assert len(first.postback_tokens[0].get_secret_value()) >= 32


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    """Secrets are made by chance, one set for each data directory."""
    one, two = with_kept_secrets(settings(tmp_path / "one")), with_kept_secrets(settings(tmp_path / "two"))
    assert one.pepper() != two.pepper()
    assert one.postback_tokens != two.postback_tokens
    assert one.api_tokens != two.api_tokens


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    """P8: the file has the mode 0600, and nothing half-written stays beside it."""
    with_kept_secrets(settings(tmp_path))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_given_secret_beats_the_kept_one(tmp_path: Path) -> None:
    """Only what no setting says is filled in."""
    given = with_kept_secrets(settings(tmp_path, SENDLEDGER_RECIPIENT_PEPPER=OWN))
    assert given.recipient_pepper == SecretStr(OWN)
    assert given.api_tokens
    assert with_kept_secrets(settings(tmp_path)).recipient_pepper != SecretStr(OWN)


def test_with_a_kafka_of_one_s_own_nothing_is_made(tmp_path: Path) -> None:
    """A shared log must not depend on a file of one machine."""
    own = settings(tmp_path, KAFKA_BOOTSTRAP_SERVERS="one:9092", SENDLEDGER_RECIPIENT_PEPPER=OWN)
    assert with_kept_secrets(own) == own
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recipient_pepper": "canary"}', "canary"])
def test_a_damaged_file_is_told_and_never_replaced(tmp_path: Path, content: str) -> None:
    """A new pepper would make every number of the log unknown: the owner has to decide."""
    (tmp_path / "secrets.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"SENDLEDGER_DATA_DIR: .*secrets\.json is damaged") as refused:
        with_kept_secrets(settings(tmp_path))
    assert "canary" not in str(refused.value)
    assert (tmp_path / "secrets.json").read_text(encoding="utf-8") == content


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A data directory that is a file is one clear line."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="SENDLEDGER_DATA_DIR: cannot use"):
        with_kept_secrets(settings(tmp_path / "file"))
