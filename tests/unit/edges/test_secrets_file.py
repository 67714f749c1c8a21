"""The secrets of the embedded default: made once, kept, private."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from sendledger.config import ConfigError, Settings, load
from sendledger.edges import token_file
from sendledger.edges.api.auth import Tokens
from sendledger.edges.secrets_file import first_token, with_kept_secrets
from sendledger.edges.token_file import TokenFile

OWN = "canary-secret-0123456789abcdef"


def settings(directory: Path, **over: str) -> Settings:
    """Settings of the embedded default on this data directory."""
    return load({"SENDLEDGER_DATA_DIR": str(directory), **over}, None)


def test_first_use_makes_every_secret_and_the_next_one_finds_them(tmp_path: Path) -> None:
    """Pepper and postback token are there after the first start and never change."""
    first = with_kept_secrets(settings(tmp_path / "new"))
    assert with_kept_secrets(settings(tmp_path / "new")) == first
    assert first.api_tokens == ()
    assert len(first.pepper()) >= 32
    assert len(first.postback_tokens[0].get_secret_value()) >= 32


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    """Secrets are made by chance, one set for each data directory."""
    one, two = with_kept_secrets(settings(tmp_path / "one")), with_kept_secrets(settings(tmp_path / "two"))
    assert one.pepper() != two.pepper()
    assert one.postback_tokens != two.postback_tokens
    assert first_token(one) != first_token(two)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    """P8: the file has the mode 0600, and nothing half-written stays beside it."""
    with_kept_secrets(settings(tmp_path))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_given_secret_beats_the_kept_one(tmp_path: Path) -> None:
    """Only what no setting says is filled in."""
    given = with_kept_secrets(settings(tmp_path, SENDLEDGER_RECIPIENT_PEPPER=OWN))
    assert given.recipient_pepper == SecretStr(OWN)
    assert given.postback_tokens
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


def scope_of(directory: Path, token: str) -> str | None:
    """What the API lets a token do."""
    return getattr(Tokens([], TokenFile(directory)).caller(token), "scope", None)


def test_the_first_start_makes_an_admin_token_that_no_file_holds(tmp_path: Path) -> None:
    """It is told once: the next start makes none, and what is on the disk is a hash."""
    made = first_token(settings(tmp_path))
    assert made is not None
    assert scope_of(tmp_path, made.get_secret_value()) == "admin"
    assert first_token(settings(tmp_path)) is None
    assert not any(made.get_secret_value() in file.read_text() for file in tmp_path.iterdir())
    assert made.get_secret_value() not in repr(made)


def test_none_is_made_where_there_is_another_way_in(tmp_path: Path) -> None:
    """A token of the settings, one of `sendledger token`, or a Kafka of one's own: nothing is made, nothing told."""
    assert first_token(settings(tmp_path / "a", SENDLEDGER_API_TOKENS=f"read:{OWN}")) is None
    token_file.make(tmp_path / "b", "read")
    assert first_token(settings(tmp_path / "b")) is None
    own = {"KAFKA_BOOTSTRAP_SERVERS": "one:9092", "SENDLEDGER_RECIPIENT_PEPPER": OWN}
    assert first_token(settings(tmp_path / "c", **own)) is None
    assert len(TokenFile(tmp_path / "a")()) == len(TokenFile(tmp_path / "c")()) == 0


def older(directory: Path) -> dict[str, str]:
    """The file of an installation that kept its admin token readable."""
    kept = {"recipient_pepper": "p" * 43, "postback_token": "q" * 43, "api_token": OWN}
    (directory / "secrets.json").write_text(json.dumps(kept))
    return kept


def test_a_token_that_was_kept_readable_goes_on_working_as_a_hash(tmp_path: Path) -> None:
    """An older data directory: pepper and postback token stay, the token opens as before, and no file holds it."""
    kept = older(tmp_path)
    assert with_kept_secrets(settings(tmp_path)).pepper() == kept["recipient_pepper"].encode()
    assert scope_of(tmp_path, OWN) is None
    for _ in range(2):
        assert first_token(settings(tmp_path)) is None
        assert scope_of(tmp_path, OWN) == "admin"
    found = with_kept_secrets(settings(tmp_path))
    assert [found.pepper().decode(), found.postback_tokens[0].get_secret_value()] == [*kept.values()][:2]
    assert not any(OWN in file.read_text() for file in tmp_path.iterdir())
    assert len(TokenFile(tmp_path)()) == 1
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_readable_token_beside_given_ones_opens_nothing_later_either(tmp_path: Path) -> None:
    """With `SENDLEDGER_API_TOKENS` set it was never valid: it is forgotten, not let in."""
    older(tmp_path)
    assert first_token(settings(tmp_path, SENDLEDGER_API_TOKENS="read:another-token-0123456789abcdef")) is None
    assert scope_of(tmp_path, OWN) is None
    assert OWN not in (tmp_path / "secrets.json").read_text()


def test_a_migration_that_was_cut_in_half_is_done_again(tmp_path: Path) -> None:
    """Killed between its two files: the token is kept once, and no other is made."""
    older(tmp_path)
    token_file.keep(tmp_path, "admin", OWN)
    assert first_token(settings(tmp_path)) is None
    assert len(TokenFile(tmp_path)()) == 1
    assert scope_of(tmp_path, OWN) == "admin"
