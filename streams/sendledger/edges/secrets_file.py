"""The secrets of an installation with its own broker: made on first use, kept beside its data, mode 0600.

Pepper and postback token have to be readable. The API's first token has not: it is told once, and kept as a hash.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from sendledger.config import ConfigError, Settings
from sendledger.edges import token_file

_FILE = "secrets.json"
_NAMES = ("recipient_pepper", "postback_token")
_ONCE_READABLE = "api_token"
"""The admin token, as older installations kept it."""
_BYTES = 32


def with_kept_secrets(settings: Settings) -> Settings:
    """Fill in the pepper and the postback token that no setting gives.

    Only for the embedded default: a Kafka of one's own outlives this machine's disk, so its pepper is given.
    Errors: ConfigError if the file cannot be read or written.
    """
    if not settings.embedded:
        return settings
    kept = _kept(settings.data_dir)
    missing = {
        "recipient_pepper": SecretStr(kept["recipient_pepper"]),
        "postback_tokens": (SecretStr(kept["postback_token"]),),
    }
    return settings.model_copy(
        update={name: value for name, value in missing.items() if getattr(settings, name) in (None, ())}
    )


def first_token(settings: Settings) -> SecretStr | None:
    """A new admin token of the HTTP API where there is none yet, which nobody can read again; else None.

    One that stands readable in the file, as older installations have it, goes on working where no setting gives
    another, and is a hash from then on. Only for whoever starts the one instance of a data directory.
    Errors: ConfigError if a file cannot be read or written.
    """
    if not settings.embedded:
        return None
    if (readable := _kept(settings.data_dir).get(_ONCE_READABLE)) is not None:
        if not settings.api_tokens:  # else it opened nothing so far
            token_file.keep(settings.data_dir, "admin", readable)
        _write(settings.data_dir / _FILE, without=_ONCE_READABLE)  # last: after a crash both steps come again
    if settings.api_tokens or token_file.TokenFile(settings.data_dir)():
        return None
    return SecretStr(token_file.make(settings.data_dir, "admin"))


def _kept(data_dir: Path) -> dict[str, str]:
    path = data_dir / _FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        old = [_ONCE_READABLE] if _ONCE_READABLE in found else []
        return {name: str(found[name]) for name in (*_NAMES, *old)}
    except OSError as error:
        raise ConfigError([f"SENDLEDGER_DATA_DIR: cannot use {path}: {error.strerror}"]) from None
    except (ValueError, TypeError, KeyError):
        # never made anew: another pepper would make every number of the log unknown
        raise ConfigError([f"SENDLEDGER_DATA_DIR: {path} is damaged: put it back from a copy"]) from None


def _make(path: Path) -> None:
    draft = _draft(path, {name: secrets.token_urlsafe(_BYTES) for name in _NAMES})
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # unlike a rename it never replaces what another process made a moment ago
    draft.unlink()


def _write(path: Path, *, without: str) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _draft(path, {name: value for name, value in found.items() if name != without}).replace(path)
    except OSError as error:
        raise ConfigError([f"SENDLEDGER_DATA_DIR: cannot use {path}: {error.strerror}"]) from None


def _draft(path: Path, content: dict[str, str]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return draft
