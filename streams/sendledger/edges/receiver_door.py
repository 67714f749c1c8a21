"""Who may come in to the receiver: a token in the path, and where they are set, HTTP Basic and an address (DESIGN §7).

All that is asked for must be right, and all of it is looked at each time, so that neither the answer nor its time says
which part was wrong. `X-Forwarded-For` counts only for requests that come from one of our own proxies; it is read from
its end, because each proxy appends whom it saw, and what stands before our proxies' own words is anybody's.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from sendledger.setting_types import Network

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

    from sendledger.config import Settings

PREFIX = "/postbacks/"
MAX_HOPS = 16
"""More entries of X-Forwarded-For than these are not looked through: the request comes from nowhere."""

_MAX_ENTRY = 64
Address = IPv4Address | IPv6Address


class Secrets:
    """Valid secrets, as hashes. Every presented one is compared with each of them, in the same time."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._hashes = [hashlib.sha256(secret.encode()).digest() for secret in secrets]

    def accept(self, presented: bytes) -> bool:
        """Whether it is one of them."""
        found = hashlib.sha256(presented).digest()
        # A list, not a generator: `any` must not stop at the first hit.
        return any([hmac.compare_digest(found, known) for known in self._hashes])  # noqa: C419


class Addresses:
    """Where a request may come from, and whose word about that counts."""

    def __init__(self, allowed: Sequence[Network], proxies: Sequence[Network] = ()) -> None:
        self._allowed = allowed
        self._proxies = proxies

    def accept(self, peer: str | None, forwarded: Sequence[bytes]) -> bool:
        """Whether the client's address is an allowed one. `forwarded`: the X-Forwarded-For headers, as they came."""
        client = self.client(peer, forwarded)
        return client is not None and _is_in(client, self._allowed)

    def client(self, peer: str | None, forwarded: Sequence[bytes]) -> Address | None:
        """Who sent it: the last address that is not one of our proxies. None: somebody who cannot be told."""
        at = _address(peer or "")
        if at is None or not _is_in(at, self._proxies):
            return at
        hops = b",".join(forwarded).split(b",", MAX_HOPS) if forwarded else []
        if len(hops) > MAX_HOPS:
            return None
        for hop in reversed(hops):
            at = _address(_bare(hop))
            if at is None or not _is_in(at, self._proxies):
                return at
        return at


class Door:
    """What a request must show. `basic`: `user:password` pairs; None, as `addresses`: not asked for."""

    def __init__(
        self, tokens: Iterable[str], *, basic: Iterable[str] | None = None, addresses: Addresses | None = None
    ) -> None:
        self._tokens = Secrets(tokens)
        self._basic = None if basic is None else Secrets(credentials(pair) for pair in basic)
        self._addresses = addresses

    def admits(self, scope: HTTPScope) -> bool:
        """Whether this is a postback that may come in."""
        path = scope["path"]
        right = self._tokens.accept(path.removeprefix(PREFIX).encode("utf-8", "replace"))
        right &= scope["method"] == "POST" and path.startswith(PREFIX)
        if self._basic is not None:
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            right &= self._basic.accept(_scheme_folded(given[0]) if len(given) == 1 else b"")
        if self._addresses is not None:
            client = scope["client"]
            forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            right &= self._addresses.accept(client[0] if client else None, forwarded)
        return right


def door_of(settings: Settings) -> Door:
    """The door that the settings describe."""
    basic, allowed = settings.receiver_basic_auth, settings.receiver_allow_from
    return Door(
        (token.get_secret_value() for token in settings.postback_tokens),
        basic=[pair.get_secret_value() for pair in basic] if basic else None,
        addresses=Addresses(allowed, settings.receiver_proxies) if allowed else None,
    )


def credentials(pair: str) -> str:
    """The Authorization header of `user:password` (RFC 7617, in UTF-8)."""
    return f"Basic {b64encode(pair.encode()).decode()}"


def _scheme_folded(header: bytes) -> bytes:
    # The scheme's name has no case (RFC 9110, section 11.1), and blanks may stand around what follows it.
    scheme, _, given = header.strip().partition(b" ")
    return b"Basic " + given.strip() if scheme.lower() == b"basic" else header


def _bare(hop: bytes) -> str:
    """An entry without blanks, quotes, brackets and port: `1.2.3.4:5678`, `"[2001:db8::1]:443"`."""
    text = hop.decode("latin-1").strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> Address | None:
    """The address, one of IPv4 in IPv6's clothes (`::ffff:1.2.3.4`) as what it is; a zone (`%eth0`) aside."""
    return _parsed(text) if len(text) <= _MAX_ENTRY else None


@lru_cache(maxsize=1024)  # a provider and its proxies have few addresses, and reading one costs as much as a token
def _parsed(text: str) -> Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)  # in one of the other family: False
