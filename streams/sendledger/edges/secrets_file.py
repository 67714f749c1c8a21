"""The secrets of an installation with its own broker: made on first use, kept beside its data, mode 0600."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from sendledger.config import ConfigError, Settings
from sendledger.setting_types import ApiToken

_FILE = "secrets.json"
_BYTES = 32


def with_kept_secrets(settings: Settings) -> Settings:
    """Fill in the pepper, the postback token and an admin token that no setting gives.

    Only for the embedded default: a Kafka of one's own outlives this machine's disk, so its pepper is given.
    Errors: ConfigError if the file cannot be read or written.
    """
    if not settings.embedded:
        return settings
    kept = _kept(settings.data_dir)
    missing = {
        "recipient_pepper": SecretStr(kept["recipient_pepper"]),
        "postback_tokens": (SecretStr(kept["postback_token"]),),
        "api_tokens": (ApiToken(scope="admin", token=SecretStr(kept["api_token"])),),
    }
    return settings.model_copy(
        update={name: value for name, value in missing.items() if getattr(settings, name) in (None, ())}
    )


def _kept(data_dir: Path) -> dict[str, str]:
    path = data_dir / _FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(found[name]) for name in ("recipient_pepper", "postback_token", "api_token")}
    except OSError as error:
        raise ConfigError([f"SENDLEDGER_DATA_DIR: cannot use {path}: {error.strerror}"]) from None
    except (ValueError, TypeError, KeyError):
        # never made anew: another pepper would make every number of the log unknown
        raise ConfigError([f"SENDLEDGER_DATA_DIR: {path} is damaged: put it back from a copy"]) from None


def _make(path: Path) -> None:
    made = {name: secrets.token_urlsafe(_BYTES) for name in ("recipient_pepper", "postback_token", "api_token")}
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # unlike a rename it never replaces what another process made a moment ago
    draft.unlink()
