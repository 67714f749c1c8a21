"""The types of single settings: what a port, an address, a token may look like. No message quotes a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

Scope = Literal["read", "send", "admin"]
_SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}
_LEAST_TOKEN = 22  # base64url characters: 128 bits and a little (DESIGN §7)


@dataclass(frozen=True)
class ApiToken:
    """A token of the HTTP API and what it may do."""

    scope: Scope
    token: SecretStr


def _parts(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _api_tokens(value: object) -> object:
    if not isinstance(value, str):
        return value
    tokens = []
    for number, part in enumerate(value.split(","), 1):
        scope, colon, token = part.strip().partition(":")
        if not colon or scope not in _SCOPES:
            raise ValueError(f"entry {number} is not scope:token with the scope read, send or admin")
        tokens.append(ApiToken(scope=_SCOPES[scope], token=_strong(SecretStr(token))))
    return tuple(tokens)


def _strong(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(rf"[A-Za-z0-9_~.-]{{{_LEAST_TOKEN},}}", secret.get_secret_value()):
        raise ValueError(f"a token has at least {_LEAST_TOKEN} characters, only letters, digits and - _ . ~")
    return secret


def _long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _LEAST_TOKEN:
        raise ValueError(f"must have at least {_LEAST_TOKEN} characters")
    return secret


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://host/path")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or a password")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Url = Annotated[str, AfterValidator(_web_address)]
Token = Annotated[SecretStr, AfterValidator(_strong)]
PlainPath = Annotated[Path, AfterValidator(lambda path: path.expanduser())]
PostbackTokens = Annotated[tuple[Token, ...], BeforeValidator(_parts)]
ApiTokens = Annotated[tuple[ApiToken, ...], BeforeValidator(_api_tokens)]
Pepper = Annotated[SecretStr, AfterValidator(_long)]
