"""Tokens of the HTTP API that the first start or `sendledger token` made: scope and SHA-256, never the token (P8).

They stand in `api-tokens.json` in the data directory, mode 0600; who makes one sees it once. The API looks at the file
again when it changed, so a new token works at once and one whose line was taken out no longer does.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from sendledger.config import ConfigError
from sendledger.setting_types import Scope
from sendledger_schemas.fields import format_instant

FILE = "api-tokens.json"
_BYTES = 32
Hashed = tuple[Scope, bytes]
"""What a token may do, and its SHA-256."""


def make(data_dir: Path, scope: Scope) -> str:
    """A new token, which nobody can read again. Errors: ConfigError if the file cannot be read or written."""
    token = secrets.token_urlsafe(_BYTES)
    keep(data_dir, scope, token)
    return token


def keep(data_dir: Path, scope: Scope, token: str) -> None:
    """Let a token be valid from now on, by its hash; twice is once. Errors: ConfigError as above."""
    path = data_dir / FILE
    digest = hashlib.sha256(token.encode()).hexdigest()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two that make one at once must not lose one
            entries = json.loads(path.read_bytes()) if path.exists() else []
            if not any(entry.get("sha256") == digest for entry in entries):
                entries.append({"scope": scope, "sha256": digest, "made_at": format_instant(datetime.now(UTC))})
                _write(path, entries)
    except OSError as error:
        raise ConfigError([f"SENDLEDGER_DATA_DIR: cannot use {path}: {error.strerror}"]) from None
    except (ValueError, AttributeError, TypeError):
        raise ConfigError([f"SENDLEDGER_DATA_DIR: {path} is damaged: mend or remove it"]) from None


def _write(path: Path, entries: list[dict[str, str]]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class TokenFile:
    """The file as the API reads it; no file is no token, and an entry that cannot be read is none either."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._stamp: tuple[int, int] | None = None
        self._found: tuple[Hashed, ...] = ()

    def __call__(self) -> tuple[Hashed, ...]:
        """The tokens that are in it now."""
        try:
            status = self._path.stat()
            if (stamp := (status.st_mtime_ns, status.st_ino)) != self._stamp:
                self._found, self._stamp = _read(self._path), stamp
        except OSError:
            self._found, self._stamp = (), None
        return self._found


def _read(path: Path) -> tuple[Hashed, ...]:
    scopes: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}
    found: list[Hashed] = []
    try:
        for entry in json.loads(path.read_bytes()):
            digest = bytes.fromhex(entry["sha256"])
            if len(digest) == hashlib.sha256().digest_size and entry["scope"] in scopes:
                found.append((scopes[entry["scope"]], digest))
    except (ValueError, TypeError, KeyError):
        return ()  # half of a file of permissions is not the permissions that somebody meant
    return tuple(found)
