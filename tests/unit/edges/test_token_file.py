"""Tokens that are made, shown once and kept as hashes (DESIGN §8, P8)."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from sendledger.cli.app import run
from sendledger.config import ConfigError, load
from sendledger.edges import token_file
from sendledger.edges.api.auth import Tokens, fingerprint
from sendledger.edges.token_file import TokenFile


def test_a_made_token_opens_what_its_scope_says_and_stands_nowhere(tmp_path: Path) -> None:
    """The running API takes it at once; the file has its hash, is the owner's alone, and none of the token."""
    tokens = Tokens([], TokenFile(tmp_path))
    made = {scope: token_file.make(tmp_path, scope) for scope in ("read", "send", "admin")}
    for scope, token in made.items():
        caller = tokens.caller(token)
        assert caller is not None
        assert (caller.scope, caller.by) == (scope, f"token:{fingerprint(token)}")
    path = tmp_path / "api-tokens.json"
    assert not any(token in path.read_text(encoding="utf-8") for token in made.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    digest = hashlib.sha256(made["read"].encode()).hexdigest()
    assert tokens.caller(digest) is None
    assert tokens.caller(f"sha256:{digest}") is None


def test_a_token_that_is_taken_out_is_none_any_more(tmp_path: Path) -> None:
    """Without a restart: the file is read again when it changed."""
    first, second = (token_file.make(tmp_path, "read") for _ in range(2))
    tokens = Tokens([], TokenFile(tmp_path))
    assert tokens.caller(first) is not None
    path = tmp_path / "api-tokens.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(json.loads(path.read_bytes())[1:]))
    draft.replace(path)
    assert tokens.caller(first) is None
    assert tokens.caller(second) is not None
    path.unlink()
    assert tokens.caller(second) is None


@pytest.mark.parametrize("content", ["", "{}", "7", '[{"scope": "root", "sha256": "00"}]', '[{"sha256": "xx"}]', "[1]"])
def test_what_cannot_be_read_opens_nothing(tmp_path: Path, content: str) -> None:
    """A damaged file lets nobody in; `token` says so instead of writing over it where it is no list."""
    (tmp_path / "api-tokens.json").write_text(content)
    assert TokenFile(tmp_path)() == ()
    if not content.startswith("["):
        with pytest.raises(ConfigError, match=r"api-tokens\.json"):
            token_file.make(tmp_path, "read")
        assert (tmp_path / "api-tokens.json").read_text() == content


def test_a_setting_may_be_a_hash() -> None:
    """`scope:sha256:…`: the environment of a service need not hold the token either."""
    digest = hashlib.sha256(b"canary-token-0123456789abcdef").hexdigest()
    settings = load({"SENDLEDGER_API_TOKENS": f"send:sha256:{digest}"}, None)
    tokens = Tokens((each.scope, each.token.get_secret_value()) for each in settings.api_tokens)
    caller = tokens.caller("canary-token-0123456789abcdef")
    assert caller is not None
    assert caller.scope == "send"
    assert tokens.caller(f"sha256:{digest}") is None


def test_the_verb_prints_a_token_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard output, another one each time."""
    monkeypatch.setenv("SENDLEDGER_DATA_DIR", str(tmp_path))
    assert os.environ["SENDLEDGER_DATA_DIR"] == str(tmp_path)
    printed = []
    for _ in range(2):
        assert run(["token", "send"]) == 0
        printed.append(capsys.readouterr().out.strip())
    tokens = Tokens([], TokenFile(tmp_path))
    assert len(set(printed)) == 2
    assert {getattr(tokens.caller(token), "scope", None) for token in printed} == {"send"}
