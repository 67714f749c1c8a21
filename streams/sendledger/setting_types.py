"""The types of single settings: what a port, an address, a token may look like. No message quotes a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

Scope = Literal["read", "send", "admin"]
_SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}
HASHED = "sha256:"
_LEAST_TOKEN = 22  # base64url characters: 128 bits and a little (DESIGN §7)
_LEAST_KEY = 6  # a shorter one may stand in an address by chance
# What a key is called in the address of the provider's GET form, and elsewhere.
_KEYS = frozenset({"api_key", "apikey", "api-key", "key", "password", "secret", "token"})


@dataclass(frozen=True)
class ApiToken:
    """A token of the HTTP API and what it may do; the token may be `sha256:` and its SHA-256 in hexadecimal."""

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
        hashed = re.fullmatch(rf"{HASHED}[0-9a-f]{{64}}", token) is not None
        secret = SecretStr(token)
        tokens.append(ApiToken(scope=_SCOPES[scope], token=secret if hashed else _strong(secret)))
    return tuple(tokens)


def _strong(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(rf"[A-Za-z0-9_~.-]{{{_LEAST_TOKEN},}}", secret.get_secret_value()):
        raise ValueError(f"a token has at least {_LEAST_TOKEN} characters, only letters, digits and - _ . ~")
    return secret


def _long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _LEAST_TOKEN:
        raise ValueError(f"must have at least {_LEAST_TOKEN} characters")
    return secret


def _one_line(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value().strip()
    if not value or not value.isprintable():
        raise ValueError("must be printable characters on one line")
    return SecretStr(value)


def provider_problems(url: str, key: SecretStr | None, *, in_clear: bool) -> list[str]:
    """What is wrong with the provider's address, one line each; `in_clear`: plain http may leave this machine."""
    name, lines = "SENDLEDGER_PROVIDER_URL", []
    if leaves_in_the_clear(url) and not in_clear:
        allows = "SENDLEDGER_PROVIDER_ALLOW_HTTP=true allows it"
        lines.append(f"{name}: must be https, or the key, numbers and texts could be read on the way; {allows}")
    if _carries_key(url, key):
        lines.append(f"{name}: must not carry a key; it goes into SENDLEDGER_PROVIDER_API_KEY")
    return lines


def _carries_key(url: str, key: SecretStr | None) -> bool:
    # Addresses are echoed, and access logs keep them.
    plain = key.get_secret_value() if key is not None else ""
    if len(plain) >= _LEAST_KEY and plain in unquote(url):
        return True
    return any(name.strip().lower() in _KEYS for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))


def leaves_in_the_clear(url: str) -> bool:
    """Whether what is sent to this address can be read on the way: plain http to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://host/path")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or a password")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Url = Annotated[str, AfterValidator(_web_address)]
ProviderKey = Annotated[SecretStr, AfterValidator(_one_line)]
Token = Annotated[SecretStr, AfterValidator(_strong)]
PlainPath = Annotated[Path, AfterValidator(lambda path: path.expanduser())]
PostbackTokens = Annotated[tuple[Token, ...], BeforeValidator(_parts)]
ApiTokens = Annotated[tuple[ApiToken, ...], BeforeValidator(_api_tokens)]
Pepper = Annotated[SecretStr, AfterValidator(_long)]
